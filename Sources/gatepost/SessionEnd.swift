import ArgumentParser
import JSON

extension Session {
    struct End: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "End sessions by what they have in common, or count them first.",
            discussion: """
                What is open is cut at once. Sign-ins of a person or a provider that are under way do not count
                either. Ending an application's sessions leaves the sign-ins: who is still let in comes back
                without a question; to keep somebody out, change the policy or the provider first.
                """)
        @Option(
            parsing: .unconditional,
            help: """
                One session, by the id that "session list" shows; a sign-in with all below it. Of a machine, the
                record that "service-token list" shows.
                """
        )
        var session: String?
        @Option(help: "Every session of this person (email address).") var person: String?
        @Option(
            parsing: .unconditional, help: "Every session that proved this device; every machine that is it.")
        var device: String?
        @Option(help: "Every session that this identity provider made; it may be configured no longer.")
        var provider: String?
        @Option(parsing: .unconditional, help: "With --provider: only the person with this subject there.")
        var subject: String?
        @Option(help: "Every session and every machine at this application.") var application: String?
        @Flag(help: "Only say how many would end.") var dryRun = false
        @Flag(help: "Print JSON.") var json = false
        @OptionGroup var gateway: SocketOption

        private var named: [(String, String)] {
            [
                ("session", session), ("person", person), ("device", device), ("provider", provider),
                ("application", application),
            ].compactMap { name, value in value.map { (name, $0) } }
        }

        func validate() throws {
            guard named.count == 1 else {
                throw ValidationError(
                    "Name exactly one of --session, --person, --device, --provider and --application.")
            }
            guard subject == nil || provider != nil else {
                throw ValidationError("--subject is the person's at --provider; name both.")
            }
        }

        func run() throws {
            var command: [(String, JSONValue)] = [("command", "session-end"), ("dry_run", .bool(dryRun))]
            command += named.map { ($0.0, .string($0.1)) }
            if let subject { command.append(("subject", .string(subject))) }
            let answer = try gateway.ask(.object(JSONObject(command)))
            guard json else { return print(answer["text"]?.string ?? "") }
            let members = ["dry_run", "sign_ins", "sessions", "people", "machines"].compactMap { name in
                answer[name].map { (name, $0) }
            }
            print(JSONValue.object(JSONObject(members)).serializedText())
        }
    }
}
