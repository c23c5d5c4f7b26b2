import ArgumentParser
import Control
import JSON

struct ServiceToken: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Make, rotate and end the tokens of clients without a person.",
        discussion:
            "Clients send them as Gatepost-Service-Token; policies name them: action service, condition service.",
        subcommands: [Create.self, List.self, Rotate.self, Revoke.self])

    struct Create: ParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Make a token; it is shown once.")
        @Argument(help: "What policies call it.") var name: String
        @Option(help: "Days that it counts for.") var days: Int = 90
        @OptionGroup var gateway: SocketOption

        func run() throws {
            let answer = try gateway.ask([
                "command": "service-token-create", "name": .string(name), "expires": seconds(days),
            ])
            print(answer["text"]?.string ?? "")
        }
    }

    struct List: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "List tokens, when each was last used, and the machines that are being served.")
        @Flag(help: "Print JSON.") var json = false
        @OptionGroup var gateway: SocketOption

        func run() throws {
            let answer = try gateway.ask(["command": "service-token-list"])
            print(json ? answer.serializedText() : answer["text"]?.string ?? "")
        }
    }

    struct Rotate: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Make another token of the name; the old ones go on for the overlap.")
        @Argument(help: "What policies call it.") var name: String
        @Option(help: "Days that the new one counts for.") var days: Int = 90
        @Option(help: "Days that the old ones still count for.") var overlapDays: Int = 7
        @OptionGroup var gateway: SocketOption

        func run() throws {
            let answer = try gateway.ask([
                "command": "service-token-rotate", "name": .string(name), "expires": seconds(days),
                "overlap": seconds(overlapDays),
            ])
            print(answer["text"]?.string ?? "")
        }
    }

    struct Revoke: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "End every token of a name now; what they have open is cut.")
        @Argument(help: "What policies call it.") var name: String
        @OptionGroup var gateway: SocketOption

        func run() throws {
            print(
                try gateway.ask(["command": "service-token-revoke", "name": .string(name)])["text"]?.string
                    ?? "")
        }
    }
}

/// As the gateway counts; what is beyond its bounds it refuses.
private func seconds(_ days: Int) -> JSONValue {
    let (seconds, isTooMany) = Int64(clamping: days).multipliedReportingOverflow(by: 86_400)
    return .integer(isTooMany ? .max : seconds)
}
