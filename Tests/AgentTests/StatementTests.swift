import Access
import Foundation
import Glibc
import JSON
import Posture
import Signatures
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
}
