import Access
import JSON
import Signatures
import Store
import Testing

@testable import Posture

/// "é" as one code point and as "e" with an accent: one text to `String.==`, two names to everybody else.
enum Accent {
    static let composed = "caf\u{e9}"
    static let decomposed = "cafe\u{301}"
    /// A letter that is canonically equivalent to an ASCII one.
    static let kelvin = "\u{212a}"
}

@Suite("Who and what is compared byte for byte: canonically equivalent names are two names")
struct ExactTextTests {
    @Test("the pairs of this suite are equal to String itself") func premise() {
        #expect(Accent.composed == Accent.decomposed && "K" == Accent.kelvin)
        #expect(ExactKey(Accent.composed) != ExactKey(Accent.decomposed))
        #expect(Set([ExactKey(Accent.composed), ExactKey(Accent.decomposed)]).count == 2)
        #expect(!ExactText.isEqual([Accent.composed], [Accent.decomposed]))
    }

    @Test("a device of composed subject is not one of decomposed subject") func owner() async throws {
        let setting = try Setting()
        let agent = try await setting.enroll(subject: Accent.composed)
        for (subject, expected) in [
            (Accent.decomposed, Reason.deviceOwnerMismatch), (Accent.composed, nil),
        ] {
            let (transaction, challenge) = try await setting.challenge()
            let assertion = try agent.assertion(
                for: challenge, now: setting.clock.now, counter: expected == nil ? 2 : 1)
            #expect(await setting.refusal(transaction, assertion, subject: subject) == expected)
        }
    }

    @Test("a place is not taken by the equivalent name of its owner") func succession() async throws {
        let setting = try Setting()
        let old = try await setting.enroll(JSONObject([("serial", "PF3")]), subject: Accent.composed)
        let laptop = Laptop(setting: setting, old: old)
        let ids = JSONObject([("serial", "PF3")])
        _ = try await laptop.enroll(
            .init(ids: ids, subject: Accent.decomposed, tokenSerial: "PF3", signer: old))
        #expect(await !laptop.isOldRevoked())
        _ = try await laptop.enroll(.init(ids: ids, subject: Accent.composed, signer: old))
        #expect(await laptop.isOldRevoked())
    }

    @Test("the directory keeps devices of equivalent ids apart, over revocation and counters") func devices()
    {
        func device(_ id: String, _ thumbprint: String) -> StoredDevice {
            StoredDevice(
                id: id, ownerIssuer: "i", ownerSubject: id, keyThumbprint: thumbprint, certificateSerial: "1",
                enrolledAtSeconds: 0, certificateNotAfterSeconds: 1)
        }
        var directory = DeviceDirectory([
            device(Accent.composed, "K"), device(Accent.decomposed, Accent.kelvin),
        ])
        #expect(directory.all.count == 2)
        #expect(directory.revoke(Accent.composed)?.isRevoked == true)
        #expect(!directory.isRevoked(Accent.decomposed))
        #expect(directory.count(5, of: device(Accent.composed, "K")) == 5)
        #expect(directory.count(5, of: device(Accent.decomposed, Accent.kelvin)) == 5)
        #expect(directory.successor(ofThumbprint: "K").map(ExactKey.init) == ExactKey(Accent.composed))
        #expect(
            directory.successor(ofThumbprint: Accent.kelvin).map(ExactKey.init) == ExactKey(Accent.decomposed)
        )
    }

    @Test("a transaction is found under its own bytes and its own session only") func transactions() throws {
        var transactions = Transactions()
        try transactions.start(
            Transaction(
                id: "K1", globalSession: Accent.composed, application: "wiki", returnPath: "/",
                agent: "agents",
                deviceOwner: .any, startedAtSeconds: 0))
        _ = try transactions.find("K1", globalSession: Accent.composed, nowSeconds: 0)
        #expect(throws: PostureRefusal.self) {
            try transactions.find(Accent.kelvin + "1", globalSession: Accent.composed, nowSeconds: 0)
        }
        #expect(throws: PostureRefusal.self) {
            try transactions.find("K1", globalSession: Accent.decomposed, nowSeconds: 0)
        }
        transactions.remove(Accent.kelvin + "1")
        #expect(transactions.count == 1)
    }

    static func record(_ native: String, _ integration: String, _ state: Verdict.State) -> VerdictRecord {
        VerdictRecord(
            verdict: Verdict(
                id: native, integration: integration, provider: "test", nativeID: native, state: state,
                observedAtSeconds: 10, fetchedAtSeconds: 10, expiresAtSeconds: 1_000, matchKey: "serial",
                matchStrength: .strong), keys: [DeviceKey(.serial, "PF3")].compactMap { $0 })
    }

    @Test("records of equivalent native ids or integrations are two records") func verdicts() async throws {
        let cache = VerdictCache(store: MemoryStore())
        let records = [
            Self.record(Accent.composed, "intune", .compliant),
            Self.record(Accent.decomposed, "intune", .noncompliant),
        ]
        _ = await cache.apply(VerdictRecords(records), of: "intune", nowSeconds: 10)
        let other = Self.record("n", Accent.composed, .compliant)
        _ = await cache.apply([other], of: Accent.composed, nowSeconds: 10)
        let key = try #require(DeviceKey(.serial, "PF3"))
        #expect(await cache.records(of: "intune", key: key).count == 2)
        #expect(await cache.records(of: Accent.composed, key: key).count == 1)
        #expect(await cache.records(of: Accent.decomposed, key: key).isEmpty)
        _ = await cache.replace(
            integration: Accent.decomposed, with: [], startedAtSeconds: 20, ttlSeconds: 5, nowSeconds: 20)
        #expect(await cache.records(of: Accent.composed, key: key).first?.verdict.state == .compliant)
        #expect(await cache.completedAt(Accent.composed) == nil)
    }

    @Test("provider ids are ASCII or nothing, so their texts have one spelling") func deviceKeys() {
        let table: [(DeviceKey.Kind, String)] = [
            (.serial, "P\(Accent.kelvin)3"), (.tanium, Accent.composed), (.tanium, "\(Accent.kelvin)"),
            (.intune, "5c1d9b7e-0a0e-4d51-9a0f-8d7b7a0d1c1\u{ff11}"), (.mac, "7c214a0b1c2\u{ff44}"),
            (.falcon, String(repeating: "\u{ff41}", count: 32)),
        ]
        for (kind, raw) in table { #expect(DeviceKey(kind, raw) == nil, "\(kind) \(raw)") }
    }
}

extension Laptop {
    init(setting: Setting, old: FakeAgent) {
        self.setting = setting
        self.old = old
    }
}
