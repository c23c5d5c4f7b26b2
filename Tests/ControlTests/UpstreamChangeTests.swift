import Border
import Config
import Foundation
import Signatures
import Synchronization
import Testing

@testable import Control

/// Names that lead elsewhere while the gateway runs.
@Suite("Upstreams that move")
struct UpstreamChangeTests {
    private final class Names: Sendable {
        let answer = Mutex<[String]>([])
        func set(_ addresses: [String]) { answer.withLock { $0 = addresses } }
    }
    private let names = Names()

    private func house() throws -> Gatehouse {
        let config = Gatehouse.config.replacing("http://127.0.0.1:9", with: "http://app.inside.test:9")
        try #require(config != Gatehouse.config)
        let names = names
        return try Gatehouse(config, lookup: { _ in names.answer.withLock { $0 } })
    }

    private func addresses(_ house: Gatehouse) -> [[String]] {
        house.reactors.snapshots.map { $0.applications[0].upstreams.map(\.address) }
    }

    /// Asks, and goes on when the answer was taken.
    private func follow(_ house: Gatehouse, until isTaken: (UpstreamNames.State?) -> Bool) async {
        house.advance(30)
        await house.control.followNames()
        for _ in 0..<5_000 where !isTaken(house.control.upstreamNames.state(of: "app.inside.test")) {
            try? await Task.sleep(for: .milliseconds(1))
        }
        await house.control.followNames()
    }

    @Test func `a new address is told once, a failing name changes nothing, and status says so`() async throws
    {
        names.set(["10.0.0.1"])
        let house = try house()
        #expect(house.control.snapshot.applications[0].upstreams.map(\.address) == ["10.0.0.1"])
        names.set(["10.0.0.3", "10.0.0.2"])
        await follow(house) { $0?.addresses.count == 2 }
        await house.control.followNames()
        #expect(addresses(house) == [["10.0.0.2", "10.0.0.3"]])
        names.set([])
        await follow(house) { $0?.failingSinceSeconds != nil }
        #expect(addresses(house).count == 1)
        let rows = house.control.upstreamStatus(house.control.services).rows
        #expect(rows.first?.endpoint == "10.0.0.2:9" && rows.first?.state == "healthy")
        #expect(rows.contains { $0.state == "unresolved" && $0.endpoint == "app.inside.test:9" })
    }

    @Test func `a start without any answer is no failure, and the first answer is used`() async throws {
        let house = try house()
        #expect(house.control.snapshot.applications[0].upstreams.isEmpty)
        names.set(["10.0.0.1"])
        await follow(house) { $0?.addresses.isEmpty == false }
        #expect(addresses(house) == [["10.0.0.1"]])
    }

    @Test func `each snapshot has a number of its own, and a reload keeps the last good answer`() async throws
    {
        names.set(["10.0.0.1"])
        let house = try house()
        names.set(["10.0.0.2"])
        await follow(house) { $0?.addresses == ["10.0.0.2"] }
        names.set([])
        try await house.control.reload()
        try await house.control.rotateKeys(.ticket)
        let numbers = house.reactors.snapshots.map(\.revision)
        #expect(numbers.count == 3 && Set(numbers).count == 3)
        #expect(addresses(house) == [["10.0.0.2"], ["10.0.0.2"], ["10.0.0.2"]])
    }
}

@Suite("Changes of the reactors' configuration, one at a time")
struct ChangeOrderTests {
    private final class Inside: Sendable {
        let counts = Mutex<(now: Int, most: Int)>((0, 0))
    }

    @Test func `whoever comes second waits until the first has gone`() async {
        let order = ChangeOrder()
        let inside = Inside()
        await withTaskGroup(of: Void.self) { group in
            for _ in 0..<20 {
                group.addTask {
                    await order.enter()
                    inside.counts.withLock {
                        $0.now += 1
                        $0.most = max($0.most, $0.now)
                    }
                    await Task.yield()
                    inside.counts.withLock { $0.now -= 1 }
                    await order.leave()
                }
            }
        }
        let counts = inside.counts.withLock { $0 }
        #expect(counts.now == 0 && counts.most == 1)
    }
}
