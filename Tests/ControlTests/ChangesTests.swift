import Testing

@testable import Control

@Suite("Waiting for a change")
struct ChangesTests {
    @Test(.timeLimit(.minutes(10))) func `every waiter wakes at the next change`() async {
        let changes = Changes()
        await withTaskGroup(of: Void.self) { group in
            for _ in 0..<10 { group.addTask { await changes.wait(seconds: 3_600) } }
            group.addTask {
                while changes.waiting < 10 { await Task.yield() }
                changes.announce()
            }
        }
        #expect(changes.waiting == 0)
    }

    @Test(.timeLimit(.minutes(10))) func `a wait of no time ends by itself`() async {
        let changes = Changes()
        await changes.wait(seconds: 0)
        #expect(changes.waiting == 0)
    }
}
