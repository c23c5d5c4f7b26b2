import COpenSSL
import Glibc

/// One connection at an upstream: checks what arrives there, and answers as the request's script says.
final class SimulatedUpstream: Peer {
    private let world: Simulation
    let link: Link
    private let tls: TLSEnd?
    private var reader = MessageReader()
    private var request: ModelRequest?
    private var hasAnswered = false
    /// A tail was sent, or the answer was no answer: nothing may come here again.
    private var isSpoilt = false
    private var tunnelled = 0
    /// How many bytes the gateway has to have read to know that a stream is open.
    private var streamKnownAt: Int?
    /// Its session has ended: nothing more may come here.
    var isCut = false

    init(_ world: Simulation, _ link: Link, isTLS: Bool) {
        self.world = world
        self.link = link
        tls = isTLS ? TLSEnd(TLSEnd.Contexts.shared.upstream, serverName: nil) : nil
        link.peer = self
    }

    /// The request whose stream (tunnel or events) the gateway knows to be open on this connection.
    var openStream: ModelRequest? {
        guard !link.isClosedByGateway, !link.isReset, let request, let streamKnownAt,
            link.bytesRead >= streamKnownAt
        else { return nil }
        return request
    }

    /// The request that is being answered here.
    var current: ModelRequest? { link.isClosedByGateway || link.isReset ? nil : request }

    /// Whether the gateway has this connection in use for a request.
    var isOccupied: Bool { !link.isClosedByGateway && request != nil }

    // MARK: What the gateway does

    func gatewayWrote(_ bytes: [UInt8], wasBlocked: Bool) {
        if isCut, let request {
            world.kernel.fault("\(bytes.count) bytes of request \(request.id) move after its session's end")
        }
        // Sealed bytes say nothing, and those that waited were decided about earlier.
        guard tls == nil, !wasBlocked, request == nil, reader.isBetweenMessages else { return }
        guard let id = Self.id(in: bytes), let found = world.requests[id] else { return }
        world.oracle.forwarded(found)
    }

    private static func id(in bytes: [UInt8]) -> Int? {
        guard let start = MessageReader.find(Array("X-Sim: ".utf8), in: bytes) else { return nil }
        return Int(String(decoding: bytes[(start + 7)...].prefix { $0 != 13 }, as: UTF8.self))
    }

    func received(_ bytes: [UInt8]) {
        guard let tls else { return receivedPlain(bytes) }
        let plain = tls.receive(bytes)
        travel()
        receivedPlain(plain)
    }

    private func receivedPlain(_ bytes: [UInt8]) {
        if request?.kind == .tunnel, hasAnswered {
            tunnelled += bytes.count
            // An echo: what the client gets back must be what it sent.
            return send(bytes)
        }
        reader.feed(bytes)
        while let event = reader.next() {
            switch event {
            case .head: readHead()
            case .complete: bodyComplete()
            case .broken(let what): world.kernel.fault("the upstream reads nonsense: \(what)")
            }
        }
    }

    private func readHead() {
        guard let id = reader.field("x-sim").flatMap(Int.init), let request = world.requests[id] else {
            return world.kernel.fault("an upstream got a request that nobody sent: \(reader.startLine)")
        }
        if isSpoilt {
            world.kernel.fault("request \(id) came over a connection that is no longer to be used")
        }
        self.request = request
        hasAnswered = false
        streamKnownAt = nil
        request.timesAtUpstream += 1
        request.isWholeAtUpstream = false
        world.oracle.arrived(request, reader)
        reader.setFraming(reader.framing(isResponse: false) ?? .none)
        if request.script.isEarly { answerLater(request) }
    }

    private func bodyComplete() {
        guard let request else { return }
        request.isWholeAtUpstream = true
        if reader.body != request.requestBody {
            world.kernel.fault("request \(request.id) has another body upstream")
        }
        if !request.script.isEarly { answerLater(request) }
        if hasAnswered { finished(request) }
    }

    func ended() {
        if let tls {
            tls.end()
            travel()
        }
        link.end()
    }

    func reset() { request = nil }

    // MARK: Answering

    private func answerLater(_ request: ModelRequest) {
        world.kernel.after(request.script.delay + world.kernel.random.delay()) { [self] in
            guard !link.isClosedByGateway, self.request === request else { return }
            answer(request)
        }
    }

    private func answer(_ request: ModelRequest) {
        let script = request.script
        if let fault = script.fault { return misbehave(request, fault) }
        for _ in 0..<script.interimResponses { send("HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n") }
        hasAnswered = true
        switch request.kind {
        case .tunnel:
            send(
                "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                    + "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\nX-Sim: \(request.id)\r\n\r\n")
            noteStream()
        case .events:
            send("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nX-Sim: \(request.id)\r\n\r\n")
            noteStream()
            sendEvents(request, left: 3 + world.kernel.random.below(6))
        case .plain, .reserved, .malformed: answerPlainly(request)
        }
    }

    /// From when on the gateway knows of the stream: it has read all that was sent up to now.
    private func noteStream() { streamKnownAt = tls == nil ? sentBytes : nil }
    private var sentBytes = 0

    private func sendEvents(_ request: ModelRequest, left: Int) {
        guard self.request === request, !link.isClosedByGateway else { return }
        guard left > 0 else { return close() }
        send("data: \(request.id)\n\n")
        world.kernel.after(world.pauses()[0]) { [self] in
            sendEvents(request, left: left - 1)
        }
    }

    private func answerPlainly(_ request: ModelRequest) {
        let script = request.script
        var head = "HTTP/1.1 \(script.status) Fine\r\nX-Sim: \(request.id)\r\n"
        if script.closesAfterwards { head += "Connection: close\r\n" }
        switch script.framing {
        case .length: head += "Content-Length: \(script.bodyBytes)\r\n"
        case .chunked: head += "Transfer-Encoding: chunked\r\n"
        case .untilClose, .none: break
        }
        var bytes = Array((head + "\r\n").utf8)
        if !request.isHead, script.framing != .none {
            bytes += ModelRequest.coded(
                request.responseBody, isChunked: script.framing == .chunked, &world.kernel.random)
        }
        if script.hasTail {
            // With the answer's last byte, so that the gateway has both together; under TLS as a record of its own.
            link.deliversWhole = true
            isSpoilt = true
        }
        send(bytes)
        if script.hasTail { send("HTTP/1.1 200 OK\r\nX-Sim: 999999\r\nContent-Length: 4\r\n\r\nevil") }
        if request.isWholeAtUpstream { finished(request) }
    }

    private func finished(_ request: ModelRequest) {
        guard request.kind == .plain else { return }
        let script = request.script
        self.request = nil
        if script.closesAfterwards || script.framing == .untilClose { close() }
        if world.profile.upstreamsCloseIdle, world.kernel.random.chance(20) {
            world.kernel.after(world.kernel.random.delay()) { [self] in if self.request == nil { close() } }
        }
    }

    private func misbehave(_ request: ModelRequest, _ fault: UpstreamScript.Fault) {
        isSpoilt = true
        request.isDisturbed = true
        let id = "X-Sim: \(request.id)\r\n"
        switch fault {
        case .silent: return
        case .closesBeforeHead: break
        case .closesInHead: send("HTTP/1.1 200 OK\r\n\(id)Content-Le")
        case .closesInBody: send("HTTP/1.1 200 OK\r\n\(id)Content-Length: 5000\r\n\r\nshort")
        case .resetsInBody:
            send("HTTP/1.1 200 OK\r\n\(id)Transfer-Encoding: chunked\r\n\r\n400\r\nshort")
            return world.kernel.after(world.kernel.random.delay()) { [self] in link.abort() }
        case .garbage: send([0, 1, 2, 3, 255, 13, 10, 13, 10])
        case .doubledLength:
            send("HTTP/1.1 200 OK\r\n\(id)Content-Length: 4\r\nContent-Length: 5\r\n\r\nevil!")
        case .endlessHead: send("HTTP/1.1 200 OK\r\n\(id)" + String(repeating: "X-A: b\r\n", count: 8_000))
        case .unasked101: send("HTTP/1.1 101 Switching Protocols\r\n\(id)Upgrade: websocket\r\n\r\n")
        }
        close()
    }

    private func send(_ text: String) { send(Array(text.utf8)) }

    private func send(_ bytes: [UInt8]) {
        sentBytes += bytes.count
        guard let tls else { return link.send(bytes) }
        var start = 0
        while start < bytes.count {
            let count = min(16_000, bytes.count - start)
            tls.write(Array(bytes[start..<(start + count)]))
            start += count
        }
        travel()
    }

    private func travel() {
        if let bytes = tls?.take(), !bytes.isEmpty { link.send(bytes) }
    }

    private func close() {
        tls?.end()
        travel()
        link.end()
    }
}
