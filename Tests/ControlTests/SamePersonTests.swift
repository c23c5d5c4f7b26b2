import Access
import Border
import Identity
import JSON
import Posture
import Signatures
import Store
import Testing

@testable import Control

@Suite("One person at two registrations: their device, their signals, their enrolment")
struct SamePersonTests {
    private static let issuer = "https://login.corp.example"

    private func link(_ house: Gatehouse, _ subjects: [String], account: String = "o@t") async throws {
        for subject in subjects {
            try await house.store.link(issuer: Self.issuer, subject: subject, account: account)
        }
    }

    /// Bo at the vault on a device that Ada enrolled.
    private func onAdasDevice(_ house: Gatehouse) async throws -> (
        global: StoredSession, record: SessionRecord
    ) {
        try await house.enroll("d1")
        let (global, _, cookie) = try await house.signIn("bo@corp.example", at: "vault", device: "d1")
        return (global, try #require(await house.pulled(cookie.tokenDigest, "vault")))
    }

    private func isOpen(_ record: SessionRecord) -> Bool {
        record.residual.policies.contains(where: \.grants)
    }

    @Test("004.19 a device enrolled by the person's name at the one registration is theirs at the other")
    func ownDevice() async throws {
        let house = try Gatehouse()
        try await link(house, ["ada@corp.example", "bo@corp.example"])
        let (global, before) = try await onAdasDevice(house)
        // Not before the session knows: the table alone changes no decision behind anybody's back.
        #expect(!isOpen(before))
        let sessions = Sessions(store: house.store, ring: house.control.ring)
        let subjects = try await house.store.subjects(issuer: Self.issuer, subject: "bo@corp.example")
        try await sessions.change(global.id) { Sessions.note(subjects: subjects, in: &$0) }
        try await house.control.globalChanged(global.id, .deviceCheck)
        let own = try await house.store.sessions(.global(id: global.id), limit: 1)
        let after = try #require(await house.pulled(own[0].tokenDigest, "vault"))
        #expect(isOpen(after))
    }

    @Test("somebody else's device stays somebody else's, whatever other issuers or accounts say")
    func othersDevice() async throws {
        let house = try Gatehouse()
        try await link(house, ["ada@corp.example"], account: "o@t")
        try await link(house, ["bo@corp.example"], account: "p@t")
        try await house.store.link(
            issuer: "https://lax.example", subject: "bo@corp.example", account: "o@t")
        let (global, record) = try await onAdasDevice(house)
        #expect(!isOpen(record))
        #expect(record.residual.refusal == .deviceOwnerMismatch)
        var device = DeviceFacts(
            id: "d1", platform: .linux, ownerIssuer: Self.issuer, ownerSubject: "ada@corp.example")
        #expect(device.asSeen(by: global).ownerSubject == "ada@corp.example")
        var knowing = global
        Sessions.note(subjects: ["ada@corp.example", "bo@corp.example"], in: &knowing)
        #expect(device.asSeen(by: knowing).ownerSubject == "bo@corp.example")
        device.ownerIssuer = "https://lax.example"
        #expect(device.asSeen(by: knowing).ownerSubject == "ada@corp.example")
    }

    @Test("a signal about the one name ends the sessions of both")
    func signal() async throws {
        let house = try Gatehouse()
        try await link(house, ["ada@corp.example", "bo@corp.example"])
        let (_, session, cookie) = try await house.signIn("bo@corp.example")
        let (_, _, other) = try await house.signIn("cy@corp.example")
        var target = SignalTarget()
        target.persons = [.identity(issuer: Self.issuer, subject: "ada@corp.example")]
        try await house.control.carryOut(
            [.endSessions(target)],
            of: SignalOrigin(stream: "s", tokenID: "j", transaction: nil, event: "session-revoked"))
        #expect(house.reactors.revocations.map(\.effect) == [.endSession(session.id)])
        #expect(await house.pulled(cookie.tokenDigest) == nil)
        #expect(await house.pulled(other.tokenDigest) != nil)
    }

    @Test("an address that two registrations vouch for is one person, enrolled under the name seen first")
    func enrolment() async throws {
        let house = try Gatehouse()
        try await link(house, ["first", "second"])
        let sessions = Sessions(store: house.store, ring: house.control.ring)
        for subject in ["second", "first"] {
            _ = try await sessions.createGlobal(
                person: PersonFacts(issuer: Self.issuer, subject: subject, email: "eve@corp.example"),
                provider: "corp", host: "auth.corp.example", idToken: nil, nowSeconds: house.now,
                lifetimeSeconds: 3_600)
        }
        let commands: [JSONValue] = [
            ["command": "enroll-token", "email": "eve@corp.example"],
            [
                "command": "enroll-token", "email": "eve@corp.example", "identity_provider": "corp",
                "subject": "second",
            ],
        ]
        for command in commands {
            let token = try #require(await house.control.execute(command)["token"]?.string)
            let redeemed = try await house.store.redeem(
                enrollmentTokenDigest: Digest.sha256(Array(token.utf8)), nowSeconds: 0)
            #expect(redeemed?.subject == "first")
        }
    }

    @Test("ending a person by their address counts them once, in a dry run as when it is done")
    func endedOnce() async throws {
        let house = try Gatehouse()
        try await link(house, ["first", "second"])
        let sessions = Sessions(store: house.store, ring: house.control.ring)
        for subject in ["first", "second", "other"] {
            _ = try await sessions.createGlobal(
                person: PersonFacts(issuer: Self.issuer, subject: subject, email: "eve@corp.example"),
                provider: "corp", host: "auth.corp.example", idToken: nil, nowSeconds: house.now,
                lifetimeSeconds: 3_600)
        }
        let command: JSONObject = ["command": "session-end", "person": "eve@corp.example"]
        var dry = command
        dry["dry_run"] = true
        let planned = await house.control.execute(.object(dry), uid: 1_000)
        let done = await house.control.execute(.object(command), uid: 1_000)
        for name in ["sign_ins", "sessions", "people"] { #expect(planned[name] == done[name], "\(name)") }
        #expect(done["sign_ins"] == 3)
    }
}

@Suite("A session of a provider that an application does not accept, after the list has changed")
struct AcceptedProvidersTests {
    private static let text = Gatehouse.config.replacing(
        "identity-providers:\n  corp: {",
        with: """
            identity-providers:
              lab: { issuer: "https://lab.example", client-id: gatepost, client-secret: { file: secrets/corp } }
              corp: {
            """)

    @Test("004.19 its record lets nobody in and says why, and what is open is cut by the reload")
    func reload() async throws {
        let house = try Gatehouse(Self.text)
        let (_, session, cookie) = try await house.signIn()
        let before = try #require(await house.pulled(cookie.tokenDigest))
        #expect(before.residual.policies.contains { $0.grants })
        // The other application is as it was: its sessions are nobody's business here.
        let (_, _, otherCookie) = try await house.signIn("bo@corp.example", at: "vault")
        _ = await house.pulled(otherCookie.tokenDigest, "vault")
        house.reactors.clear()
        try house.rewrite {
            $0.replacing(
                "identity-providers: [ corp ]\n    fields", with: "identity-providers: [ lab ]\n    fields")
        }
        _ = try await house.control.reload()
        let after = try #require(await house.pulled(cookie.tokenDigest))
        #expect(!after.residual.isSignedIn)
        #expect(after.residual.refusal == .identityProviderNotAccepted)
        #expect(!after.residual.policies.contains { $0.grants })
        #expect(after.identityFields.isEmpty, "nothing is asserted of somebody who does not count")
        let touched = house.reactors.revocations.map { "\($0.effect)" }.joined(separator: " ")
        #expect(touched.contains(session.id), "\(touched)")
        let vault = try #require(await house.pulled(otherCookie.tokenDigest, "vault"))
        #expect(vault.residual.isSignedIn, "its application accepts its provider as before")
    }
}
