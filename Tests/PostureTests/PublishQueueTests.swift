import Access
import Testing

@testable import Posture

@Suite("What is to be published, in which order, and when")
struct PublishQueueTests {
    static let now: Int64 = 1_000_000
    private let device = ExactKey("d")
    private let other = ExactKey("e")

    private func wish(_ isCompliant: Bool, _ object: String = "o") -> PublishQueue.Wish {
        PublishQueue.Wish(objectID: object, state: PublishedState(isCompliant: isCompliant))
    }

    private func failure(_ kind: ConnectorFailure.Kind, after: Int64? = nil) -> ConnectorFailure {
        ConnectorFailure(kind, "no", retryAfterSeconds: after)
    }

    @Test("only changes are written: the same again is none, and what was taken back is none") func changes()
    {
        var queue = PublishQueue()
        queue.remember(device, wish(true), atSeconds: 0)
        queue.offer(device, wish(true), nowSeconds: Self.now)
        #expect(queue.next(nowSeconds: Self.now) == nil && queue.status.waiting == 0)
        queue.offer(device, wish(false), nowSeconds: Self.now)
        #expect(queue.next(nowSeconds: Self.now)?.wish == wish(false))
        queue.offer(device, wish(true), nowSeconds: Self.now)
        #expect(queue.next(nowSeconds: Self.now) == nil && queue.status.waiting == 0)
        queue.offer(device, wish(true, "another object"), nowSeconds: Self.now)
        #expect(queue.next(nowSeconds: Self.now)?.wish == wish(true, "another object"))
    }

    @Test("the newest news counts, also what came while the one before was being written") func overtaken() {
        var queue = PublishQueue()
        queue.offer(device, wish(true), nowSeconds: Self.now)
        let writing = queue.next(nowSeconds: Self.now)
        queue.offer(device, wish(false), nowSeconds: Self.now)
        queue.wrote(device, writing?.wish ?? wish(true), nowSeconds: Self.now)
        #expect(queue.next(nowSeconds: Self.now)?.wish == wish(false))
        queue.wrote(device, wish(false), nowSeconds: Self.now)
        #expect(queue.next(nowSeconds: Self.now) == nil && queue.status.written == 2)
    }

    @Test(
        "a loop turns slowly: compliant waits a minute after anything else, not compliant never",
        arguments: [(59, false), (60, true)] as [(Int64, Bool)])
    func spacing(_ seconds: Int64, _ isWritten: Bool) {
        var queue = PublishQueue()
        queue.offer(device, wish(false), nowSeconds: Self.now)
        queue.wrote(device, wish(false), nowSeconds: Self.now)
        queue.offer(device, wish(true), nowSeconds: Self.now)
        queue.offer(other, wish(true), nowSeconds: Self.now)
        #expect(queue.next(nowSeconds: Self.now)?.device == other, "it keeps nobody else waiting")
        queue.wrote(other, wish(true), nowSeconds: Self.now)
        #expect((queue.next(nowSeconds: Self.now + seconds) != nil) == isWritten)
        #expect(queue.next(nowSeconds: Self.now - 1) != nil, "nor does a clock that jumped back")
    }

    @Test(
        "what fails for all pauses all, by the hint or a back-off, and stays",
        arguments: [
            (ConnectorFailure.Kind.throttled, 30, 30), (.unavailable, nil, 2), (.timeout, nil, 2),
            (.authFailed, nil, 2), (.forbidden, nil, 900), (.throttled, 999_999, 3_600),
        ] as [(ConnectorFailure.Kind, Int64?, Int64)])
    func pauses(_ kind: ConnectorFailure.Kind, _ hint: Int64?, _ seconds: Int64) {
        var queue = PublishQueue()
        queue.offer(device, wish(true), nowSeconds: Self.now)
        queue.failed(
            device, wish(true), failure(kind, after: hint), permission: "Device.ReadWrite.All",
            nowSeconds: Self.now, random: 0.999)
        #expect(queue.status.problem?.contains("Device.ReadWrite.All") == (kind == .forbidden))
        #expect(queue.next(nowSeconds: Self.now + seconds - 1) == nil)
        #expect(queue.next(nowSeconds: Self.now + seconds)?.wish == wish(true))
        queue.wrote(device, wish(true), nowSeconds: Self.now + seconds)
        #expect(queue.status.problem == nil && queue.status.pausedUntilSeconds == nil)
    }

    @Test(
        "a directory that takes one device's news and not another's: the others go on, and four refusals are not all"
    )
    func heldBack() {
        var queue = PublishQueue()
        for number in 0..<6 { queue.offer(ExactKey("d\(number)"), wish(true), nowSeconds: Self.now) }
        func refuse() -> ExactKey? {
            guard let next = queue.next(nowSeconds: Self.now) else { return nil }
            queue.failed(
                next.device, next.wish, failure(.forbidden), permission: "P", nowSeconds: Self.now, random: 0)
            return next.device
        }
        let refusedOnes = (0..<4).map { _ in refuse() }
        #expect(Set(refusedOnes.compactMap { $0 }).count == 4)
        let fifth = queue.next(nowSeconds: Self.now)
        queue.wrote(fifth?.device ?? device, wish(true), nowSeconds: Self.now)
        #expect(queue.status.problem?.contains("P") == true, "the refused ones are still told of")
        #expect(refuse() != nil)
        #expect(queue.next(nowSeconds: Self.now) == nil && queue.status.pausedUntilSeconds == nil)
        queue.resume()
        for _ in 0..<5 { #expect(refuse() != nil) }
        #expect(queue.status.pausedUntilSeconds == Self.now + 900, "five in a row are the permission")
    }

    @Test(
        "what is refused of one device lets the others go on, and is tried again an hour later or when it changes"
    )
    func refused() {
        var queue = PublishQueue()
        queue.offer(device, wish(true), nowSeconds: Self.now)
        queue.offer(other, wish(true), nowSeconds: Self.now)
        queue.failed(
            device, wish(true), failure(.notFound), permission: "p", nowSeconds: Self.now, random: 0)
        #expect(queue.next(nowSeconds: Self.now)?.device == other)
        queue.wrote(other, wish(true), nowSeconds: Self.now)
        queue.offer(device, wish(true), nowSeconds: Self.now + 3_599)
        #expect(queue.next(nowSeconds: Self.now + 3_599) == nil)
        queue.offer(device, wish(false), nowSeconds: Self.now + 1)
        #expect(queue.next(nowSeconds: Self.now + 1)?.wish == wish(false))
        queue.offer(device, wish(true), nowSeconds: Self.now + 3_600)
        #expect(queue.next(nowSeconds: Self.now + 3_600)?.wish == wish(true))
    }

    @Test("the queue is bounded: one more is counted and comes again with the next look") func bounded() {
        var queue = PublishQueue()
        for number in 0..<PublishQueue.waitingMax {
            queue.offer(ExactKey("d\(number)"), wish(true), nowSeconds: Self.now)
        }
        #expect(queue.status.waiting == PublishQueue.waitingMax && queue.status.dropped == 0)
        queue.offer(device, wish(true), nowSeconds: Self.now)
        #expect(queue.status.dropped == 1 && queue.waiting(device) == nil)
        queue.offer(ExactKey("d0"), wish(false), nowSeconds: Self.now)
        #expect(queue.next(nowSeconds: Self.now)?.wish == wish(false), "news of who waits replaces it")
    }

    @Test("flipping for ever leaves nothing behind but the last word") func flips() {
        var queue = PublishQueue()
        queue.remember(device, wish(true), atSeconds: 0)
        for turn in 0..<100_000 {
            queue.offer(device, wish(turn.isMultiple(of: 2) ? false : true), nowSeconds: Self.now)
        }
        queue.offer(device, wish(false), nowSeconds: Self.now)
        #expect(queue.next(nowSeconds: Self.now)?.wish == wish(false))
        queue.wrote(device, wish(false), nowSeconds: Self.now)
        #expect(queue.next(nowSeconds: Self.now) == nil)
    }

    @Test(
        "what rests in the store is read back, and nothing else is",
        arguments: [
            PublishedState(isCompliant: true), PublishedState(isCompliant: false, isManaged: true),
            PublishedState(isCompliant: true, isManaged: false),
        ])
    func text(_ state: PublishedState) {
        let read = PublishedState.read(state.text(objectID: "o-1"))
        #expect(read?.objectID == "o-1" && read?.state == state)
        for text in [nil, "", "o true", "o yes -", "o true x", "o true - -"] {
            #expect(PublishedState.read(text) == nil)
        }
    }
}
