import ArgumentParser
import Foundation
import Testing

@testable import gatepost_agent

@Suite("What the agent says about itself on the command line")
struct CommandTests {
    /// The file of another program in the same tree.
    static func source(_ path: String) throws -> String {
        let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent()
        return try String(contentsOf: root.appending(path: path), encoding: .utf8)
    }

    @Test("help for enrolling names the gateway's command as it is spelled there") func enrollHelp() throws {
        let help = AgentProgram.helpMessage(for: EnrollCommand.self, columns: 400)
        #expect(help.contains("gatepost enroll-token --email"))
        let gateway = try Self.source("Sources/gatepost/Commands.swift")
        #expect(gateway.contains("struct EnrollToken: ParsableCommand"))
        #expect(gateway.contains("var email: String"))
    }

    @Test("every command that a help text names is one of this program or enroll-token")
    func namedCommands() {
        let own: Set<String> = [
            "run", "collect", "enroll", "status", "leave", "facts", "conformance", "enroll-token", "device",
        ]
        let texts = [
            AgentProgram.helpMessage(columns: 400),
            AgentProgram.helpMessage(for: RunCommand.self, columns: 400),
            AgentProgram.helpMessage(for: EnrollCommand.self, columns: 400),
            AgentProgram.helpMessage(for: FactsCommand.self, columns: 400),
            AgentProgram.helpMessage(for: CollectCommand.self, columns: 400),
            AgentProgram.helpMessage(for: StatusCommand.self, columns: 400),
            AgentProgram.helpMessage(for: LeaveCommand.self, columns: 400),
            AgentProgram.helpMessage(for: ConformanceCommand.self, columns: 400),
        ]
        for text in texts {
            let words = text.split { $0 == " " || $0 == "\n" }.map(String.init)
            for (program, word) in zip(words, words.dropFirst())
            where program == "gatepost" || program == "gatepost-agent" {
                let isPlaceholder = word.hasPrefix("<") || word.hasPrefix("[") || word == "help"
                #expect(isPlaceholder || own.contains(word), "\(program) \(word)")
            }
        }
    }

    @Test("004.6 gateway and agent of one tree carry one version, of dotted numbers") func version() throws {
        let gateway = try Self.source("Sources/gatepost/Gatepost.swift")
        #expect(gateway.contains("gatepost-version=\(AssertionMaker.version)\""))
        #expect(AssertionMaker.version.split(separator: ".").allSatisfy { Int($0) != nil })
    }
}
