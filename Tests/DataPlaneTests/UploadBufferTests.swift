import Border
import Testing

@testable import DataPlane

@Suite("What an upload over HTTP/2 costs between its client and an application that is slower")
struct UploadBufferTests {
    private static let bodyBytes = 4 << 20
    private static let pieceBytes = 16_384

    /// Every body: each byte says something of its place.
    private static let body = (0..<bodyBytes).map { UInt8(truncatingIfNeeded: $0 % 251) }

    /// Sends one body after the other, each as fast as its window lets it.
    private final class Uploader {
        private let isChunked: Bool
        private let bodies: Int
        private unowned let client: ScriptedClient
        private var reader = HTTP2FrameReader()
        private var given: [UInt32: Int] = [:]
        private var sentInAll = 0
        private var sent = 0
        private var stream: UInt32 = 1
        /// Answers that came whole.
        private(set) var answered = 0
        var whenAnswered: (Int) -> Void = { _ in }

        init(_ client: ScriptedClient, bodies: Int, isChunked: Bool) {
            self.client = client
            self.bodies = bodies
            self.isChunked = isChunked
        }

        func begin() {
            let length = isChunked ? [] : [("content-length", "\(bodyBytes)")]
            sent = 0
            client.send(
                HTTP2Client.headers(
                    stream, HTTP2Client.request("/upload", method: "POST", length), ends: false))
            goOn()
        }

        func told(_ bytes: [UInt8]) {
            var more: [UInt8]? = bytes
            while let frame = reader.next({
                defer { more = nil }; return more
            }) {
                switch HTTP2Frame.Kind(rawValue: frame.kind) {
                case .windowUpdate: given[frame.stream, default: 0] += Int(frame.number())
                case .data, .headers: noteAnswer(frame)
                default: break
                }
            }
            goOn()
        }

        private func noteAnswer(_ frame: HTTP2Frame) {
            guard frame.stream == stream, frame.flags & HTTP2Frame.endStream != 0 else { return }
            answered += 1
            whenAnswered(answered)
            stream += 2
            if answered < bodies { begin() }
        }

        private func goOn() {
            while sent < bodyBytes {
                let window = min(
                    65_535 + given[stream, default: 0] - sent, 65_535 + given[0, default: 0] - sentInAll)
                let count = min(window, pieceBytes, bodyBytes - sent)
                guard count > 0 else { return }
                let bytes = Array(body[sent..<(sent + count)])
                sent += count
                sentInAll += count
                client.send(HTTP2Client.data(stream, bytes, ends: sent == bodyBytes))
            }
        }
    }

    /// Takes bodies with a pause behind each so many bytes.
    private final class Application: Peer {
        private static let paceBytes = 200_000
        private let link: Link
        private let isChunked: Bool
        private var head: [UInt8] = []
        private var hasHead = false
        private var chunks = HTTP2Chunks()
        private var coded: [UInt8] = []
        private var unpaused = 0
        private(set) var bytes = 0
        private(set) var isRight = true

        init(_ link: Link, isChunked: Bool) {
            self.link = link
            self.isChunked = isChunked
        }

        func gatewayWrote(_ bytes: [UInt8], wasBlocked: Bool) {}
        func ended() { link.end() }
        func reset() {}

        func received(_ bytes: [UInt8]) {
            unpaused += bytes.count
            if unpaused > Self.paceBytes {
                unpaused = 0
                link.pause(300_000_000)
            }
            guard !hasHead else { return take(bytes) }
            head += bytes
            guard let end = MessageReader.find(Array("\r\n\r\n".utf8), in: head) else { return }
            hasHead = true
            take(Array(head[(end + 4)...]))
        }

        private func take(_ more: [UInt8]) {
            guard isChunked else { return takeBody(more[...]) }
            coded += more
            var from = 0
            while !chunks.isEnded {
                let piece = coded[from...].withUnsafeBufferPointer { chunks.next($0) }
                switch piece {
                case .data(let range, let consumed):
                    takeBody(coded[(from + range.lowerBound)..<(from + range.upperBound)])
                    from += consumed
                case .framing(let consumed), .trailer(_, let consumed): from += consumed
                case .broken:
                    isRight = false
                    return
                case .needMore:
                    coded.removeFirst(from)
                    return
                }
            }
            answer()
        }

        private func takeBody(_ part: ArraySlice<UInt8>) {
            let end = min(bytes + part.count, bodyBytes)
            isRight = isRight && part == body[bytes..<end]
            bytes = end
            if !isChunked, bytes == bodyBytes { answer() }
        }

        private func answer() {
            (head, hasHead, chunks, coded) = ([], false, HTTP2Chunks(), [])
            isRight = isRight && bytes == bodyBytes
            bytes = 0
            link.send(Array("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok".utf8))
        }
    }

    struct Outcome {
        var answered = 0
        var isRight = true
        /// The most that lay in the gateway of one stream, and by how much it was ever more than its window.
        var waiting = 0
        var beyondWindow = Int.min
        /// The most that all buffers took.
        var inUse = 0
        /// Until the first body's end, and behind it.
        var made = [0, 0]
        var moved = [0, 0]
    }

    private static func run(seed: UInt64, isChunked: Bool) throws -> Outcome {
        var outcome = Outcome()
        var applications: [Application] = []
        let problems = try ScriptedReactor.run(
            seed: seed, seconds: 120, snapshot: Gateway.snapshot([Facts.open(8_001)]), upstream: { _ in nil }
        ) { world in
            world.accepting = { link in
                let application = Application(link, isChunked: isChunked)
                applications.append(application)
                return application
            }
            world.afterTurn = { [unowned world] in
                guard let reactor = world.reactor else { return }
                outcome.look(at: reactor)
            }
            var uploader: Uploader?
            let client = ScriptedClient(world, .http2) { client in
                client.send(HTTP2Client.preface + HTTP2Frame.bytes(.settings))
                uploader?.begin()
            }
            let sending = Uploader(client, bodies: 2, isChunked: isChunked)
            uploader = sending
            client.whenTold = { [unowned sending] in sending.told($0) }
            sending.whenAnswered = { [unowned world] count in
                outcome.answered = count
                guard let pool = world.reactor?.pool else { return }
                outcome.made[count - 1] = pool.pointee.blocksMade - outcome.made[0]
                outcome.moved[count - 1] = pool.pointee.bytesMoved - outcome.moved[0]
            }
            client.begin()
        }
        #expect(problems.isEmpty, "\(problems)")
        outcome.isRight = applications.allSatisfy(\.isRight)
        return outcome
    }

    @Test(
        "nothing is moved or made anew, and no more lies here than the window says",
        arguments: [(1, false), (2, false), (1, true), (2, true)] as [(UInt64, Bool)])
    func bounded(seed: UInt64, isChunked: Bool) throws {
        let outcome = try Self.run(seed: seed, isChunked: isChunked)
        #expect(outcome.answered == 2 && outcome.isRight, "\(outcome)")
        // Else the application was not slow.
        #expect(outcome.waiting > 1 << 20, "\(outcome)")
        // Beside the body: the request's head, and the lines between its chunks.
        let framing = isChunked ? outcome.waiting / 256 : 0
        #expect(outcome.beyondWindow <= 1_024 + framing, "\(outcome)")
        #expect(outcome.inUse <= outcome.waiting + (512 << 10), "\(outcome)")
        #expect(outcome.made[0] <= outcome.waiting / BlockQueue.blockBytesMax + 24, "\(outcome)")
        // The first has left what the second takes, but for how many there are of each size.
        #expect(outcome.made[1] <= 8, "\(outcome)")
        // The head, which waits for the first block.
        #expect(outcome.moved.allSatisfy { $0 <= 2 * Self.pieceBytes }, "\(outcome)")
    }

    /// Notes each piece that the gateway hands to the kernel.
    private final class Listener: Peer {
        private let link: Link
        private(set) var pieces: [[UInt8]] = []
        init(_ link: Link) { self.link = link }
        func gatewayWrote(_ bytes: [UInt8], wasBlocked: Bool) { pieces.append(bytes) }
        func received(_ bytes: [UInt8]) {}
        func ended() { link.end() }
        func reset() {}
    }

    @Test("a request and its short body go to the application in one piece", arguments: [false, true])
    func together(isHTTP2: Bool) throws {
        var listeners: [Listener] = []
        let body = Array("a short body".utf8)
        let problems = try ScriptedReactor.run(
            seconds: 5, snapshot: Gateway.snapshot([Facts.open(8_001)]), upstream: { _ in nil }
        ) { world in
            world.accepting = { link in
                let listener = Listener(link)
                listeners.append(listener)
                return listener
            }
            let length = [("content-length", "\(body.count)")]
            let request = HTTP2Client.request("/form", method: "POST", length)
            let client = ScriptedClient(world, isHTTP2 ? .http2 : .http1) { client in
                guard isHTTP2 else {
                    let head =
                        "POST /form HTTP/1.1\r\nHost: wiki.test\r\nContent-Length: \(body.count)\r\n\r\n"
                    return client.send(Array(head.utf8) + body)
                }
                client.send(
                    HTTP2Client.preface + HTTP2Frame.bytes(.settings)
                        + HTTP2Client.headers(1, request, ends: false) + HTTP2Client.data(1, body, ends: true)
                )
            }
            client.link.deliversWhole = true
            client.begin()
        }
        #expect(problems.isEmpty, "\(problems)")
        let pieces = listeners.flatMap(\.pieces)
        #expect(pieces.count == 1 && pieces[0].starts(with: "POST /form ".utf8))
        #expect(pieces.first?.suffix(body.count) == body[...])
    }
}

extension UploadBufferTests.Outcome {
    mutating func look(at reactor: Reactor) {
        inUse = max(inUse, reactor.pool.pointee.bytesInUse)
        for slot in reactor.downstreams.everUsed where reactor.downstreams.isInUse(slot) {
            let record = reactor.downstreams[slot]
            guard let stream = (reactor.transports + Int(slot)).stream,
                record.pointee.phase == .forwarding
            else { continue }
            let upstream = record.pointee.exchange.upstream
            let held =
                stream.pointee.inbound.count + record.pointee.input.count
                + reactor.transports[Int(upstream)].pending.count
            waiting = max(waiting, held)
            beyondWindow = max(beyondWindow, held - stream.pointee.window)
        }
    }
}
