import Border
import COpenSSL

@testable import DataPlane

/// One reactor on a simulated kernel, and peers that do what a test says and nothing else: every moment is the reactor's
/// own, and no second of it passes outside.
final class ScriptedReactor {
    let kernel: SimulatedKernel
    let counters = ReactorCounters()
    private let inbox: Inbox
    private let mailbox: ControlInbox
    /// Held for as long as the kernel may call them.
    private var peers: [any Peer] = []
    /// Only while it runs.
    private(set) var reactor: Reactor?
    /// Called after every turn.
    var afterTurn: () -> Void = {}
    /// Called after every turn with what the reactor asked in it.
    var control: (ToControl) -> Void = { _ in }
    /// Makes the far end of each connection to an upstream; nil: one that answers with `upstream`.
    var accepting: ((Link) -> any Peer)?
    private let cutsPerTurnMax: Int

    /// The calling thread is in the kernel already.
    private init(_ kernel: SimulatedKernel, cutsPerTurnMax: Int) throws {
        self.kernel = kernel
        self.cutsPerTurnMax = cutsPerTurnMax
        inbox = try Inbox(capacity: 64)
        mailbox = try ControlInbox(capacity: 64)
    }

    /// Runs a reactor for so many seconds of its own time.
    ///
    /// - Parameters:
    ///   - upstream: answers each request that comes upstream, by its head; nil: with silence.
    ///   - cutsPerTurnMax: streams that one turn ends.
    ///   - script: makes the clients; called before the first turn.
    /// - Returns: what went wrong on the way; empty when nothing did.
    static func run(
        seed: UInt64 = 1, seconds: UInt64, snapshot: GatewaySnapshot,
        cutsPerTurnMax: Int = Reactor.cutsPerTurnMax, upstream: @escaping (String) -> [UInt8]?,
        _ script: (ScriptedReactor) -> Void
    ) throws -> [String] {
        // Made by real processes, on first use.
        _ = TestCertificates.shared
        _ = TLSEnd.Contexts.shared
        _ = ScriptedClient.Contexts.shared
        let kernel = SimulatedKernel(seed: seed)
        kernel.movesMuch = true
        let table = KernelTable(entering: kernel)
        try {
            let world = try ScriptedReactor(kernel, cutsPerTurnMax: cutsPerTurnMax)
            try world.run(seconds, snapshot, upstream, script)
            kernel.runOut()
            world.peers = []
        }()
        if kernel.openDescriptors > 0 { kernel.fault("\(kernel.openDescriptors) descriptors are still open") }
        _ = consume table
        return kernel.problems
    }

    private func run(
        _ seconds: UInt64, _ snapshot: GatewaySnapshot, _ upstream: @escaping (String) -> [UInt8]?,
        _ script: (ScriptedReactor) -> Void
    ) throws {
        let reactor = try Reactor(
            Reactor.Parts(
                number: 0, workers: 1, clients: ClientTable(), inbox: inbox, toControl: mailbox,
                counters: counters, mark: TurnMark(), log: LogRing(capacity: 4_096), instanceID: 1,
                cutsPerTurnMax: cutsPerTurnMax),
            configuration: try PreparedConfiguration(snapshot, revokedSerials: RevokedSerials()),
            listeners: try BoundListeners.bind([ListenerAddress(address: "127.0.0.1", port: 443)]))
        self.reactor = reactor
        kernel.accepting = { [unowned self] link, _ in
            let peer = accepting?(link) ?? ScriptedUpstream(link, upstream)
            peers.append(peer)
            link.peer = peer
            return true
        }
        kernel.afterTurn = { [unowned self] in
            for peer in peers { (peer as? ScriptedClient)?.noteClosing() }
            while let message = mailbox.receive() { control(message) }
            afterTurn()
        }
        kernel.whenStalled = { [unowned self] in
            kernel.fault("the reactor sleeps for ever")
            end()
        }
        script(self)
        kernel.after(seconds * 1_000_000_000) { [unowned self] in end() }
        reactor.run()
        afterTurn = {}
        control = { _ in }
        accepting = nil
        kernel.afterTurn = {}
        self.reactor = nil
        if reactor.pool.pointee.bytesInUse > 0 {
            kernel.fault("\(reactor.pool.pointee.bytesInUse) bytes of buffers are left behind")
        }
        if !reactor.state.pointee.holdings.isEmpty { kernel.fault("an address holds what nobody has") }
        kernel.accepting = { _, _ in false }
        kernel.whenStalled = {}
    }

    func send(_ message: ToReactor) { _ = inbox.send(message) }
    func revoke(_ revocation: Revocation) { inbox.send(revocation) }
    var upstreams: [ScriptedUpstream] { peers.compactMap { $0 as? ScriptedUpstream } }

    private func end() { _ = inbox.send(.drain(deadlineMilliseconds: 0)) }

    /// A client's connection that waits to be accepted.
    func connect(_ peer: any Peer, _ link: Link) {
        peers.append(peer)
        link.peer = peer
        kernel.arrive(link)
    }
}

/// The far end of one connection to an application: answers as it is told, and reads everything.
final class ScriptedUpstream: Peer {
    let link: Link
    private let answer: (String) -> [UInt8]?
    private var head: [UInt8]? = []
    /// All that came, heads too.
    private(set) var plain: [UInt8] = []

    init(_ link: Link, _ answer: @escaping (String) -> [UInt8]?) {
        self.link = link
        self.answer = answer
    }

    func gatewayWrote(_ bytes: [UInt8], wasBlocked: Bool) {}

    func received(_ bytes: [UInt8]) {
        plain += bytes
        guard var head else { return }
        head += bytes
        guard MessageReader.find(Array("\r\n\r\n".utf8), in: head) != nil else {
            self.head = head
            return
        }
        // What follows is the next request, or a body, which nobody reads.
        self.head = head.starts(with: "GET ".utf8) ? [] : nil
        if let bytes = answer(String(decoding: head, as: UTF8.self)) { link.send(bytes) }
    }

    func ended() { link.end() }
    func reset() {}
}

/// One client: what it sends and when is the test's; when the gateway lets go of it is noted.
final class ScriptedClient: Peer {
    enum Speech { case http1, http2 }

    /// OpenSSL counts references by itself.
    struct Contexts: @unchecked Sendable {
        // Unchecked because OpenSSL's types are not Sendable; contexts are complete before anyone can read them.
        let http1: OpaquePointer
        let http2: OpaquePointer
        static let shared = Contexts()

        private init() {
            http1 = Self.context("http/1.1")
            http2 = Self.context("h2")
        }

        private static func context(_ name: String) -> OpaquePointer {
            let context = SSL_CTX_new(TLS_client_method())!
            let list = [UInt8(name.utf8.count)] + Array(name.utf8)
            precondition(SSL_CTX_set_alpn_protos(context, list, UInt32(list.count)) == 0)
            return context
        }
    }

    // A test looks at its clients after the run: they must not keep its descriptors open.
    unowned let world: ScriptedReactor
    let link: Link
    private let tls: TLSEnd
    /// In front of TLS: a load balancer's header.
    private let preamble: [UInt8]
    /// Called once, when the handshake is done.
    private let whenReady: (ScriptedClient) -> Void
    private var isReady = false
    /// What it was told.
    private(set) var plain: [UInt8] = []
    /// Called with each piece of it.
    var whenTold: ([UInt8]) -> Void = { _ in }
    /// When it was told that the connection is over, on the reactor's clock.
    private(set) var endedNanoseconds: UInt64?

    /// - Parameter preamble: what is sent in front of the handshake.
    init(
        _ world: ScriptedReactor, _ speech: Speech = .http1, preamble: [UInt8] = [],
        whenReady: @escaping (ScriptedClient) -> Void = { _ in }
    ) {
        self.world = world
        self.preamble = preamble
        self.whenReady = whenReady
        link = Link(world.kernel)
        let context = speech == .http1 ? Contexts.shared.http1 : Contexts.shared.http2
        tls = TLSEnd(context, serverName: "wiki.test")
        world.connect(self, link)
    }

    /// What begins a handshake.
    func firstFlight() -> [UInt8] {
        tls.handshake()
        return preamble + tls.take()
    }

    /// Without it the client is a connection that says nothing.
    func begin() { link.send(firstFlight()) }

    /// Nothing is sent on its own: a handshake that was begun stays half.
    var isMute = false

    /// A byte each half second, until the gateway has had enough.
    func drip(_ bytes: [UInt8], by say: @escaping (ScriptedClient, [UInt8]) -> Void) {
        guard let first = bytes.first, endedNanoseconds == nil, !link.isClosedByGateway else { return }
        say(self, [first])
        world.kernel.after(500_000_000) { [self] in drip(Array(bytes.dropFirst()), by: say) }
    }

    func send(_ text: String) { send(Array(text.utf8)) }

    /// One record.
    func send(_ bytes: [UInt8]) {
        tls.write(bytes)
        let records = tls.take()
        if !records.isEmpty { link.send(records) }
    }

    func gatewayWrote(_ bytes: [UInt8], wasBlocked: Bool) {}

    func received(_ bytes: [UInt8]) {
        let told = tls.receive(bytes)
        plain += told
        if !told.isEmpty { whenTold(told) }
        guard !isMute else { return }
        let records = tls.take()
        if !records.isEmpty { link.send(records) }
        guard tls.isEstablished, !isReady else { return }
        isReady = true
        whenReady(self)
    }

    func ended() {
        noteEnd()
        link.end()
    }

    func reset() { noteEnd() }

    /// Who reads nothing is not told, but has no connection any more.
    func noteClosing() { if link.isClosedByGateway { noteEnd() } }

    private func noteEnd() {
        if endedNanoseconds == nil { endedNanoseconds = world.kernel.nowNanoseconds }
    }
}
