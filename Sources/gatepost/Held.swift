import ArgumentParser
import JSON

struct Held: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Show changes that wait because they would cut too many sessions at once.",
        discussion: """
            A change is held when only silence or a reload causes it and it passes both bounds of
            gateway.blast-radius. The sessions keep what they had; what somebody says of a device cuts at once.
            """,
        subcommands: [List.self, Release.self], defaultSubcommand: List.self)

    struct List: ParsableCommand {
        static let configuration = CommandConfiguration(abstract: "List held changes, the oldest first.")
        @Flag(help: "Print JSON, with the sessions that would be cut.") var json = false
        @OptionGroup var gateway: SocketOption

        func run() throws {
            let answer = try gateway.ask(["command": "held"])
            print(json ? answer.serializedText() : answer["text"]?.string ?? "")
        }
    }

    struct Release: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Let held changes have their effect: their sessions are cut now.")
        @Option(help: "Only this change, by the cause that \"held\" shows; all when absent.") var cause:
            String?
        @OptionGroup var gateway: SocketOption

        func run() throws {
            var command: [(String, JSONValue)] = [("command", "held-release")]
            if let cause { command.append(("cause", .string(cause))) }
            print(try gateway.ask(.object(JSONObject(command)))["text"]?.string ?? "")
        }
    }
}
