import Access
import Foundation
import Glibc
import JSON
import Posture
import Signatures
import Synchronization
import Testing

@testable import gatepost_agent

@Suite("The agent answers with a management server's statement where the gateway prefers one")
struct StatementTests {
    static func statement(
        _ machine: AgentSetting, thumbprint: Bool = true, ends: Int64 = 3_600,
        key: SigningKey? = nil
    ) -> String {
        let key = (key ?? machine.identity.key).publicKey
        return JWS.sign(
            header: JSONObject([("typ", "device-statement+jwt")]),
            payload: JSONObject([
                ("sub", "managed-1"), ("exp", .integer(AgentSetting.now + ends)),
                (
                    "cnf",
                    thumbprint ? ["jkt": .string(key.thumbprint)] : ["jwk": .object(key.jwk)]
                ),
            ]), with: SigningKey.generateP256())
    }

    static func put(_ text: String, _ setting: AgentSetting, mode: mode_t = 0o600) throws {
        try setting.folder.put("/statement.jwt", text)
        chmod(setting.folder.path + "/statement.jwt", mode)
    }

    /// Answer and header of its assertion.
    static func answer(_ setting: AgentSetting, profiles: JSONValue) throws -> (JSONValue, JWS) {
        let answer = setting.ask(setting.challenge(payload: { $0["profiles"] = profiles }))
        let body = try JSONValue(parsing: answer.body)
        return (body, try JWS(compact: body["assertion"]?.string ?? ""))
    }

    @Test(
        "with a statement the answer has no certificate, the server's name for the device, and the key by its kind",
        arguments: [true, false])
    func stated(_ thumbprint: Bool) throws {
        let setting = try AgentSetting()
        let text = Self.statement(setting, thumbprint: thumbprint)
        try Self.put(text + "\n", setting)
        for profiles: JSONValue in [["stmt"], ["stmt", "x5c"]] {
            let (body, jws) = try Self.answer(setting, profiles: profiles)
            #expect(body["statement"]?.string == text)
            #expect(jws.header["x5c"] == nil && (jws.header["jwk"] != nil) == thumbprint)
            #expect(try jws.payloadObject["sub"] == "managed-1")
            #expect(jws.verify(with: setting.identity.key.publicKey))
        }
    }

    @Test("without a fitting statement, or where certificates are preferred, the answer is as it always was")
    func certified() throws {
        let rows: [(String, (AgentSetting) throws -> Void, JSONValue)] = [
            ("no file", { _ in }, ["stmt", "x5c"]),
            ("certificates preferred", { try Self.put(Self.statement($0), $0) }, ["x5c", "stmt"]),
            ("certificates only", { try Self.put(Self.statement($0), $0) }, ["x5c"]),
            ("ended", { try Self.put(Self.statement($0, ends: 0), $0) }, ["stmt", "x5c"]),
            (
                "about another key", { try Self.put(Self.statement($0, key: .generateP256()), $0) },
                ["stmt", "x5c"]
            ),
            ("no token", { try Self.put("hello", $0) }, ["stmt", "x5c"]),
            ("readable by others", { try Self.put(Self.statement($0), $0, mode: 0o644) }, ["stmt", "x5c"]),
            ("too long", { try Self.put(String(repeating: "a", count: 8_193), $0) }, ["stmt", "x5c"]),
        ]
        for (name, prepare, profiles) in rows {
            let setting = try AgentSetting()
            try prepare(setting)
            let (body, jws) = try Self.answer(setting, profiles: profiles)
            #expect(body["statement"] == nil && jws.header["x5c"] != nil, "\(name)")
            #expect(try jws.payloadObject["sub"] == "device-1", "\(name)")
        }
    }

    @Test("a gateway that accepts neither way gets no answer") func neither() throws {
        let setting = try AgentSetting()
        let answer = setting.ask(setting.challenge(payload: { $0["profiles"] = ["dice"] }))
        #expect(AgentSetting.word(answer) == "request-malformed")
    }

    @Test("a file of no use says why, for people and once in the log; a good one says until when")
    func told() throws {
        let setting = try AgentSetting()
        func state() -> (problem: String?, ends: Int64?) {
            StatementFile.state(in: setting.identity, nowSeconds: AgentSetting.now)
        }
        #expect(state().problem == nil && state().ends == nil, "no file is no problem")
        let good = Self.statement(setting)
        let rows: [(String, mode_t, String)] = [
            (good, 0o644, "others can read it"), ("x", 0o600, "no statement about a device"),
            ("", 0o600, "no statement about a device"),
            (String(repeating: "x", count: StatementFile.bytesMax + 1), 0o600, "longer than 8192 bytes"),
            (Self.statement(setting, key: .generateP256()), 0o600, "names another key"),
            (Self.statement(setting, thumbprint: false, key: .generateP256()), 0o600, "names another key"),
            (Self.statement(setting, ends: 0), 0o600, "it ended 0 s ago"),
        ]
        for (text, mode, words) in rows {
            try Self.put(text, setting, mode: mode)
            #expect(state().problem?.contains(words) == true, "\(words): \(state().problem ?? "none")")
            #expect(state().ends == nil)
        }
        for thumbprint in [true, false] {
            try Self.put(Self.statement(setting, thumbprint: thumbprint), setting)
            #expect(state().problem == nil && state().ends == AgentSetting.now + 3_600)
        }
    }

    @Test("status names a statement that is not used and ends with 1; a good one only says until when")
    func status() throws {
        let setting = try AgentSetting()
        let rules = try AgentConfiguration(bytes: Array("{}".utf8))[AgentSetting.origin]
        var status = EnrolmentStatus(
            enrolment: setting.identity.enrolment, rules: rules, nowSeconds: AgentSetting.now)
        let plain = (status.text, status.needsSomebody)
        #expect(!plain.0.contains("statement "))
        status.statement = ("it names another key than this device's", nil)
        #expect(
            status.needsSomebody && status.text.hasSuffix("NOT USED: it names another key than this device's")
        )
        status.statement = (nil, AgentSetting.now + 60)
        #expect(status.needsSomebody == plain.1 && status.text.contains("\n  statement     until 2030-"))
    }

    @Test("a running agent says it when a statement becomes useless, once, and again after it was good")
    func once() throws {
        let folder = try TemporaryFolder()
        let machine = try TwoGateways(folder)
        let said = SaidLines()
        let running = RunningGateways(
            folders: machine.folders,
            clock: AgentClock(nowSeconds: { AgentSetting.now }, nowMilliseconds: { 0 }),
            log: EventLog(hasPrefix: false) { line in said.lines.withLock { $0.append(line) } }
        ) { identity throws(AgentError) in
            let maker = AssertionMaker(
                identity: identity,
                collector: FactCollector(root: HostRoot("/nonexistent"), probes: [OperatingSystemFact()]),
                counter: try StatementCounter(folder: identity.folder))
            return AttestGate(identity: identity, maker: maker, users: [1000], peerUser: { _ in 1000 })
        }
        try running.reload()
        defer { running.stop() }
        func count() -> Int { said.lines.withLock { $0.count { $0.contains("event=statement-unusable") } } }
        #expect(count() == 0)
        let file = try machine.folders.folder(of: machine.settings[0].origin)
        try file.write(StatementFile.name, Array("x".utf8))
        for _ in 0..<3 { try running.reload() }
        #expect(count() == 1)
        #expect(said.lines.withLock { $0.last?.contains("gateway=\(machine.settings[0].origin)") } == true)
        try file.remove(StatementFile.name)
        try running.reload()
        try file.write(StatementFile.name, Array("x".utf8))
        try running.reload()
        #expect(count() == 2)
    }
}
