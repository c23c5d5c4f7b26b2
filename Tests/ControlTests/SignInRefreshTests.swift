import Access
import Border
import Fetch
import Foundation
import JSON
import Signatures
import Store
import Testing

@testable import Control
@testable import Identity

@Suite("What refreshes of sign-ins do to what people have open")
struct SignInRefreshTests {
    static let issuer = "https://login.corp.example"
    static let config = Gatehouse.config.replacingOccurrences(
        of: "- { name: staff, action: allow, include: [ { email-domain: corp.example } ] }",
        with: "- { name: staff, action: allow, include: [ { group: staff } ] }")

    let outside = Outside()
    let house: Gatehouse

    init() throws {
        house = try Gatehouse(Self.config, fetcher: outside)
        outside.answer(
            "\(Self.issuer)/.well-known/openid-configuration",
            """
            {"issuer":"\(Self.issuer)","authorization_endpoint":"\(Self.issuer)/a","token_endpoint":"\(Self.issuer)/t",
             "jwks_uri":"\(Self.issuer)/k","userinfo_endpoint":"\(Self.issuer)/u","response_types_supported":["code"]}
            """)
        outside.answer(
            "\(Self.issuer)/t", #"{"access_token":"a","token_type":"Bearer","refresh_token":"r2"}"#)
        say(groups: ["staff"])
    }

    private func say(groups: [String]) {
        let list = groups.map { "\"\($0)\"" }.joined(separator: ",")
        outside.answer("\(Self.issuer)/u", #"{"sub":"ada@corp.example","groups":[\#(list)]}"#)
    }

    /// Somebody with a refresh token that is due now.
    private func signIn(groups: [String]) async throws -> (global: String, session: String, digest: [UInt8]) {
        let (global, session, cookie) = try await house.signIn()
        for id in [global.id, session.id] {
            try await Sessions(store: house.store, ring: house.control.ring).change(id) { $0.groups = groups }
        }
        let registration = try #require(
            await house.control.services.flow.refreshSource().registrations.first)
        let idToken = IDToken(
            person: PersonFacts(issuer: Self.issuer, subject: "ada@corp.example", authenticatedAtSeconds: 0),
            claims: [:])
        let kept = try #require(KeptRefresh(["refresh_token": "r1"], nonce: "n", signedInBy: idToken))
        let binding = RefreshBinding(sessionID: global.id, registration: registration)
        try await house.store.keep(
            StoredRefresh(
                sessionID: global.id, provider: "corp",
                sealedToken: kept.sealed(Sealer(ring: house.control.ring), for: binding),
                dueAtSeconds: house.now, refreshedAtSeconds: house.now))
        return (global.id, session.id, cookie.tokenDigest)
    }

    private func refresh() async {
        await house.control.refreshSignIns()
        await house.control.refreshes.settled()
    }

    private func grants(_ session: String) -> Bool? {
        let records = house.reactors.revocations.compactMap { revocation -> SessionRecord? in
            if case .replace(let record) = revocation.effect, record.session == session { return record }
            return nil
        }
        return records.last.map { record in record.residual.policies.contains { $0.grants } }
    }

    @Test(
        "an administrator's ending gives the refresh token back after the cut, and nobody waits for the provider",
        arguments: [
            ["command": "session-end", "person": "ada@corp.example"],
            ["command": "session-end", "provider": "corp"],
            ["command": "session-end", "provider": "corp", "subject": "ada@corp.example"],
            ["command": "session-revoke", "user": "ada@corp.example"],
            ["command": "session-end", "session": ""], ["command": "session-revoke", "session": ""],
        ] as [JSONObject])
    func givenBack(_ command: JSONObject) async throws {
        outside.answer(
            "\(Self.issuer)/.well-known/openid-configuration",
            """
            {"issuer":"\(Self.issuer)","authorization_endpoint":"\(Self.issuer)/a","token_endpoint":"\(Self.issuer)/t",
             "jwks_uri":"\(Self.issuer)/k","revocation_endpoint":"\(Self.issuer)/revoke",
             "response_types_supported":["code"]}
            """)
        outside.answer("\(Self.issuer)/revoke", "{}")
        outside.hold("\(Self.issuer)/revoke")
        let (global, session, _) = try await signIn(groups: ["staff"])
        var command = command
        if command["session"] != nil { command["session"] = .string(global) }
        let answer = await house.control.execute(.object(command))
        #expect(answer["error"] == nil, "\(answer)")
        #expect(house.reactors.revocations.map(\.effect).contains(.endSession(session)))
        // The provider has not answered yet.
        for await url in outside.asked where url == "\(Self.issuer)/revoke" { break }
        outside.letGo()
        await house.control.services.flow.settled()
    }

    @Test("who only loses an application's session keeps the refresh token") func kept() async throws {
        let (global, _, _) = try await signIn(groups: ["staff"])
        _ = await house.control.execute(["command": "session-end", "application": "wiki"])
        await house.control.services.flow.settled()
        #expect(try await house.store.refreshes(sessionIDs: [global]).count == 1)
        outside.finish()
        for await url in outside.asked { #expect(!url.hasSuffix("/revoke")) }
    }

    @Test("a sign-in that the provider took back ends with everything open, a word and an entry in the trail")
    func revoked() async throws {
        let (global, session, digest) = try await signIn(groups: ["staff"])
        #expect(await house.pulled(digest) != nil)
        outside.answer(
            "\(Self.issuer)/t", #"{"error":"invalid_grant","error_description":"AADSTS50173: no"}"#,
            status: 400)
        await refresh()
        #expect(house.reactors.revocations.map(\.effect).contains(.endSession(session)))
        #expect(try await house.store.session(id: global) == nil)
        #expect(await house.pulled(digest) == nil)
        let entry = try #require(try await house.store.audit(limit: 1).first)
        #expect(entry.kind == "sign-in-ended")
        #expect(entry.json.contains(#""reason":"sign-in-revoked""#))
        #expect(entry.json.contains("AADSTS50173"))
        #expect(!entry.json.contains("r1"))
    }

    @Test("a group that is lost cuts what it let in; one that is won opens it, without a sign-in")
    func groups() async throws {
        let (global, session, digest) = try await signIn(groups: ["staff"])
        let record = try #require(await house.pulled(digest))
        #expect(record.residual.policies.contains { $0.grants })
        say(groups: [])
        await refresh()
        #expect(grants(session) == false)
        say(groups: ["staff"])
        house.advance(900)
        house.control.refreshes.uses.note(global, nowSeconds: house.now)
        await refresh()
        #expect(grants(session) == true)
    }

    @Test("an outage cuts nothing and shows in the status; what is refused to us does, too")
    func outage() async throws {
        let (global, session, digest) = try await signIn(groups: ["staff"])
        #expect(await house.pulled(digest) != nil)
        outside.answer("\(Self.issuer)/t", "", status: 503)
        await refresh()
        #expect(grants(session) == nil)
        #expect(try await house.store.session(id: global) != nil)
        house.advance(60)
        let status = await house.control.execute(["command": "status"])
        let line = "corp: sign-ins cannot be refreshed for 60 s: provider-unavailable"
        #expect(status["text"]?.string?.contains(line) == true, "\(status["text"]?.string ?? "")")
        let first = status["sign_in_refresh"]?.array?.first
        #expect(first?["failing"] == .integer(1))
        outside.answer("\(Self.issuer)/t", #"{"error":"invalid_client"}"#, status: 401)
        await refresh()
        #expect(try await house.store.session(id: global) != nil)
        let after = await house.control.execute(["command": "status"])
        #expect(after["text"]?.string?.contains("client-refused (invalid_client)") == true)
    }

    @Test(
        "a session's list shows when it was refreshed, when it is next, and since when it fails; never a token"
    )
    func list() async throws {
        let (global, _, digest) = try await signIn(groups: ["staff"])
        _ = await house.pulled(digest)
        await refresh()
        house.advance(300)
        let list = await house.control.execute(["command": "session-list"])
        let shown = list["sessions"]?.array?.first { $0["id"]?.string == global }
        #expect(shown?["refresh"]?["last"] == .integer(Gatehouse.start))
        #expect(shown?["refresh"]?["failing_since"] == .null)
        #expect(list["text"]?.string?.contains("5 min ago, next in") == true, "\(list["text"]?.string ?? "")")
        let texts = [
            list.serializedText(), await house.control.execute(["command": "status"]).serializedText(),
        ]
        let row = try #require(try await house.store.refresh(sessionID: global))
        for text in texts { #expect(!text.contains("r2") && !text.contains(row.sealedToken)) }
    }

    @Test("200 requests of a session whose refresh rests are one token request")
    func wakes() async throws {
        let (global, _, digest) = try await signIn(groups: ["staff"])
        // Nobody has used it yet.
        await refresh()
        #expect(try await house.store.refresh(sessionID: global)?.dueAtSeconds == nil)
        let house = house
        await withTaskGroup(of: Void.self) { group in
            for reactor in 0..<200 {
                group.addTask {
                    _ = await house.pull(digest, reactor: UInt16(reactor))
                    await house.control.refreshSignIns()
                }
            }
        }
        await refresh()
        let row = try #require(try await house.store.refresh(sessionID: global))
        #expect(row.refreshedAtSeconds == house.now && row.dueAtSeconds != nil)
        outside.finish()
        var tokenRequests = 0
        for await url in outside.asked where url == "\(Self.issuer)/t" { tokenRequests += 1 }
        #expect(tokenRequests == 1)
    }
}
