import Access
import Border
import Config
import Foundation
import GRDB
import Identity
import JSON
import Posture
import Signatures
import Store
import Testing

@testable import Control

@Suite("Session records for reactors")
struct RedecisionTests {
    @Test func `an unknown token is no session`() async throws {
        let house = try Gatehouse()
        let answer = await house.pull([UInt8](repeating: 7, count: 32))
        guard case .session(_, nil)? = answer else {
            Issue.record("\(String(describing: answer))")
            return
        }
    }

    @Test func `a record carries the decision, the assertion and the configured fields`() async throws {
        let house = try Gatehouse()
        let (_, session, cookie) = try await house.signIn()
        let record = try #require(await house.pulled(cookie.tokenDigest))
        #expect(record.session == session.id)
        #expect(record.tokenDigest == cookie.tokenDigest)
        #expect(record.residual.policies.map(\.name) == ["staff"])
        #expect(record.renewAtSeconds == house.now + 60)
        #expect(record.residual.validUntilSeconds == house.now + 100)
        #expect(record.streamsUntilSeconds == house.now + 900)
        let fields = String(decoding: record.identityFields, as: UTF8.self)
        #expect(fields.hasPrefix("Gatepost-Assertion: ey"))
        #expect(fields.hasSuffix("\r\nX-Remote-User: ada@corp.example\r\n"))
    }

    @Test func `nothing of a record outlives its session`() async throws {
        let house = try Gatehouse()
        let (_, _, cookie) = try await house.signIn(seconds: 50)
        let record = try #require(await house.pulled(cookie.tokenDigest))
        #expect(record.residual.validUntilSeconds == house.now + 50)
        #expect(record.streamsUntilSeconds == house.now + 50)
        house.advance(50)
        #expect(await house.pulled(cookie.tokenDigest) == nil)
    }

    @Test func `a token of one application is no session at another`() async throws {
        let house = try Gatehouse()
        let (_, _, cookie) = try await house.signIn(at: "wiki")
        #expect(await house.pulled(cookie.tokenDigest, "vault") == nil)
        #expect(await house.pulled(cookie.tokenDigest, "wiki") != nil)
        #expect(await house.pulled(cookie.tokenDigest, "vault") == nil)
    }

    @Test func `a second reactor gets what the first one waited for`() async throws {
        let house = try Gatehouse()
        let (_, session, cookie) = try await house.signIn()
        let first = try #require(await house.pulled(cookie.tokenDigest, reactor: 0))
        // Only the table can answer now: the store no longer has it, and nobody was told.
        try await house.store.remove(sessionIDs: [session.id])
        let second = try #require(await house.pulled(cookie.tokenDigest, reactor: 1))
        #expect(second.identityFields == first.identityFields)
        #expect(house.reactors.sent.map(\.reactor) == [0, 1])
    }

    @Test func `an ended session is not handed out again`() async throws {
        let house = try Gatehouse()
        let (_, session, cookie) = try await house.signIn()
        _ = await house.pull(cookie.tokenDigest)
        try await house.control.end([session.id])
        #expect(await house.pulled(cookie.tokenDigest) == nil)
        #expect(house.reactors.revocations.map(\.effect) == [.endSession(session.id)])
    }

    @Test func `a store that fails is a failure, not a missing session`() async throws {
        let house = try Gatehouse()
        let (_, _, cookie) = try await house.signIn()
        try house.breakSessions()
        guard case .sessionUnavailable? = await house.pull(cookie.tokenDigest) else {
            Issue.record("a broken store was taken for an answer")
            return
        }
    }

    @Test func `one renewal serves every reactor`() async throws {
        let house = try Gatehouse()
        let (_, _, cookie) = try await house.signIn()
        _ = await house.pull(cookie.tokenDigest)
        await house.control.renew(cookie.tokenDigest, "wiki")
        let pulled = try #require(await house.pulled(cookie.tokenDigest))
        // Somebody else pulled it: whoever asks has an older one, gets this one, and none is made anew.
        guard case .replace(let same)? = house.reactors.revocations.last?.effect else {
            Issue.record("the reactor that asked was told nothing")
            return
        }
        #expect(same.identityFields == pulled.identityFields)
        house.reactors.clear()
        house.advance(60)
        await house.control.renew(cookie.tokenDigest, "wiki")
        guard case .replace(let record)? = house.reactors.revocations.first?.effect else {
            Issue.record("no fresh record")
            return
        }
        #expect(record.identityFields != pulled.identityFields)
        #expect(record.residual.validUntilSeconds == house.now + 100)
    }

    @Test func `the renewal of a session that is gone ends it everywhere`() async throws {
        let house = try Gatehouse()
        let (_, session, cookie) = try await house.signIn()
        _ = await house.pull(cookie.tokenDigest)
        try await house.store.remove(sessionIDs: [session.id])
        house.advance(60)
        await house.control.renew(cookie.tokenDigest, "wiki")
        #expect(house.reactors.revocations.map(\.effect) == [.endSession(session.id)])
    }

    @Test func `a renewal that cannot read the store changes nothing`() async throws {
        let house = try Gatehouse()
        let (_, _, cookie) = try await house.signIn()
        _ = await house.pull(cookie.tokenDigest)
        house.advance(60)
        try house.breakSessions()
        await house.control.renew(cookie.tokenDigest, "wiki")
        #expect(house.reactors.revocations.isEmpty)
    }

    @Test func `a revoked device's sessions are decided anew and refused`() async throws {
        let house = try Gatehouse()
        try await house.enroll("laptop")
        let (global, session, cookie) = try await house.signIn(at: "vault", device: "laptop")
        let before = try #require(await house.pulled(cookie.tokenDigest, "vault"))
        #expect(before.residual.policies.map(\.name) == ["staff"])
        #expect(before.device == "laptop")
        #expect(try await house.control.services.posture.revoke(deviceID: "laptop"))
        await house.control.deviceChanged("laptop", 5)
        guard case .replace(let record)? = house.reactors.revocations.last?.effect else {
            Issue.record("nothing was decided anew")
            return
        }
        #expect(record.session == session.id)
        #expect(record.residual.policies.isEmpty)
        #expect(house.reactors.revocations.last?.eventNanoseconds == 5)
        #expect(global.deviceID == "laptop")
    }

    @Test func `what a device has open ends when nobody can read whose it is`() async throws {
        let house = try Gatehouse()
        try house.breakSessions()
        await house.control.deviceChanged("laptop", 5)
        #expect(house.reactors.revocations.map(\.effect) == [.endDevice("laptop")])
    }

    @Test func `an expired application session is ended by its redecision`() async throws {
        let house = try Gatehouse()
        let (global, session, _) = try await house.signIn(seconds: 100)
        house.advance(100)
        try await house.control.globalChanged(global.id, .deviceCheck)
        #expect(house.reactors.revocations.map(\.effect) == [.endSession(session.id)])
    }

    @Test func `the token before a rotation gets the new decision too, while it is taken`() async throws {
        let house = try Gatehouse()
        let (global, session, cookie) = try await house.signIn()
        var rotated = session
        rotated.previousTokenDigest = cookie.tokenDigest
        rotated.previousUntilSeconds = house.now + 30
        rotated.tokenDigest = [UInt8](repeating: 9, count: 32)
        #expect(try await house.store.replace(session, with: rotated))
        try await house.control.globalChanged(global.id, .deviceCheck)
        let digests = house.reactors.revocations.compactMap { revocation -> [UInt8]? in
            guard case .replace(let record) = revocation.effect else { return nil }
            return record.tokenDigest
        }
        #expect(digests == [rotated.tokenDigest, cookie.tokenDigest])
        house.advance(30)
        house.reactors.clear()
        try await house.control.globalChanged(global.id, .deviceCheck)
        #expect(house.reactors.revocations.count == 1)
    }
}

extension Gatehouse {
    /// What a damaged file looks like to the store: reads fail.
    func breakSessions() throws {
        let file = folder.appending(path: "state/sessions.sqlite").path
        try #require(FileManager.default.fileExists(atPath: file))
        try DatabaseQueue(path: file).write { try $0.execute(sql: "DROP TABLE sessions") }
    }
}
