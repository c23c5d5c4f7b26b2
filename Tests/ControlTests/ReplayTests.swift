import Access
import Border
import Foundation
import JSON
import Testing

@testable import Control

@Suite("A decision log is decided again bit for bit, and by a candidate")
struct ReplayTests {
    /// A log of a few decisions, as text.
    private func logged(_ fixture: DecisionFixture) throws -> String {
        let recorder = DecisionRecorder(log: try fixture.log())
        _ = recorder.record(try fixture.made("vault", device: fixture.device(statementSeconds: 300)))
        _ = recorder.record(try fixture.made("wiki", session: "session-2", email: "eve@other.example"))
        fixture.advance(3_600)
        _ = recorder.record(try fixture.made("wiki", session: "session-2", email: "eve@other.example"))
        recorder.finish()
        return fixture.text(fixture.files[0])
    }

    private func replay(_ text: String, of fixture: DecisionFixture) throws -> Replay {
        let path = "\(fixture.folder)/changed.jsonl"
        try text.write(toFile: path, atomically: true, encoding: .utf8)
        var replay = Replay(candidate: nil)
        try replay.add(path)
        return replay
    }

    private struct Generator: RandomNumberGenerator {
        var state: UInt64
        mutating func next() -> UInt64 {
            state &+= 0x9e37_79b9_7f4a_7c15
            var word = state
            word = (word ^ (word >> 30)) &* 0xbf58_476d_1ce4_e5b9
            word = (word ^ (word >> 27)) &* 0x94d0_49bb_1331_11eb
            return word ^ (word >> 31)
        }
    }

    @Test func `whatever was decided comes out the same, a thousand times over`() throws {
        let fixture = DecisionFixture()
        let recorder = DecisionRecorder(log: try fixture.log())
        let seed: UInt64 = 20_261_121
        var random = Generator(state: seed)
        for _ in 0..<1_000 {
            fixture.advance(Int64.random(in: 0...400, using: &random))
            var device = fixture.device(
                Bool.random(using: &random) ? ["compliant"] : [],
                owner: Bool.random(using: &random) ? "ada@corp.example" : "bob@corp.example",
                verdict: "verdict-\(Int.random(in: 0...5, using: &random))",
                state: Verdict.State.allCases.randomElement(using: &random) ?? .unknown)
            device.verdicts[0].expiresAtSeconds += Int64.random(in: -4_000...4_000, using: &random)
            if Int.random(in: 0...9, using: &random) == 0 { device.ownerSubject = nil }
            if Int.random(in: 0...9, using: &random) == 0 { device.verdicts = [] }
            _ = recorder.record(
                try fixture.made(
                    Bool.random(using: &random) ? "wiki" : "vault",
                    session: "session-\(Int.random(in: 0...9, using: &random))",
                    email: Bool.random(using: &random) ? "ada@corp.example" : "bob@corp.example",
                    device: Bool.random(using: &random) ? device : nil))
        }
        recorder.finish()
        let replay = try fixture.replay(candidate: DecisionFixture.policy)
        #expect(replay.counts.decisions == 1_000 && replay.counts.different == 0, "seed \(seed)")
        #expect(replay.isEqual, "seed \(seed): \(replay.problems) \(replay.differences.map(\.text))")
        #expect(replay.changes.isEmpty, "a policy agrees with itself")
    }

    @Test(
        arguments: [
            ("\"result\":\"", "\"result\":\"0"), ("\"valid_until\":1", "\"valid_until\":2"),
            ("\"open_until\":1", "\"open_until\":2"), ("\"open_result\":\"", "\"open_result\":\"0"),
            ("\"session\":\"session-1", "\"session\":\"session-9"),
            ("\"outcome\":\"", "\"outcome\":\"not-"), ("\"reason\":\"", "\"reason\":\"not-"),
        ])
    func `one wrong digit or word is a difference that is shown with its explanation`(
        _ found: String, _ changed: String
    ) throws {
        let fixture = DecisionFixture()
        let text = try logged(fixture)
        let lines = text.split(separator: "\n", omittingEmptySubsequences: false).map(String.init)
        let wrong = lines.map { line in
            guard line.hasPrefix("{\"kind\":\"decision\""), line.contains("\"vault\""),
                let range = line.range(of: found)
            else { return line }
            return line.replacingCharacters(in: range, with: changed)
        }.joined(separator: "\n")
        #expect(wrong != text)
        let replay = try replay(wrong, of: fixture)
        #expect(replay.counts.different == 1 && !replay.isEqual)
        #expect(replay.differences.first?.text.contains("healthy-staff.require[0]") == true)
    }

    @Test func `what a log says cannot command the terminal that shows the report`() throws {
        let fixture = DecisionFixture()
        let text = try logged(fixture).replacingOccurrences(
            of: "\"reason\":\"", with: "\"reason\":\"\\u001b]0;x\\u0007\\u202e\\u009b2J")
        let replay = try replay(text, of: fixture)
        #expect(!replay.differences.isEmpty)
        let report = ReplayReport(
            replay: replay, requests: nil, candidate: nil, seconds: 1, requestSeconds: 0, processorSeconds: 1)
        #expect(report.text.contains("\u{fffd}]0;x\u{fffd}\u{fffd}\u{fffd}2J"))
        #expect(report.text.split(separator: "\n").count > 3, "lines stay lines")
        #expect(
            report.text.unicodeScalars.allSatisfy { $0 == "\n" || $0.properties.generalCategory != .control })
    }

    @Test(
        arguments: [
            ("{\"kind\":\"decision\"", "{\"kind\":\"decision\",\"kind\":\"decision\""),
            ("{\"kind\":\"decision\"", "{\"kind\": \"decision\""),
            ("\"session\":\"", "\"session\":7,\"s\":\""),
            ("{\"kind\":\"device\"", "{\"kind\":\"device\",\"digest\":\"0\",\"x\":0"),
            ("\"platform\":\"macos\"", "\"platform\":\"linux\""), ("\"healthy-staff\"", "\"healthy-staf\""),
            ("\"version\":1", "\"version\":2"), ("\"renewals\":1", "\"renewals\":0"),
            ("{\"kind\":\"policy\"", "policy"),
        ])
    func `a line that is not as it was written is told, with its number, and the others are read`(
        _ found: String, _ changed: String
    ) throws {
        let fixture = DecisionFixture()
        let text = try logged(fixture)
        let range = try #require(text.range(of: found))
        let replay = try replay(text.replacingCharacters(in: range, with: changed), of: fixture)
        #expect(!replay.isEqual && replay.counts.malformed >= 1)
        #expect(replay.problems.contains { $0.contains("changed.jsonl:") }, "\(replay.problems)")
    }

    @Test func `a log that ends at any byte is read up to there`() throws {
        let fixture = DecisionFixture()
        let bytes = Array(try logged(fixture).utf8)
        let path = "\(fixture.folder)/cut.jsonl"
        for end in stride(from: 0, through: bytes.count, by: 1) where end % 7 == 0 || end > bytes.count - 3 {
            try Data(bytes[..<end]).write(to: URL(filePath: path))
            var replay = Replay(candidate: nil)
            try replay.add(path)
            let isWhole = end == 0 || bytes[end - 1] == 0x0a
            #expect(replay.isEqual, "\(end): \(replay.problems)")
            #expect(replay.counts.truncatedFiles == (isWhole ? 0 : 1), "\(end)")
        }
    }

    @Test(arguments: [
        "key of pseudonyms, 32 bytes", "\u{0}\u{1}", "[]", "{\"time\":\"2026\"", "{\"kind\": \"",
    ])
    func `a file without lines that is no log is told so, and not taken for an empty one`(_ text: String)
        throws
    {
        let fixture = DecisionFixture()
        _ = try logged(fixture)
        let replay = try replay(text, of: fixture)
        #expect(!replay.isEqual && replay.counts.truncatedFiles == 0)
        #expect(
            replay.problems.contains { $0.hasSuffix(":1: is no line of a decision log") },
            "\(replay.problems)")
    }

    @Test func `a line that stands there twice counts once, and one name for two decisions is refused`()
        throws
    {
        let fixture = DecisionFixture()
        let text = try logged(fixture)
        let line = try #require(text.split(separator: "\n").first { $0.contains("\"kind\":\"decision\"") })
        let twice = try replay(text + line + "\n", of: fixture)
        #expect(twice.isEqual && twice.counts.doubled == 1)
        let other = line.replacing("\"result\":\"", with: "\"result\":\"0")
        #expect(try replay(text + other + "\n", of: fixture).counts.malformed == 1)
    }

    @Test func `a line of a later version is passed over, and one that is too long is told`() throws {
        let fixture = DecisionFixture()
        let text = try logged(fixture)
        #expect(try replay(text + "{\"kind\":\"later\",\"x\":1}\n", of: fixture).isEqual)
        let limit = 1 << 20
        for (count, isEqual) in [(limit, true), (limit + 1, false)] {
            let frame = "{\"kind\":\"later\",\"x\":\"\"}".utf8.count
            let long = "{\"kind\":\"later\",\"x\":\"\(String(repeating: "x", count: count - frame))\"}\n"
            #expect(try replay(text + long, of: fixture).isEqual == isEqual, "\(count)")
        }
    }

    @Test func `a person who was erased is gone, and only their decisions can no longer be decided`() throws {
        let fixture = DecisionFixture()
        _ = try logged(fixture)
        let before = try Data(contentsOf: URL(filePath: fixture.files[0])).count
        #expect(try PersonErasure(folder: fixture.folder).erase(email: "eve@other.example") == 1)
        #expect(try PersonErasure(folder: fixture.folder).erase(email: "eve@other.example") == 0)
        #expect(!fixture.text(fixture.files[0]).contains("eve@"))
        #expect(try Data(contentsOf: URL(filePath: fixture.files[0])).count == before)
        let replay = try fixture.replay()
        #expect(replay.isEqual && replay.counts.erased == 2 && replay.counts.decided == 1)
    }

    @Test func `a candidate shows who would be blocked and who would be let in, once for every renewal`()
        throws
    {
        let fixture = DecisionFixture()
        _ = try logged(fixture)
        var candidate = DecisionFixture.policy
        candidate.applications[0].policies[1].include = [
            .emailDomain(EmailDomainCondition(domains: ["other.example"]))
        ]
        candidate.applications[1].policies.remove(at: 1)
        let replay = try fixture.replay(candidate: DecisionFixture.named(candidate))
        #expect(replay.isEqual)
        let words = replay.changes.map { "\($0.key.word) \($0.key.application) \($0.value)" }.sorted()
        #expect(words == ["differs-otherwise wiki 2", "would-block vault 1"])
        #expect(replay.emails.values.sorted() == ["ada@corp.example", "eve@other.example"])
        // Without the application nobody gets there.
        candidate.applications = []
        let none = try fixture.replay(candidate: DecisionFixture.named(candidate))
        #expect(Set(none.changes.keys.map(\.word)) == ["would-block"])
    }
}

@Suite("Requests are decided again from the access log and the decision log")
struct RequestReplayTests {
    private func line(
        _ decision: String?, _ path: String, _ reason: String, application: String = "vault",
        method: String = "GET", client: String = "fe80::1"
    ) -> [UInt8] {
        var members: [(String, JSONValue)] = [
            ("application", .string(application)), ("method", .string(method)), ("path", .string(path)),
            ("client", .string(client)), ("status", 200), ("reason", .string(reason)),
        ]
        if let decision { members.append(("decision", .string(decision))) }
        return JSONObject(members).serialized()
    }

    private func requests(candidate: PolicySnapshot? = nil) throws -> (RequestReplay, String) {
        let fixture = DecisionFixture()
        let recorder = DecisionRecorder(log: try fixture.log())
        let id = recorder.record(try fixture.made("vault", device: fixture.device([], state: .noncompliant)))
        recorder.finish()
        return (RequestReplay(try fixture.replay(candidate: candidate, keepsResiduals: true)), id.text)
    }

    @Test func `every request comes to what the access log says`() throws {
        var (replay, id) = try requests()
        let nobody = "policy-" + DecisionFixture.policy.identity.prefix(32)
        let lines = [
            line(id, "/", "policy-allows"), line(id, "/", "policy-allows"),
            line(id, "/", "restricted-method", method: "POST"),
            line(id, "/", "policy-blocks", client: "192.0.2.1"), line(id, "/", "upstream-timeout"),
            line(id, "/\u{ff}", "policy-allows"),
            line(nobody, "/public/x", "policy-bypasses", application: "wiki"),
            line(nobody, "/private", "sign-in-required", application: "wiki"),
            line(nil, "/.gatepost/x", "reserved-path"),
        ]
        for line in lines { #expect(replay.take(line) == nil) }
        #expect(replay.isEqual, "\(replay.differences)")
        #expect(replay.counts.requests == 9 && replay.counts.decided == 6 && replay.counts.undecided == 1)
    }

    @Test(
        arguments: [
            ("/", "policy-blocks", "GET"), ("/", "restricted-method", "GET"), ("/", "policy-allows", "POST"),
        ])
    func `a request that came to something else is a difference`(
        _ path: String, _ reason: String, _ method: String
    ) throws {
        var (replay, id) = try requests()
        #expect(replay.take(line(id, path, reason, method: method)) == nil)
        #expect(!replay.isEqual && replay.differences.count == 1)
    }

    @Test func `what cannot be decided again is counted, never guessed`() throws {
        var (replay, id) = try requests()
        #expect(replay.take(line(String(repeating: "0", count: 32), "/", "policy-allows")) == nil)
        #expect(replay.take(line("policy-unknown", "/", "policy-allows")) == nil)
        for (count, cut) in [(1_023, 0), (1_024, 1)] as [(Int, Int64)] {
            let path = "/" + String(repeating: "a", count: count - 1)
            #expect(replay.take(line(id, path, "policy-allows")) == nil)
            #expect(replay.counts.cutPaths == cut)
        }
        #expect(replay.counts.unknown == 2)
        #expect(replay.take(Array("{".utf8)) != nil)
        #expect(replay.take(Array("{\"method\":\"GET\"}".utf8)) != nil)
        #expect(replay.take(line(id, "/", "policy-allows", client: "nowhere")) != nil)
        #expect(replay.take(line(id, "/\u{100}", "policy-allows")) != nil)
        #expect(replay.take(Array("{\"event\":\"reactor-stalled\"}".utf8)) == nil)
    }

    @Test func `a candidate is asked about each request`() throws {
        var candidate = DecisionFixture.policy
        candidate.applications[1].policies[2].restriction = Restriction(methods: [.post])
        var (replay, id) = try requests(candidate: DecisionFixture.named(candidate))
        _ = replay.take(line(id, "/a", "policy-allows"))
        _ = replay.take(line(id, "/b", "policy-allows"))
        _ = replay.take(line(id, "/c", "restricted-method", method: "POST"))
        let words = replay.changes.map { "\($0.key.word) \($0.key.after) \($0.value.count)" }.sorted()
        #expect(words == ["would-block restricted-method 2", "would-let-in policy-allows 1"])
    }
}
