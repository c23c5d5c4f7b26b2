import ArgumentParser
import Config
import Control
import Foundation
import JSON

/// How a command finds the running gateway.
struct SocketOption: ParsableArguments {
    @OptionGroup var config: ConfigOption
    @Option(help: "The administration socket; taken from the configuration when absent.")
    var socket: String?

    func path() throws -> String {
        if let socket { return socket }
        return try ConfigurationFile(path: config.path, readsFiles: false).loadOrReport().gateway.adminSocket
    }

    /// Asks the running gateway.
    ///
    /// - Throws: exit status 1 after the gateway's own words, 2 when it does not answer.
    func ask(_ command: JSONValue, seconds: Int = 35) throws -> JSONValue {
        let path = try path()
        guard let answer = CommandClient.ask(command, socket: path, seconds: seconds) else {
            ConfigurationFile.report(
                "no gateway answers at \(path); start it with: gatepost serve --config …")
            throw ExitCode(2)
        }
        if let error = answer["error"]?.string {
            ConfigurationFile.report(error)
            throw ExitCode(1)
        }
        return answer
    }
}

struct Session: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "List and end sessions.", subcommands: [List.self, End.self, Revoke.self])

    struct List: ParsableCommand {
        static let configuration = CommandConfiguration(abstract: "List sessions, newest first.")
        @Option(help: "Only this person's (email address).") var user: String?
        @Flag(help: "Print JSON.") var json = false
        @OptionGroup var gateway: SocketOption

        func run() throws {
            var command: [(String, JSONValue)] = [("command", "session-list")]
            if let user { command.append(("user", .string(user))) }
            let answer = try gateway.ask(.object(JSONObject(command)))
            print(json ? answer.serializedText() : answer["text"]?.string ?? "")
        }
    }

    struct Revoke: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "End sessions now; their open connections are cut.")
        @Option(parsing: .unconditional, help: "One session, by the id that \"session list\" shows.")
        var session: String?
        @Option(help: "Every session of this person (email address).") var user: String?
        @Option(parsing: .unconditional, help: "Every session that proved this device.") var device: String?
        @OptionGroup var gateway: SocketOption

        func validate() throws {
            guard [session, user, device].compactMap({ $0 }).count == 1 else {
                throw ValidationError("Name exactly one of --session, --user and --device.")
            }
        }

        func run() throws {
            var command: [(String, JSONValue)] = [("command", "session-revoke")]
            if let session { command.append(("session", .string(session))) }
            if let user { command.append(("user", .string(user))) }
            if let device { command.append(("device", .string(device))) }
            print(try gateway.ask(.object(JSONObject(command)))["text"]?.string ?? "")
        }
    }
}

struct Status: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Show what runs: integrations, counters, latencies per stage.",
        discussion: "Latencies are upper bounds of logarithmic buckets, four per power of two.")
    @Flag(help: "Print JSON.") var json = false
    @OptionGroup var gateway: SocketOption

    func run() throws {
        let answer = try gateway.ask(["command": "status"])
        print(json ? answer.serializedText() : answer["text"]?.string ?? "")
    }
}

struct Verdicts: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Show what providers say about a device, and how old that is.",
        discussion: """
            Two ages matter: when the device last reported to the provider, and when the gateway fetched the answer.
            """)
    @Option(parsing: .unconditional, help: "The device, by the id that \"device list\" shows.")
    var device: String
    @Flag(help: "Print JSON.") var json = false
    @OptionGroup var gateway: SocketOption

    func run() throws {
        let answer = try gateway.ask(["command": "verdicts", "device": .string(device)])
        print(json ? answer.serializedText() : answer["text"]?.string ?? "")
    }
}

struct Device: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "List enrolled devices and end a lost one.",
        subcommands: [List.self, Revoke.self, AcceptKey.self], aliases: ["devices"])

    struct List: ParsableCommand {
        static let configuration = CommandConfiguration(abstract: "List enrolled devices.")
        @Flag(help: "Print JSON.") var json = false
        @OptionGroup var gateway: SocketOption

        func run() throws {
            let answer = try gateway.ask(["command": "device-list"])
            print(json ? answer.serializedText() : answer["text"]?.string ?? "")
        }
    }

    struct Revoke: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "End a device for good; its sessions end and their open connections are cut.",
            discussion: """
                The device has to be enrolled anew, with a new token, before it counts again. With --serial one
                certificate is denied, whoever issued it, and the device whose newest or last used one it is ends.
                """)
        @Argument(help: "The device, by the id that \"device list\" shows.") var device: String?
        @Option(help: "A device certificate's serial number, in hexadecimal.") var serial: String?
        @OptionGroup var gateway: SocketOption

        func validate() throws {
            guard (device == nil) != (serial == nil) else {
                throw ValidationError("Name exactly one of a device and --serial.")
            }
        }

        func run() throws {
            var command: [(String, JSONValue)] = [("command", "device-revoke")]
            if let device { command.append(("device", .string(device))) }
            if let serial { command.append(("serial", .string(serial))) }
            print(try gateway.ask(.object(JSONObject(command)))["text"]?.string ?? "")
        }
    }

    struct AcceptKey: ParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "accept-key",
            abstract: "Let a device of a management server come back with another key.",
            discussion: "Its old key counts no more; the next one that a statement names is pinned.")
        @Argument(help: "The device, by the id that \"device list\" shows.") var device: String
        @OptionGroup var gateway: SocketOption

        func run() throws {
            let command: JSONValue = ["command": "device-accept-key", "device": .string(device)]
            print(try gateway.ask(command)["text"]?.string ?? "")
        }
    }
}

struct Keys: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Replace keys of the key ring.", subcommands: [Rotate.self])

    struct Rotate: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Make the next key of a purpose the current one.",
            discussion: """
                assertion: what upstreams verify; the next key is in the key set that they fetch already.
                cookie: sessions go on; those from before the last but one rotation have to sign in again.
                challenge, root: agents follow by themselves at their next renewal.
                ticket: rotated every 12 hours anyway. sealing: what rests in the store.
                A key that is known to somebody is gone after two rotations.
                """)
        @Argument(help: "assertion, cookie, challenge, root, ticket or sealing.") var purpose: String
        @OptionGroup var gateway: SocketOption

        func run() throws {
            let command: JSONValue = ["command": "keys-rotate", "purpose": .string(purpose)]
            print(try gateway.ask(command)["text"]?.string ?? "")
        }
    }
}

struct EnrollToken: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Make a one-time token with which one person enrols one device.",
        discussion: "The token is good for 24 hours and is shown only once.")
    @Option(help: "The person's email address.") var email: String
    @Option(help: "Only a device with this serial number may use it.") var serial: String?
    @Option(help: "The configured identity provider that knows the person; needed when they never signed in.")
    var identityProvider: String?
    @Option(parsing: .unconditional, help: "The person's subject at that provider.") var subject: String?
    @OptionGroup var gateway: SocketOption

    func run() throws {
        var command: [(String, JSONValue)] = [("command", "enroll-token"), ("email", .string(email))]
        if let serial { command.append(("serial", .string(serial))) }
        if let identityProvider { command.append(("identity_provider", .string(identityProvider))) }
        if let subject { command.append(("subject", .string(subject))) }
        print(try gateway.ask(.object(JSONObject(command)))["token"]?.string ?? "")
    }
}
