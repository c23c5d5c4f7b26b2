// libFuzzer target `upstream-answer`: what an application that is not trusted answers, through the whole reactor to a
// client of HTTP/1.1 or HTTP/2, and what the next client gets after it.

private let requests = [
    "GET /first HTTP/1.1\r\nHost: open.test\r\n\r\n",
    "HEAD /first HTTP/1.1\r\nHost: open.test\r\n\r\n",
    "POST /first HTTP/1.1\r\nHost: open.test\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
    "GET /first HTTP/1.1\r\nHost: open.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
        + "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
]
/// HEADERS with END_STREAM and END_HEADERS for GET https://open.test/first.
private let http2Request: [UInt8] = {
    let section: [UInt8] =
        [0x82, 0x87, 0x04, 6] + Array("/first".utf8) + [0x01, 9] + Array("open.test".utf8)
    return Array("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".utf8) + [0, 0, 0, 4, 0, 0, 0, 0, 0]
        + [0, 0, UInt8(section.count), 1, 5, 0, 0, 0, 1] + section
}()

/// Traps when the client is sent two answers or none that a client could read, or when the next client gets another
/// answer than its own.
///
/// The first byte chooses the request, and whether the application closes behind its bytes; the second is the seed of
/// how they are cut.
func fuzzUpstreamAnswer(_ input: [UInt8]) {
    guard input.count > 1 else { return }
    let kind = Int(input[0] % 5), isLast = input[0] & 0x80 != 0
    let bytes = Array(input.dropFirst(2))
    var next = AnswerJudge(isHead: false)
    EngineBench.run(seed: UInt64(input[1])) { bench, link in
        FuzzUpstream(bench, link) { line in
            line.contains(" /first ") ? FuzzUpstream.Answer(bytes: bytes, isLast: isLast) : nil
        }
    } _: { bench in
        if kind < requests.count {
            ask(bench, requests[kind], AnswerJudge(isHead: kind == 1))
        } else {
            var judge = FrameJudge()
            _ = FuzzClient(bench, FuzzClientContext.http2, sends: http2Request, leavesAfterSeconds: 200) {
                if let problem = judge.read($0) { bench.kernel.fault(problem) }
            }
        }
        // Whatever is on its way has come by then: bytes that nobody asked for end a connection that rests.
        bench.kernel.after(5_000_000_000) {
            _ = FuzzClient(
                bench, FuzzClientContext.http1,
                sends: Array("GET /second HTTP/1.1\r\nHost: open.test\r\n\r\n".utf8), leavesAfterSeconds: 200
            ) { if let problem = next.read($0) { bench.kernel.fault("the next client: \(problem)") } }
        }
    }
    guard next.status != 200 || next.body != Array("hello there".utf8) else { return }
    EngineBench.fail(["the next client got \(next.status) and \(next.body.count) bytes"])
}

private func ask(_ bench: EngineBench, _ request: String, _ judge: AnswerJudge) {
    var judge = judge
    _ = FuzzClient(
        bench, FuzzClientContext.http1, sends: Array(request.utf8), leavesAfterSeconds: 200
    ) { if let problem = judge.read($0) { bench.kernel.fault(problem) } }
}

/// Reads the answer to one request of HTTP/1.1: interim ones, one final, and nothing behind it.
struct AnswerJudge {
    private let isHead: Bool
    private var reader = MessageReader()
    private(set) var status = 0
    private var isComplete = false
    private var isTunnel = false

    init(isHead: Bool) { self.isHead = isHead }

    var body: [UInt8] { isComplete ? reader.body : [] }

    /// - Returns: what is wrong.
    mutating func read(_ bytes: [UInt8]) -> String? {
        guard !isTunnel else { return nil }
        guard !isComplete else { return "\(bytes.count) bytes behind the answer" }
        reader.feed(bytes)
        while let event = reader.next() {
            switch event {
            case .broken(let what): return what
            case .complete:
                if status >= 200 {
                    isComplete = true
                    return reader.isBetweenMessages ? nil : "bytes behind the answer"
                }
            case .head:
                let words = reader.startLine.split(separator: " ", omittingEmptySubsequences: false)
                guard words.count >= 3, words[0] == "HTTP/1.1", let status = Int(words[1]) else {
                    return "a status line \(reader.startLine)"
                }
                self.status = status
                isTunnel = status == 101
                if isTunnel { return nil }
                let hasNoBody = status < 200 || isHead || status == 204 || status == 304
                guard let framing = reader.framing(isResponse: true) else { return "two lengths" }
                reader.setFraming(hasNoBody ? .none : framing)
            }
        }
        return nil
    }
}
