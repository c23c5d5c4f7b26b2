import Access
import Border
import Foundation
import Identity
import JSON
import Signatures
import Store
import Testing

@testable import Control
@testable import Posture

/// Sessions beside certificates, when something about them changes.
extension CertifiedSessionTests {
    @Test("001.24 a device that goes bad takes the access beside its certificate, and gives it back")
    func changes() async throws {
        let house = try await house("agent, certificate")
        await say(.compliant, house)
        let (_, session, cookie) = try await house.signIn(at: "vault")
        let other = Self.claim(["dns:\(Self.otherGUID)", "email:ada@corp.example"], serial: "02")
        await say(.compliant, house, native: "o", keys: [DeviceKey(.intune, Self.otherGUID)])
        let record = try #require(await pulled(house, cookie.tokenDigest, Self.adas))
        let second = try #require(await pulled(house, cookie.tokenDigest, other))
        #expect(Self.reason(record) == nil && Self.reason(second) == nil)
        func told(since seen: Int, _ digest: [UInt8]) -> SessionRecord? {
            var last: SessionRecord?
            for revocation in house.reactors.revocations.dropFirst(seen) {
                if case .replace(let record) = revocation.effect, record.tokenDigest == digest {
                    last = record
                }
            }
            return last
        }
        for (state, reason) in [
            (Verdict.State.noncompliant, Reason?.some(.postureNonCompliant)), (.compliant, nil),
        ] {
            let seen = house.reactors.revocations.count
            house.advance(1)
            await say(state, house)
            let mine = try #require(told(since: seen, record.tokenDigest))
            #expect(Self.reason(mine) == reason && mine.certificate?.digest == Self.adas.tokenDigest)
            // Beside the other certificate, and without one, it is as it was.
            #expect(told(since: seen, second.tokenDigest).map(Self.reason) ?? nil == nil)
            #expect(Self.reason(told(since: seen, cookie.tokenDigest)) != nil)
        }
        // The session's end is the end beside every certificate.
        _ = try await house.control.end([session.id])
        #expect(house.control.certified.count == 0)
        #expect(house.control.revocations.latest(record.name) == nil)
    }

    @Test func `a certificate's end is the record's, and a revoked serial number counts at once no more`()
        async throws
    {
        let house = try await house()
        await say(.compliant, house)
        let (_, _, cookie) = try await house.signIn(at: "vault")
        let short = Self.claim(
            ["dns:\(Self.guid)", "email:ada@corp.example"], serial: "0c0ffee1", until: house.now + 50)
        let record = try #require(await pulled(house, cookie.tokenDigest, short))
        #expect(record.expiresAtSeconds == house.now + 50 && record.streamsUntilSeconds == house.now + 50)
        #expect(record.residual.validUntilSeconds <= house.now + 50)
        let seen = house.reactors.revocations.count
        let answer = await house.control.execute(
            .object(JSONObject([("command", "device-revoke"), ("serial", "0C:0F:FE:E1")])))
        let effects = house.reactors.revocations.dropFirst(seen).map(\.effect)
        let replaced = effects.compactMap { effect -> SessionRecord? in
            if case .replace(let record) = effect, record.certificate != nil { record } else { nil }
        }
        #expect(replaced.last.map(Self.reason) == .some(.deviceCertificateRequired), "\(answer)")
        #expect(Self.reason(await pulled(house, cookie.tokenDigest, short)) == .deviceCertificateRequired)
    }

    @Test func `a renewal keeps the certificate, and a reload without it makes the record one without`()
        async throws
    {
        let house = try await house("agent, certificate")
        await say(.compliant, house)
        let (_, _, cookie) = try await house.signIn(at: "vault")
        let record = try #require(await pulled(house, cookie.tokenDigest, Self.adas))
        house.advance(70)
        await house.control.renew(record.tokenDigest, "vault")
        guard case .replace(let renewed)? = house.reactors.revocations.last?.effect else {
            Issue.record("nothing was renewed")
            return
        }
        #expect(renewed.tokenDigest == record.tokenDigest && Self.reason(renewed) == nil)
        try house.rewrite {
            $0.replacingOccurrences(of: "device-proofs: [agent, certificate]", with: "device-owner: any")
        }
        _ = try await house.control.reload()
        let last = house.reactors.revocations.compactMap { revocation -> SessionRecord? in
            if case .replace(let new) = revocation.effect, new.tokenDigest == record.tokenDigest {
                new
            } else {
                nil
            }
        }.last
        #expect(last?.residual.validUntilSeconds == 0)
        #expect(last?.openResidual?.policies.isEmpty == true)
    }

    @Test func `a device that a first decision finds is news: what came meanwhile is decided once more`()
        async throws
    {
        let house = try await house()
        await say(.compliant, house)
        let (_, session, cookie) = try await house.signIn(at: "vault")
        let use = CertifiedSession(
            secretDigest: cookie.tokenDigest, claim: Self.adas, application: "vault", session: session.id,
            usedAtSeconds: house.now)
        let certified = house.control.certified
        certified.keep(use)
        for (device, isNews) in [
            ("d1", true), ("d1", false), ("d2", true), (nil, false), (nil, false), ("d1", true),
        ] as [(String?, Bool)] {
            #expect(
                certified.note(device: device, of: use.digest, nowSeconds: house.now) == isNews,
                "\(device ?? "-")")
        }
        certified.forget(session: session.id)
        let before = house.control.decisions.evaluations.value
        _ = try #require(await pulled(house, cookie.tokenDigest, Self.adas))
        let first = house.control.decisions.evaluations.value - before
        // Known already: once is enough.
        house.advance(200)
        let again = house.control.decisions.evaluations.value
        _ = try #require(await pulled(house, cookie.tokenDigest, Self.adas))
        #expect(first > house.control.decisions.evaluations.value - again, "\(first)")
    }

    @Test func `what nobody asked about for long is forgotten, and a forgotten one is decided without`()
        async throws
    {
        let house = try await house()
        await say(.compliant, house)
        let (_, _, cookie) = try await house.signIn(at: "vault", seconds: 9_000)
        let record = try #require(await pulled(house, cookie.tokenDigest, Self.adas))
        house.advance(CertifiedSessions.idleSeconds - 1)
        house.control.certified.sweep(nowSeconds: house.now)
        #expect(house.control.certified.count == 1)
        house.advance(1)
        house.control.certified.sweep(nowSeconds: house.now)
        #expect(house.control.certified.count == 0)
        await house.control.renew(record.tokenDigest, "vault")
        guard case .replace(let bare)? = house.reactors.revocations.last?.effect else {
            Issue.record("nobody was told")
            return
        }
        #expect(bare.tokenDigest == record.tokenDigest && bare.residual.validUntilSeconds == 0)
    }

    @Test func `a reload that takes nothing ends nobody's streams, with many sessions beside certificates`()
        async throws
    {
        let house = try await house()
        await say(.compliant, house)
        var records: [SessionRecord] = []
        // More than one step of those who lose nothing.
        for _ in 0..<60 {
            let (_, _, cookie) = try await house.signIn(at: "vault")
            records.append(try #require(await pulled(house, cookie.tokenDigest, Self.adas)))
        }
        let seen = house.reactors.revocations.count
        try house.rewrite {
            $0.replacing("    device-proofs:", with: "    device-owner: same-person\n    device-proofs:")
        }
        _ = try await house.control.reload()
        var last: [[UInt8]: SessionRecord] = [:]
        for revocation in house.reactors.revocations.dropFirst(seen) {
            if case .replace(let record) = revocation.effect {
                last[record.tokenDigest] = record
            } else {
                Issue.record("\(revocation.effect)")
            }
        }
        for record in records { #expect(last[record.tokenDigest].map(Self.reason) == .some(nil)) }
    }

    @Test func `a store that refuses the revocation of a serial number does not keep what is open beside it`()
        async throws
    {
        let house = try await house()
        await say(.compliant, house)
        let (_, session, cookie) = try await house.signIn(at: "vault")
        let certificate = Self.claim(["dns:\(Self.guid)", "email:ada@corp.example"], serial: "0c0ffee1")
        #expect(Self.reason(await pulled(house, cookie.tokenDigest, certificate)) == nil)
        let seen = house.reactors.revocations.count
        await house.store.close()
        let answer = await house.control.execute(
            .object(JSONObject([("command", "device-revoke"), ("serial", "0c0ffee1")])))
        #expect(answer["error"] != nil, "\(answer)")
        let ended = house.reactors.revocations.dropFirst(seen).contains { revocation in
            if case .endSession(session.id) = revocation.effect { true } else { false }
        }
        #expect(ended)
    }

    @Test func `a device whose decisions are made anew is not forgotten while something of it is open`()
        async throws
    {
        let house = try await house()
        await say(.compliant, house)
        let (_, _, cookie) = try await house.signIn(at: "vault", seconds: 9_000)
        _ = try #require(await pulled(house, cookie.tokenDigest, Self.adas))
        // Its streams go on until 900 s after this, and no reactor asks before.
        house.advance(600)
        let keys = [DeviceKey(.intune, Self.guid), DeviceKey(.serial, "C02XL0GYJGH5")]
        await say(.compliant, house, keys: keys)
        house.advance(CertifiedSessions.idleSeconds - 1)
        house.control.certified.sweep(nowSeconds: house.now)
        #expect(house.control.certified.count == 1)
        // A clock that is set back forgets nobody.
        house.control.certified.sweep(nowSeconds: house.now - 9_000)
        #expect(house.control.certified.count == 1)
    }
}
