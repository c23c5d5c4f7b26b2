import Foundation
import Glibc
import Testing

@testable import gatepost

@Suite("A lane of frames between two processes")
struct OutLaneTests {
    /// A socket that hardly takes anything, and its other end, which nobody reads yet.
    private static func narrow() throws -> (BorderSocket, Int32) {
        guard let (one, other) = Leash.sockets(Int32(SOCK_STREAM.rawValue)) else {
            throw FakePeer.Failure(description: "no sockets")
        }
        var size: Int32 = 4_096
        setsockopt(one, SOL_SOCKET, SO_SNDBUF, &size, 4)
        return (BorderSocket(adopting: one), other)
    }

    private static func drain(_ descriptor: Int32, _ wanted: Int) -> Int {
        var chunk = [UInt8](repeating: 0, count: 1 << 20)
        var read = 0
        while read < wanted {
            let count = recv(descriptor, &chunk, chunk.count, 0)
            guard count > 0 else { break }
            read += count
        }
        return read
    }

    @Test("whoever does not read costs its sender no more than the lane's patience, once")
    func patience() async throws {
        let (socket, other) = try Self.narrow()
        defer { close(other) }
        let lane = OutLane(socket, bytesMax: 1 << 20, patienceMilliseconds: 300)
        let frame = [UInt8](repeating: 1, count: 1 << 20)
        #expect(lane.appendWaiting(frame))
        let began = ContinuousClock.now
        #expect(!lane.appendWaiting(frame))
        #expect(ContinuousClock.now - began >= .milliseconds(290))
        // The patience is used up: no further frame waits at all.
        let again = ContinuousClock.now
        for _ in 0..<50 { #expect(!lane.appendWaiting(frame)) }
        #expect(ContinuousClock.now - again < .milliseconds(250))
        lane.end()
        socket.end()
    }

    @Test("a sender that waits goes on as soon as there is room, and its patience is whole again")
    func room() async throws {
        let (socket, other) = try Self.narrow()
        defer { close(other) }
        let lane = OutLane(socket, bytesMax: 1 << 20, patienceMilliseconds: 20_000)
        let frame = [UInt8](repeating: 1, count: 1 << 20)
        let reading = Told<Int>()
        #expect(lane.append(frame))
        #expect(!lane.append(frame))
        Thread.detachNewThread { reading.add(Self.drain(other, 3 << 20)) }
        let taken = try await offPool {
            defer { lane.flush(milliseconds: 20_000) }
            return lane.appendWaiting(frame) && lane.appendWaiting(frame)
        }
        #expect(taken)
        #expect(try await reading.first() == [3 << 20])
        lane.end()
        socket.end()
    }

    @Test("frames for a process that is gone are taken and forgotten, also by whoever waits for room")
    func gone() async throws {
        let (socket, other) = try Self.narrow()
        let lane = OutLane(socket, bytesMax: 1 << 20, patienceMilliseconds: 20_000)
        let frame = [UInt8](repeating: 1, count: 1 << 20)
        let taken = Told<Bool>()
        #expect(lane.append(frame))
        Thread.detachNewThread { taken.add(lane.appendWaiting(frame)) }
        close(other)
        #expect(try await taken.first() == [true])
        #expect(lane.append(frame))
        socket.end()
    }

    @Test("who must not block a thread gets its answer at the deadline")
    func later() async throws {
        let (socket, other) = try Self.narrow()
        defer { close(other) }
        let lane = OutLane(socket, bytesMax: 10)
        let frame = [UInt8](repeating: 1, count: 1 << 20)
        #expect(await lane.appendLater(frame, milliseconds: 1))
        #expect(await lane.appendLater(frame, milliseconds: 50) == false)
        lane.end()
        socket.end()
    }
}

@Suite("Waiting for a value")
struct WatchedTests {
    @Test("everybody who waits is woken by what they wait for, and nobody before")
    func wakes() async throws {
        let value = Watched(0)
        let found = Told<Int>()
        for wanted in 1...8 {
            Thread.detachNewThread { found.add(value.wait { $0 >= wanted ? wanted : nil } ?? -1) }
        }
        value.change { $0 = 3 }
        #expect(Set(try await found.first(3)) == [1, 2, 3])
        value.change { $0 = 8 }
        #expect(Set(try await found.first(8)) == Set(1...8))
    }

    @Test("at the deadline it is looked at once more, and then there is nothing")
    func deadline() {
        #expect(Watched(0).wait(milliseconds: 20) { $0 > 0 ? true : nil } == nil)
    }

    @Test("an order to reload that comes before anybody can carry it out is carried out then, once")
    func reloads() async throws {
        let carried = Told<Int>()
        let orders = ReloadOrders<Int> { carried.add($0) }
        orders.order()
        orders.order()
        #expect(carried.count == 0)
        orders.begin(7)
        #expect(try await carried.first() == [7])
        orders.order()
        #expect(try await carried.first(2) == [7, 7])
        #expect(carried.count == 2)
    }

    @Test("an order that comes while one is carried out is carried out after it")
    func reloadsAgain() async throws {
        let began = Told<Int>()
        let mayEnd = Watched(false)
        let orders = ReloadOrders<Int> {
            began.add($0)
            _ = mayEnd.wait(milliseconds: 20_000) { $0 ? true : nil }
        }
        orders.begin(1)
        orders.order()
        _ = try await began.first()
        orders.order()
        mayEnd.change { $0 = true }
        #expect(try await began.first(2).count == 2)
    }
}
