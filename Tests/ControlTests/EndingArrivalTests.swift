import Border
import Foundation
import JSON
import Store
import Testing

@testable import Control
@testable import Store

/// The store is slow: its one writer is held until the test lets it go. What was written by then waited, so an ending
/// that is dated when it is sent is dated too late.
@Suite("How long what is open outlives an ending counts from the ending's arrival", .timeLimit(.minutes(10)))
struct EndingArrivalTests {
    /// Holds the writer of the sessions' file, on the engine's own thread.
    private struct HeldWriter {
        private let gate = DispatchSemaphore(value: 0)
        private let writing: Task<Void, any Error>

        init(_ store: SQLiteStore) async {
            let (held, note) = AsyncStream.makeStream(of: Void.self)
            let gate = gate
            writing = Task {
                try await store.sessionsFile.write { _ in
                    note.yield()
                    gate.wait()
                }
            }
            for await _ in held { break }
        }

        func letGo() async throws {
            gate.signal()
            try await writing.value
        }
    }

    /// Endings by a request or a command; the others are events of time and of the configuration.
    static let kinds = EndingKind.allCases.filter { $0 != .expiry && $0 != .providerRemoved }

    private static func isEnding(_ revocation: Revocation, of session: String) -> Bool {
        if case .endSession(session) = revocation.effect { true } else { false }
    }

    /// A command as the socket hands it on: its arrival is noted before its task has begun.
    private static func arriving<Answer: Sendable>(
        _ command: @escaping @Sendable () async throws -> Answer
    ) -> Task<Answer, any Error> {
        let arrived = monotonicNanoseconds()
        return Task { try await Arrival.$nanoseconds.withValue(arrived) { try await command() } }
    }

    @Test("004.18 a store that takes its time makes the figure rise", arguments: kinds)
    func slowStore(_ kind: EndingKind) async throws {
        let house = try await EndingHouse()
        let (reactors, session) = (house.house.reactors, house.ada.session.id)
        let writer = await HeldWriter(house.house.store)
        var command: Task<String, any Error>?
        if let request = house.request(kind) {
            house.house.control.handle(.request(request))
        } else {
            command = Self.arriving { try await house.perform(kind) }
        }
        let letGo = monotonicNanoseconds()
        #expect(
            !reactors.revocations.contains { Self.isEnding($0, of: session) }, "sent before it was stored")
        try await writer.letGo()
        await reactors.wait { $0.contains { Self.isEnding($0, of: session) } }
        let sent = try #require(reactors.revocations.first { Self.isEnding($0, of: session) })
        #expect(sent.eventNanoseconds <= letGo)
        _ = try await command?.value
    }

    @Test("004.18 so it is with a device that an administrator revokes")
    func revokedDevice() async throws {
        let house = try await EndingHouse()
        try await house.house.enroll("device-of-ada")
        let (reactors, session) = (house.house.reactors, house.ada.session.id)
        let writer = await HeldWriter(house.house.store)
        let control = house.house.control
        let command = Self.arriving {
            await control.execute(["command": "device-revoke", "device": "device-of-ada"])
        }
        let letGo = monotonicNanoseconds()
        #expect(
            !reactors.revocations.contains { Self.isEnding($0, of: session) }, "sent before it was stored")
        try await writer.letGo()
        #expect(try await command.value["error"] == nil)
        let sent = try #require(reactors.revocations.first { Self.isEnding($0, of: session) })
        #expect(sent.eventNanoseconds <= letGo)
    }

    @Test("what nobody asked for is dated by its own moment, also where an ending's task told of it later")
    func otherMoments() async throws {
        let house = try Gatehouse()
        let before = monotonicNanoseconds()
        house.control.revocations.send([.endSession("a")])
        await Arrival.$nanoseconds.withValue(7) {
            house.control.revocations.send([.endSession("b")])
            _ = await house.control.execute(["command": "session-list"])
        }
        house.control.revocations.send([.endSession("c")])
        let dates = house.reactors.revocations.map(\.eventNanoseconds)
        #expect(dates[0] >= before && dates[1] == 7 && dates[2] >= dates[0])
    }
}
