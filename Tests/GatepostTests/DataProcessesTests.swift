import Access
import Border
import Control
import Foundation
import Glibc
import JSON
import Testing

@testable import gatepost

@Suite("Data processes, as the control process has them")
struct DataProcessesTests {
    private struct House {
        let data: DataProcesses
        let news = Told<DataProcesses.News>()
        let broken = Told<UInt8>()

        init(patienceMilliseconds: Int = 30_000) {
            let (news, broken) = (news, broken)
            data = DataProcesses(patienceMilliseconds: patienceMilliseconds) {
                news.add($0)
            } broken: { number, _ in
                broken.add(number)
            }
        }

        /// One that has said who it is.
        func join(_ number: UInt8) async throws -> FakePeer {
            let peer = try FakePeer()
            data.join(
                number: number, messages: peer.theirs.messages, revocations: peer.theirs.revocations)
            try peer.say(FromData.greeting(BorderGreeting()))
            try peer.say(FromData.state(sequence: 0, revision: 0))
            _ = try await peer.hear(ToData.self)
            return peer
        }
    }

    private static func revision(_ value: ToData?) -> UInt64? {
        guard case .configure(_, let snapshot) = value else { return nil }
        return snapshot.revision
    }

    @Test(
        "who joins while a configuration is tried gets the one that is in force afterwards",
        .timeLimit(.minutes(10)))
    func joinsWhileConfigured() async throws {
        let house = House()
        house.data.serve { Samples.snapshot(1) }
        let first = try await house.join(1)
        #expect(Self.revision(try await first.hear(ToData.self)) == 1)
        let told = Told<Bool>()
        let data = house.data
        Task {
            try await data.configure(Samples.snapshot(2))
            told.add(true)
        }
        let asked = try await first.hear(ToData.self)
        guard case .configure(let number, let snapshot) = asked else {
            Issue.record("\(asked as Any)")
            return
        }
        #expect(snapshot.revision == 2)
        // It comes in between: what it is given must not be what is about to be replaced.
        let second = try await house.join(2)
        _ = try await house.news.first(2)
        try first.say(FromData.configured(number: number, failure: nil))
        #expect(Self.revision(try await second.hear(ToData.self)) == 2)
        _ = try await told.first()
    }

    @Test(
        "who joins while a configuration is tried that is refused gets the old one", .timeLimit(.minutes(10)))
    func joinsWhileRefused() async throws {
        let house = House()
        house.data.serve { Samples.snapshot(1) }
        let first = try await house.join(1)
        _ = try await first.hear(ToData.self)
        let told = Told<String>()
        let data = house.data
        Task {
            do { try await data.configure(Samples.snapshot(2)) } catch { told.add("\(error)") }
        }
        guard case .configure(let number, _) = try await first.hear(ToData.self) else {
            Issue.record("nothing was tried")
            return
        }
        let second = try await house.join(2)
        _ = try await house.news.first(2)
        try first.say(FromData.configured(number: number, failure: "no such key"))
        #expect(Self.revision(try await second.hear(ToData.self)) == 1)
        #expect(try await told.first() == ["no such key"])
    }

    @Test(
        "a data process that says what is no value is reported, and its connection ends",
        .timeLimit(.minutes(10)))
    func noValue() async throws {
        let house = House()
        house.data.serve { Samples.snapshot(1) }
        let peer = try await house.join(9)
        _ = try await peer.hear(ToData.self)
        try peer.write([3, 0, 0, 0, 0xff, 0xff, 0xff])
        #expect(try await house.broken.first() == [9])
        #expect(try await peer.hear(ToData.self) == nil)
        #expect(house.data.liveCount == 0)
    }

    @Test("the answer to what another was asked is a breach", .timeLimit(.minutes(10)))
    func answersForAnother() async throws {
        let house = House()
        house.data.serve { Samples.snapshot(1) }
        let sound = try await house.join(1)
        let liar = try await house.join(2)
        guard case .configure(let number, _) = try await sound.hear(ToData.self) else {
            Issue.record("nothing was tried")
            return
        }
        _ = try await liar.hear(ToData.self)
        try liar.say(FromData.configured(number: number, failure: "it is bad"))
        #expect(try await house.broken.first() == [2])
        #expect(house.data.liveCount == 1)
    }

    @Test(
        "one that does not read its revocations ends; the others get theirs, and nobody waits twice",
        .timeLimit(.minutes(10)))
    func doesNotRead() async throws {
        let house = House(patienceMilliseconds: 200)
        house.data.serve { Samples.snapshot(1) }
        let reader = try await house.join(1)
        let deaf = try await house.join(2)
        _ = try await reader.hear(ToData.self)
        _ = try await deaf.hear(ToData.self)
        let heard = Told<UInt64>()
        Thread.detachNewThread {
            while let revocation = try? reader.hearBlocking(Revocation.self, on: reader.revocations) {
                heard.add(revocation.sequence)
            }
        }
        let session = String(repeating: "s", count: 4 << 20)
        for sequence in 1...24 {
            house.data.revoke(
                Revocation(sequence: UInt64(sequence), eventNanoseconds: 0, effect: .endSession(session)))
        }
        #expect(try await house.broken.first() == [2])
        #expect(try await heard.first(24) == Array(1...24))
        #expect(house.data.liveCount == 1)
    }

    @Test(
        "more questions than a sound process asks are refused at once, the others are asked",
        .timeLimit(.minutes(10)))
    func tooManyQuestions() async throws {
        let house = House()
        house.data.serve { Samples.snapshot(1) }
        let peer = try await house.join(1)
        _ = try await peer.hear(ToData.self)
        Thread.detachNewThread {
            for slot in 0..<UInt32(WaitingQuestions.countMax + 2) {
                try? peer.say(FromData.message(Samples.pull(slot)))
            }
        }
        for _ in 0..<2 {
            let answer = try await peer.hear(ToData.self)
            guard case .message(.sessionUnavailable(let ticket, let reason), 0, 0) = answer else {
                Issue.record("\(answer as Any)")
                return
            }
            #expect(reason == .overloaded && Int(ticket.slot) >= WaitingQuestions.countMax)
        }
        // One state, and as many questions as may wait.
        #expect(house.news.count == WaitingQuestions.countMax + 1)
        // An answer makes room for one more.
        let first = Tickets.mark(Ticket(reactor: 0, slot: 0, generation: 1), life: 1)
        await house.data.send(.sessionUnavailable(first), to: Int(first.reactor))
        _ = try await peer.hear(ToData.self)
        try peer.say(FromData.message(Samples.pull(70_000)))
        _ = try await house.news.first(WaitingQuestions.countMax + 2)
    }
}
