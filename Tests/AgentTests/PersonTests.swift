import ArgumentParser
import ChildPrograms
import Fetch
import Foundation
import JSON
import Signatures
import Synchronization
import Testing

@testable import gatepost_agent

@Suite("What somebody at the machine reads when something is in the way")
struct PersonTests {
    /// Answers everything alike.
    private struct OneAnswer: Fetcher {
        let answer: Result<FetchResponse, FetchError>
        func fetch(_ request: FetchRequest) async throws(FetchError) -> FetchResponse { try answer.get() }
    }

    private static func enrol(_ answer: Result<FetchResponse, FetchError>) async -> String {
        do throws(AgentError) {
            _ = try await GatewayExchange(fetcher: OneAnswer(answer: answer)).enroll(
                url: AgentSetting.origin, token: "t", key: SigningKey.generateP256(), facts: JSONObject(),
                users: [], authoritiesPEM: nil, nowSeconds: AgentSetting.now)
            return "enrolled"
        } catch {
            return error.description
        }
    }

    private static func refused(_ status: Int, _ body: String) async -> String {
        await enrol(.success(FetchResponse(status: status, fields: [], body: Array(body.utf8))))
    }

    @Test("every word of a refused enrolment or renewal is a sentence with a remedy of its own") func words()
        async throws
    {
        let rows = ProtocolTextTests.rows(try ProtocolTextTests.section("## 3.")).keys
        let reasons = rows.filter { $0.contains("-") && !$0.contains("_") || $0 == "overloaded" }
        #expect(reasons.count >= 12)
        let other = await Self.refused(403, #"{"reason":"no-such-word"}"#)
        for reason in reasons where reason != "audience-mismatch" && reason != "nonce-used" {
            let said = await Self.refused(403, #"{"reason":"\#(reason)"}"#)
            #expect(said.contains("answered 403 (\(reason)): "), "\(said)")
            #expect(said.replacing(reason, with: "no-such-word") != other, "\(said)")
        }
        let token = await Self.refused(403, #"{"reason":"enrollment-token-invalid"}"#)
        #expect(token.contains("older than 24 hours") && token.contains("gatepost enroll-token --email"))
        let clock = await Self.refused(403, #"{"reason":"clock-skew"}"#)
        #expect(clock.contains("timedatectl"))
    }

    @Test("no gateway there, none reached, and one that is not trusted are told apart") func unreachable()
        async
    {
        let table: [(FetchError.Kind, String)] = [
            (.unreachable, "getent hosts"), (.timedOut, "firewalls"), (.tlsFailed, "--authorities"),
            (.malformed, "auth host"),
        ]
        for (kind, remedy) in table {
            let said = await Self.enrol(.failure(FetchError(kind, "words of the library")))
            #expect(said.hasPrefix(AgentSetting.origin) && said.contains(remedy), "\(said)")
        }
        for (status, body) in [(404, "<html>"), (200, "<html>"), (502, ""), (403, "{}")] {
            let said = await Self.refused(status, body)
            #expect(said.contains("answered \(status), and not as a gateway"), "\(said)")
        }
    }

    @Test("a token that was cut or padded is refused before anybody is asked") func token() throws {
        let whole = Base64URL.encode(Random.bytes(32))
        func parse(_ token: String) throws {
            _ = try AgentProgram.parseAsRoot(["enroll", "--url", AgentSetting.origin, "--token=\(token)"])
        }
        try parse(whole)
        try parse("-" + whole.dropFirst())
        for token in [
            String(whole.dropLast()), whole + "A", whole + " ", "TOKEN", whole.dropLast() + ".",
        ] {
            let error = #expect(throws: (any Error).self, "\(token)") { try parse(String(token)) }
            #expect(error.map { AgentProgram.message(for: $0).contains("43") } == true, "\(token)")
        }
    }

    @Test("after an enrolment: a clock that is off, a port that another program has, and how to go on")
    func notes() throws {
        var enrolment = try AgentSetting().identity.enrolment
        let now = AgentSetting.now
        func notes(_ offset: Int64?, _ presence: AgentPresence) -> String {
            enrolment.statedNowSeconds = offset.map { now - $0 }
            return EnrollCommand.notes(enrolment, presence: presence, nowSeconds: now).joined(separator: "\n")
        }
        #expect(notes(nil, .answers) == "the agent that runs answers this gateway within seconds")
        #expect(!notes(120, .answers).contains("clock") && !notes(-120, .answers).contains("clock"))
        #expect(notes(121, .answers).contains("121 s ahead of the gateway's"))
        #expect(notes(-121, .answers).contains("121 s behind the gateway's"))
        #expect(notes(0, .nobody).contains("systemctl start gatepost-agent"))
        #expect(notes(0, .another).contains("another program answers at 127.0.0.1:17472"))
    }

    @Test("who answers at a port: an agent, another program, nobody") func presence() throws {
        let running = try ServerLimitTests.Running()
        defer { running.server.stop() }
        #expect(AgentPresence.at(running.socket.port) == .answers)
        let free = try ListeningSocket(port: 0)
        free.close()
        #expect(AgentPresence.at(free.port) == .nobody)
        let web = try BreakableAgent([.namesItself])
        web.start()
        defer { web.stop() }
        #expect(AgentPresence.at(web.port) == .another)
    }

    @Test("status says what works and what needs somebody, in words that can be searched for") func status()
        throws
    {
        var status = EnrolmentStatus(
            enrolment: try AgentSetting().identity.enrolment,
            rules: try AgentConfiguration(bytes: Array("{}".utf8))[AgentSetting.origin],
            nowSeconds: AgentSetting.now)
        let table: [([(port: UInt16, who: AgentPresence)], String, Bool)] = [
            ([], "port          17472\n", false),
            ([(17472, .answers)], "17472, answered by an agent", false),
            ([(17472, .nobody)], "NOBODY: systemctl start gatepost-agent", true),
            ([(17472, .another)], "ANOTHER PROGRAM", true),
            ([(17472, .another), (17473, .answers)], "an agent answers at 17473", false),
            ([(17472, .nobody), (17473, .answers)], "an agent answers at 17473", false),
            ([(17472, .nobody), (17473, .another)], "NOBODY", true),
        ]
        for (presences, words, needsSomebody) in table {
            status.presences = presences
            #expect((status.text + "\n").contains(words), "\(status.text)")
            #expect(status.needsSomebody == needsSomebody, "\(words)")
        }
    }

    @Test(
        "the manual page says what the program of this build says, and is good troff",
        arguments: [
            ("gatepost-agent", "packaging/agent/gatepost-agent.1"),
            ("gatepost", "packaging/gateway/gatepost.1"),
        ]
    )
    func manual(_ program: String, _ page: String) async throws {
        let root = ProtocolTextTests.root
        let manual = try await ChildProgram(
            root + "/scripts/manual", [ConformanceTests.program(program)], output: .kept, errors: .shown
        ).outcome()
        #expect(manual.status == 0)
        let made = manual.output
        let path = root + "/" + page
        if ProcessInfo.processInfo.environment["UPDATE_GOLDEN"] == "1" {
            try Data(made).write(to: URL(filePath: path))
        }
        let kept = try Data(contentsOf: URL(filePath: path))
        #expect(Array(kept) == made, "\(page) is older than its program: scripts/manual PROGRAM >\(page)")
        guard FileManager.default.isExecutableFile(atPath: "/usr/bin/man") else { return }
        let checked = try await ChildProgram(
            "/usr/bin/man", ["--warnings", "-E", "UTF-8", "-l", "-Tutf8", "-Z", path], errors: .kept
        ).outcome()
        #expect(checked.output.isEmpty, "\(checked.text)")
    }
}
