import COpenSSL
import Glibc
import HTTP

/// One client connection: sends its requests, reads the answers, and judges each of them.
final class SimulatedClient: Peer {
    /// How it leaves, when it has all its answers.
    enum Leaving: CaseIterable { case politely, abruptly, byReset, whenTheGatewayDoes }
    /// What a misbehaving one does in the middle.
    enum Rudeness: CaseIterable { case resets, leaves, halfCloses, stopsReading, stopsWriting }

    private let world: Simulation
    private let link: Link
    private let tls: TLSEnd
    private let requests: [ModelRequest]
    private let isPipelining: Bool
    private let leaving: Leaving
    let rudeness: Rudeness?
    private var nextToSend = 0
    private var nextToRead = 0
    private var reader = MessageReader()
    private var isReadingBody = false
    private var hasStarted = false
    private var isStopped = false
    private(set) var hasEnded = false
    /// The request whose body waits for 100.
    private var withheld: ModelRequest?
    private var tunnelSent: [UInt8] = []
    private var tunnelReceived: [UInt8] = []
    /// Bytes that it was sent since its stream lost its right; nil before that.
    private(set) var toldSinceLoss: Int?
    /// A goodbye of WebSocket's and one of TLS's, sealed.
    private static let goodbyeBytesMax = 120

    init(_ world: Simulation, requests: [ModelRequest], rudeness: Rudeness?) {
        self.world = world
        self.requests = requests
        self.rudeness = rudeness
        link = Link(world.kernel)
        isPipelining = world.kernel.random.chance(30)
        leaving = world.kernel.random.pick(Leaving.allCases)
        tls = TLSEnd(world.kernel.random.pick(TLSEnd.Contexts.shared.clients), serverName: "wiki.test")
        if rudeness != nil { for request in requests { request.isDisturbed = true } }
        for request in requests { request.client = self }
    }

    func start() {
        link.peer = self
        world.kernel.arrive(link)
        tls.handshake()
        travel()
        guard rudeness != nil else { return }
        world.kernel.after(UInt64(world.kernel.random.below(200)) * 1_000_000) { [self] in misbehave() }
    }

    private func misbehave() {
        guard !hasEnded else { return }
        switch rudeness {
        case .resets:
            link.abort()
            finish()
        case .leaves:
            link.end()
            finish()
        case .halfCloses:
            isStopped = true
            tls.end()
            travel()
            link.end()
        case .stopsReading: link.pause(world.kernel.random.chance(50) ? 3_000_000_000 : 400_000_000_000)
        case .stopsWriting: isStopped = true
        case nil: break
        }
    }

    // MARK: Sending

    private func travel() {
        let bytes = tls.take()
        if !bytes.isEmpty { link.send(bytes) }
    }

    private func proceed() {
        guard !hasEnded, withheld == nil else { return }
        while nextToSend < requests.count, isPipelining || nextToSend == nextToRead {
            let request = requests[nextToSend]
            nextToSend += 1
            send(request)
            if withheld != nil { return }
        }
        if nextToRead == requests.count { leave() }
    }

    private func send(_ request: ModelRequest) {
        request.writtenInTurn = world.kernel.turn
        world.kernel.trace(
            "the client of \(requests[0].id) asks \(request.method) \(request.host) \(request.id), \(request.cookie)"
        )
        if request.expectsContinue {
            write(request.head)
            withheld = request
            return
        }
        let body = request.bodyBytes > 0 || request.isChunked ? request.codedBody(&world.kernel.random) : []
        write(request.head + body)
    }

    /// One to three records; they are cut anew on the way.
    private func write(_ bytes: [UInt8]) {
        guard !isStopped else { return }
        var start = 0
        while start < bytes.count {
            let left = bytes.count - start
            let count = min(
                left, world.kernel.random.chance(50) ? 16_000 : 1 + world.kernel.random.below(left))
            tls.write(Array(bytes[start..<(start + count)]))
            start += count
        }
        travel()
    }

    private func sendWithheld() {
        guard let request = withheld else { return }
        withheld = nil
        write(request.codedBody(&world.kernel.random))
    }

    private func leave() {
        guard !hasEnded else { return }
        switch leaving {
        case .politely:
            tls.end()
            travel()
            link.end()
        case .abruptly: link.end()
        case .byReset: link.abort()
        case .whenTheGatewayDoes: return
        }
        finish()
    }

    // MARK: Receiving

    func gatewayWrote(_ bytes: [UInt8], wasBlocked: Bool) {
        guard let told = toldSinceLoss else { return }
        toldSinceLoss = told + bytes.count
        guard told + bytes.count > Self.goodbyeBytesMax else { return }
        world.kernel.fault("client \(requests[0].id) is told more than a goodbye after its session's end")
    }

    var isHandshaking: Bool { !tls.isEstablished }

    /// Its stream has just lost its right.
    func lost() { toldSinceLoss = 0 }

    func received(_ bytes: [UInt8]) {
        guard !hasEnded else { return }
        let plain = tls.receive(bytes)
        travel()
        guard !tls.hasFailed else {
            world.kernel.fault("client \(requests[0].id): TLS broke")
            return finish()
        }
        if tls.isEstablished, !hasStarted {
            hasStarted = true
            proceed()
        }
        if world.kernel.random.chance(2), world.profile.hasSlowReaders { link.pause(700_000_000) }
        read(plain)
    }

    private func read(_ bytes: [UInt8]) {
        guard !bytes.isEmpty else { return }
        if isTunnelling { return readTunnel(bytes) }
        reader.feed(bytes)
        while !hasEnded, let event = reader.next() {
            guard nextToRead < nextToSend else {
                return world.kernel.fault("an answer that nobody asked for: \(reader.startLine)")
            }
            switch event {
            case .head: readHead(requests[nextToRead])
            case .complete: if isReadingBody { answered(requests[nextToRead]) }
            case .broken(let what): world.kernel.fault("request \(requests[nextToRead].id): \(what)")
            }
            if isTunnelling { return }
        }
        if nextToRead < requests.count, isReadingBody { world.oracle.received(requests[nextToRead], reader) }
    }

    private var status: Int { Int(reader.startLine.split(separator: " ").dropFirst().first ?? "") ?? 0 }
    private var isTunnelling = false

    private func readHead(_ request: ModelRequest) {
        isReadingBody = false
        switch status {
        case 100:
            reader.setFraming(.none)
            if withheld == nil { world.kernel.fault("request \(request.id): 100 without Expect") }
            sendWithheld()
        case 102..<200:
            if request.isHTTP10 { world.kernel.fault("request \(request.id): \(status) to HTTP/1.0") }
            reader.setFraming(.none)
        case 101:
            world.oracle.answered(request, status: status, reader)
            isTunnelling = true
            nextToRead += 1
            beginTunnel(request)
        default:
            isReadingBody = true
            world.oracle.headReceived(request, status: status, reader)
            let isBodyless = request.isHead || status == 204 || status == 304
            guard let framing = isBodyless ? MessageReader.Framing.none : reader.framing(isResponse: true)
            else {
                return world.kernel.fault("request \(request.id): two lengths in one answer")
            }
            reader.setFraming(framing)
        }
    }

    private func answered(_ request: ModelRequest) {
        isReadingBody = false
        world.oracle.answered(request, status: status, reader)
        nextToRead += 1
        if withheld === request { withheld = nil }
        proceed()
    }

    // MARK: Tunnels

    private func beginTunnel(_ request: ModelRequest) {
        tunnelSent = ModelRequest.payload(request.id, 3, 50 + world.kernel.random.below(3_000))
        let pauses = world.pauses()
        let pieces = pauses.count + 1
        write(Array(tunnelSent[..<(tunnelSent.count / pieces)]))
        for (index, pause) in pauses.enumerated() {
            let range = tunnelSent.count * (index + 1) / pieces..<tunnelSent.count * (index + 2) / pieces
            world.kernel.after(pause) { [self] in
                guard !hasEnded else { return }
                write(Array(tunnelSent[range]))
            }
        }
    }

    private func readTunnel(_ bytes: [UInt8]) {
        tunnelReceived += bytes
        if tunnelReceived.elementsEqual(tunnelSent) { return leave() }
        guard !tunnelSent.starts(with: tunnelReceived), !isToldOfSilence else { return }
        // The gateway's own goodbye, behind what the other side said.
        let request = requests[nextToRead - 1]
        let same = zip(tunnelReceived, tunnelSent).prefix { $0 == $1 }.count
        // It may begin as what would have come next.
        let begin = max(0, tunnelReceived.count - 40)
        guard begin <= same, tunnelReceived[begin...same].contains(0x88), world.mayBeCut(request) else {
            return world.kernel.fault("request \(request.id): the tunnel gave back other bytes")
        }
    }

    /// Everything came back, and behind it the gateway says that nobody speaks any more.
    private var isToldOfSilence: Bool {
        let goodbye = WebSocketFrames.close(status: 1_001, reason: "idle")
        return tunnelReceived.starts(with: tunnelSent)
            && goodbye.starts(with: tunnelReceived.dropFirst(tunnelSent.count))
    }

    // MARK: Ends

    func ended() {
        guard !hasEnded else { return }
        // Only with close_notify is what ends with the connection whole.
        if isReadingBody, reader.endsWithConnection, tls.hasEnded { answered(requests[nextToRead]) }
        tls.end()
        travel()
        link.end()
        finish()
    }

    func reset() { finish() }

    /// Nothing more will be read: whoever has no whole answer never gets one.
    private func finish() {
        guard !hasEnded else { return }
        world.kernel.trace(
            "the client of \(requests[0].id) ends, \(nextToRead) of \(requests.count) answered")
        hasEnded = true
        for request in requests where request.outcome == nil { world.oracle.cut(request) }
        if isTunnelling, let request = requests.last, !world.mayBeCut(request),
            !tunnelReceived.elementsEqual(tunnelSent), !isToldOfSilence
        {
            world.kernel.fault(
                "the tunnel of request \(request.id) broke off, and nothing had happened to it")
        }
        world.clientEnded()
    }
}
