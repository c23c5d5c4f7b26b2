import Border
import Synchronization
import Testing

@Suite("A bounded queue between the planes")
struct BoundedQueueTests {
    @Test func `what was sent is received in order`() {
        let queue = BoundedQueue<Int>(capacity: 4)
        for value in 1...4 { #expect(queue.send(value)) }
        for value in 1...4 { #expect(queue.receive() == value) }
        #expect(queue.receive() == nil)
    }

    @Test(
        "exactly at the capacity is taken, one past it is refused and nothing is lost",
        arguments: [1, 2, 3, 4, 7, 8])
    func capacity(_ asked: Int) {
        let queue = BoundedQueue<Int>(capacity: asked)
        var rounded = 2
        while rounded < asked { rounded <<= 1 }
        for value in 0..<rounded { #expect(queue.send(value)) }
        #expect(!queue.send(-1))
        for value in 0..<rounded { #expect(queue.receive() == value) }
        #expect(queue.receive() == nil)
        #expect(queue.send(9))
    }

    @Test func `a full queue takes again after each receipt, over many turns`() {
        let queue = BoundedQueue<Int>(capacity: 2)
        #expect(queue.send(0) && queue.send(1))
        for value in 2..<10_000 {
            #expect(!queue.send(value))
            #expect(queue.receive() == value - 2)
            #expect(queue.send(value))
        }
    }

    @Test func `many senders and many receivers lose nothing and double nothing`() async {
        let queue = BoundedQueue<Int>(capacity: 64)
        let perSender = 20_000
        let tally = Tally()
        await withTaskGroup(of: Void.self) { group in
            for sender in 0..<2 {
                group.addTask {
                    for count in 0..<perSender {
                        while !queue.send(sender * perSender + count) { await Task.yield() }
                    }
                }
            }
            for _ in 0..<2 {
                group.addTask {
                    while tally.count < 2 * perSender {
                        if let value = queue.receive() { tally.add(value) } else { await Task.yield() }
                    }
                }
            }
        }
        #expect(tally.sorted == Array(0..<(2 * perSender)))
    }

    @Test("a queue without room is a programmer's error")
    func noRoom() async {
        await #expect(processExitsWith: .failure) { _ = BoundedQueue<Int>(capacity: 0) }
    }
}

/// What the receivers got, together.
private final class Tally: Sendable {
    private let values = Mutex<[Int]>([])
    var count: Int { values.withLock { $0.count } }
    var sorted: [Int] { values.withLock { $0.sorted() } }
    func add(_ value: Int) { values.withLock { $0.append(value) } }
}
