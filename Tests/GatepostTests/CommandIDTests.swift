import ArgumentParser
import Testing

@testable import gatepost

/// Ids of sessions are base64url: one of 64 begins with "-".
@Suite("Ids that look like options")
struct CommandIDTests {
    private func parsed<Command: ParsableCommand>(_ words: String, as type: Command.Type) throws -> Command {
        try #require(try Gatepost.parseAsRoot(words.split(separator: " ").map(String.init)) as? Command)
    }

    @Test(
        "an id that begins with a dash is the value of the option before it", arguments: ["-x", "--x", "-"])
    func dashes(_ id: String) throws {
        let end = try parsed("session end --session \(id) --dry-run", as: Session.End.self)
        #expect(end.session == id && end.dryRun)
        #expect(try parsed("session end --device \(id)", as: Session.End.self).device == id)
        let person = try parsed("session end --provider a --subject \(id)", as: Session.End.self)
        #expect(person.subject == id)
        #expect(try parsed("session revoke --session \(id)", as: Session.Revoke.self).session == id)
        #expect(try parsed("session revoke --device \(id)", as: Session.Revoke.self).device == id)
        #expect(try parsed("verdicts --device \(id)", as: Verdicts.self).device == id)
        #expect(try parsed("device revoke -- \(id)", as: Device.Revoke.self).device == id)
    }

    @Test("with = as before; an option without its value is an error")
    func others() throws {
        #expect(try parsed("session end --session=-x", as: Session.End.self).session == "-x")
        #expect(throws: (any Error).self) { try Gatepost.parseAsRoot(["session", "end", "--session"]) }
        #expect(throws: (any Error).self) { try Gatepost.parseAsRoot(["session", "end", "-x"]) }
    }
}
