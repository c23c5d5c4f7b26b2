import Access
import Border
import Foundation
import GRDB
import Identity
import Testing

@testable import Control
@testable import Store

@Suite("Records of sessions in use are renewed, many at a time", .timeLimit(.minutes(10)))
struct RenewalTests {
    /// People at the wiki whose records are due.
    private func people(_ count: Int, in house: Gatehouse) async throws -> [Renewal] {
        var all: [Renewal] = []
        for number in 0..<count {
            let (_, _, cookie) = try await house.signIn("p\(number)@corp.example")
            _ = try #require(await house.pulled(cookie.tokenDigest))
            all.append(Renewal(digest: cookie.tokenDigest, application: "wiki"))
        }
        house.advance(61)
        house.reactors.clear()
        return all
    }

    private func replaced(_ house: Gatehouse) -> [SessionRecord] {
        house.reactors.revocations.compactMap {
            if case .replace(let record) = $0.effect { record } else { nil }
        }
    }

    @Test("two reads of the store for all of them, and each gets its own next record")
    func counted() async throws {
        let house = try Gatehouse()
        let all = try await people(60, in: house)
        let before = house.store.sessionsFile.readCount
        #expect(await house.control.renewTogether(all).isEmpty)
        #expect(house.store.sessionsFile.readCount - before <= 2)
        let records = replaced(house)
        #expect(Set(records.map(\.tokenDigest)) == Set(all.map(\.digest)) && records.count == all.count)
        #expect(records.allSatisfy { $0.renewAtSeconds == house.now + 60 })
        #expect(Set(records.map(\.identityFields)).count == all.count)
        // Whoever asks a second time is given the same, and nothing is read.
        house.reactors.clear()
        #expect(await house.control.renewTogether(all).isEmpty)
        #expect(house.store.sessionsFile.readCount - before <= 2)
        #expect(replaced(house).count == all.count)
    }

    @Test("whatever is not as it mostly is goes its own way: it gets no record together with the others")
    func left() async throws {
        let house = try Gatehouse()
        let all = try await people(6, in: house)
        let ids = all.map { house.control.revocations.sessionID($0.digest) ?? "" }
        // Signed out, known by a newer secret, asked for at another application, and never seen.
        try await house.store.remove(sessionIDs: [ids[0]])
        try await Sessions(store: house.store, ring: house.control.ring).change(ids[1]) {
            $0.previousTokenDigest = $0.tokenDigest
            $0.previousUntilSeconds = house.now + 60
            $0.tokenDigest = [UInt8](repeating: 7, count: 32)
        }
        var asked = all
        asked[2].application = "vault"
        asked.append(Renewal(digest: [UInt8](repeating: 9, count: 32), application: "wiki"))
        let left = await house.control.renewTogether(asked)
        #expect(Set(left) == [asked[0], asked[1], asked[2], asked[6]])
        #expect(Set(replaced(house).map(\.tokenDigest)) == Set(all[3...].map(\.digest)))
    }

    @Test("an ended session is ended at the reactors, too, by whoever renews it")
    func ended() async throws {
        let house = try Gatehouse()
        let all = try await people(3, in: house)
        let id = try #require(house.control.revocations.sessionID(all[1].digest))
        try await house.store.remove(sessionIDs: [id])
        for one in all { house.control.handle(.renew(tokenDigest: one.digest, application: one.application)) }
        await house.reactors.wait { told in
            told.contains { if case .endSession(id) = $0.effect { true } else { false } }
        }
        let gone = all[1].digest
        await house.reactors.wait { told in
            let kept = told.compactMap { told -> [UInt8]? in
                if case .replace(let record) = told.effect { record.tokenDigest } else { nil }
            }
            return kept.count == 2 && !kept.contains(gone)
        }
    }

    @Test("a store that fails ends nothing and renews nothing; the next renewal finds no trace of it")
    func failing() async throws {
        let house = try Gatehouse()
        let all = try await people(2, in: house)
        await house.store.close()
        #expect(Set(await house.control.renewTogether(all)) == Set(all), "each tries by itself")
        #expect(house.reactors.revocations.isEmpty)
        for one in all {
            #expect(house.control.revocations.beginRenewal(one.digest))
            house.control.revocations.endRenewal(one.digest)
        }
        for one in all { await house.control.renew(one.digest, one.application) }
        #expect(house.reactors.revocations.isEmpty)
    }

    @Test("a row that cannot be read costs nobody else the renewal")
    func damaged() async throws {
        let house = try Gatehouse()
        let all = try await people(3, in: house)
        let id = try #require(house.control.revocations.sessionID(all[1].digest))
        let file = try DatabaseQueue(path: house.folder.appending(path: "state/sessions.sqlite").path)
        try await file.write {
            try $0.execute(sql: "UPDATE sessions SET groups = '{' WHERE id = ?", arguments: [id])
        }
        for one in all { house.control.handle(.renew(tokenDigest: one.digest, application: one.application)) }
        let others = Set([all[0].digest, all[2].digest])
        await house.reactors.wait { told in
            others.isSubset(
                of: told.compactMap { told -> [UInt8]? in
                    if case .replace(let record) = told.effect { record.tokenDigest } else { nil }
                })
        }
        #expect(!replaced(house).contains { $0.tokenDigest == all[1].digest })
    }

    @Test("one works through the queue, in the order of coming; beyond its bound nothing is kept")
    func queue() {
        let queue = RenewalQueue()
        func renewal(_ number: Int) -> Renewal {
            Renewal(digest: withUnsafeBytes(of: number) { Array($0) }, application: "wiki")
        }
        #expect(queue.add(renewal(0)))
        for number in 1..<RenewalQueue.waitingMax + 5 { #expect(!queue.add(renewal(number))) }
        var next = 0
        while true {
            let some = queue.take()
            if some.isEmpty { break }
            #expect(some.count <= RenewalQueue.atOnceMax)
            #expect(some == (next..<next + some.count).map(renewal))
            next += some.count
        }
        #expect(next == RenewalQueue.waitingMax)
        #expect(queue.add(renewal(0)), "nobody works on it any more")
    }
}
