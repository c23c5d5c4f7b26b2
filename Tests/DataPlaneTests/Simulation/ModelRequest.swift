import Glibc

/// One request of a simulation: what is sent, what the upstream does with it, and what became of it.
final class ModelRequest {
    enum Kind {
        case plain
        /// WebSocket upgrade: bytes both ways, echoed.
        case tunnel
        /// An event stream that goes on until somebody ends it.
        case events
        /// A reserved path, which the control plane answers.
        case reserved
        /// Bytes that are no request.
        case malformed
    }

    enum Cookie: Equatable { case none, session(UInt8), forged }

    enum Outcome {
        /// The whole answer; `reason` when the gateway gave it in its own name.
        case answered(status: Int, reason: String?)
        /// The connection ended in the middle, or before a byte.
        case cut
    }

    let id: Int
    var kind = Kind.plain
    var method = "GET"
    var host = "open.test"
    var cookie = Cookie.none
    var bodyBytes = 0
    var isChunked = false
    var expectsContinue = false
    var isHTTP10 = false
    var script = UpstreamScript()

    /// The turn in which its last byte before the body was written by the client, 0 before that.
    var writtenInTurn = 0
    var isWholeAtUpstream = false
    var timesAtUpstream = 0
    var outcome: Outcome?
    /// Who asks.
    weak var client: SimulatedClient?
    /// Something was done to it that excuses an answer of the gateway or a cut.
    var isDisturbed = false

    init(id: Int) { self.id = id }

    var path: String {
        kind == .reserved ? "/.gatepost/simulated/\(id)" : "/things/\(id)/a%20b?id=\(id)&x=%2f"
    }
    /// As the gateway writes it.
    var isHead: Bool { method == "HEAD" }
    var sessionNumber: UInt8? { if case .session(let number) = cookie { number } else { nil } }

    /// Bytes that nobody else's body has at this place.
    static func payload(_ id: Int, _ direction: UInt64, _ count: Int) -> [UInt8] {
        var generator = SeededGenerator(seed: UInt64(id) << 8 | direction)
        return [UInt8](unsafeUninitializedCapacity: count) { buffer, used in
            var index = 0
            while index < count {
                var word = generator.next().littleEndian
                let some = min(8, count - index)
                memcpy(buffer.baseAddress.unsafelyUnwrapped + index, &word, some)
                index += some
            }
            used = count
        }
    }

    var requestBody: [UInt8] { Self.payload(id, 1, bodyBytes) }
    var responseBody: [UInt8] {
        if made.count != script.bodyBytes { made = Self.payload(id, 2, script.bodyBytes) }
        return made
    }
    /// Made once: it is looked at whenever a part of it arrives.
    private var made: [UInt8] = []

    /// Whether these are the first bytes of the answer's body.
    func isAnswered(by part: [UInt8]) -> Bool {
        let whole = responseBody
        return part.count <= whole.count && memcmp(part, whole, part.count) == 0
    }

    /// The head as the client sends it.
    var head: [UInt8] {
        var text = "\(method) \(path) HTTP/1.\(isHTTP10 ? 0 : 1)\r\nHost: \(host)\r\nX-Sim: \(id)\r\n"
        // Never what a client says: the gateway writes this field, or nobody.
        text += "Gatepost-Assertion: forged\r\n"
        switch cookie {
        case .none: break
        case .session(let number): text += Cookies.genuine[Int(number)]
        case .forged: text += Cookies.forged
        }
        if kind == .tunnel {
            text += "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
            text += "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
        }
        if expectsContinue { text += "Expect: 100-continue\r\n" }
        if isChunked {
            text += "Transfer-Encoding: chunked\r\n"
        } else if bodyBytes > 0 || method == "POST" {
            text += "Content-Length: \(bodyBytes)\r\n"
        }
        if kind == .malformed { text += "Content-Length: 3\r\nContent-Length: 4\r\n" }
        return Array((text + "\r\n").utf8)
    }

    /// The body in its coding, cut into chunks by `random`.
    func codedBody(_ random: inout SeededGenerator) -> [UInt8] {
        Self.coded(requestBody, isChunked: isChunked, &random)
    }

    static func coded(_ body: [UInt8], isChunked: Bool, _ random: inout SeededGenerator) -> [UInt8] {
        guard isChunked else { return body }
        var coded: [UInt8] = []
        var start = 0
        while start < body.count {
            let count = min(body.count - start, 1 + random.below(max(2, body.count)))
            coded +=
                Array((String(count, radix: 16) + "\r\n").utf8) + body[start..<(start + count)] + [13, 10]
            start += count
        }
        return coded + Array("0\r\n\r\n".utf8)
    }

    /// Field lines, made once: a HMAC for each request would take most of a run.
    enum Cookies {
        static let count: UInt8 = 6
        static let genuine = (0..<count).map { Facts.cookie($0) }
        /// Of a secret that nobody has: whoever has the right one needs no MAC.
        static let forged = Facts.cookie(99, breakMAC: true)
    }
}

/// What an upstream does with one request.
struct UpstreamScript {
    enum Framing { case length, chunked, untilClose, none }

    /// Everything here is the upstream's fault: the client gets 502 or 504, or its connection is cut.
    enum Fault: CaseIterable {
        case silent, closesBeforeHead, closesInHead, closesInBody, resetsInBody, garbage, doubledLength,
            endlessHead,
            unasked101
    }

    var status = 200
    var framing = Framing.length
    var bodyBytes = 0
    var interimResponses = 0
    /// Answers before it has read the body.
    var isEarly = false
    /// Speaks on behind its answer: the client sees none of it, and nobody else does.
    var hasTail = false
    var closesAfterwards = false
    var fault: Fault?
    /// Before the answer, nanoseconds.
    var delay: UInt64 = 0
}
