import ArgumentParser
import JSON

struct Integrations: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Show all integrations, connect one in a browser, try one again.",
        subcommands: [List.self, Connect.self, Reconnect.self, Devices.self], defaultSubcommand: List.self)

    struct List: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "State, ages, last error, permissions and partners of every integration.")
        @Flag(help: "Print JSON.") var json = false
        @OptionGroup var gateway: SocketOption

        func run() throws {
            let answer = try gateway.ask(["command": "integrations"])
            print(json ? answer.serializedText() : answer["text"]?.string ?? "")
        }
    }

    struct Connect: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Print the address at which an administrator grants permissions, or signs in.",
            discussion: """
                For Intune and Entra. The address is good for one visit within 15 minutes; it ends on a page of the \
                gateway that says what happened.
                """)
        @Argument(help: "The integration's configured name.") var integration: String
        @Flag(help: "Print JSON.") var json = false
        @OptionGroup var gateway: SocketOption

        func run() throws {
            let answer = try gateway.ask([
                "command": "integration-connect", "integration": .string(integration),
            ])
            print(json ? answer.serializedText() : answer["text"]?.string ?? "")
        }
    }

    struct Devices: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Show what an integration knows of the devices of a device's owner.",
            discussion: "For Intune. It is asked now: for the question why a device is not found there.")
        @Argument(help: "The integration's configured name.") var integration: String
        @Option(parsing: .unconditional, help: "The device, by the id that \"device list\" shows.")
        var device: String
        @Flag(help: "Print JSON.") var json = false
        @OptionGroup var gateway: SocketOption

        func run() throws {
            let answer = try gateway.ask([
                "command": "integration-devices", "integration": .string(integration),
                "device": .string(device),
            ])
            print(json ? answer.serializedText() : answer["text"]?.string ?? "")
        }
    }

    struct Reconnect: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Probe an integration again with a new token and synchronise when it works.",
            discussion: "For one that is pending, after its permissions or credentials were mended.")
        @Argument(help: "The integration's configured name.") var integration: String
        @OptionGroup var gateway: SocketOption

        func run() throws {
            let command: JSONValue = ["command": "reconnect", "integration": .string(integration)]
            print(try gateway.ask(command)["text"]?.string ?? "")
        }
    }
}

/// The word for it before there were `integrations`.
struct Reconnect: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "As: integrations reconnect.", shouldDisplay: false)
    @Argument(help: "The integration's configured name.") var integration: String
    @OptionGroup var gateway: SocketOption

    func run() throws {
        let command: JSONValue = ["command": "reconnect", "integration": .string(integration)]
        print(try gateway.ask(command)["text"]?.string ?? "")
    }
}
