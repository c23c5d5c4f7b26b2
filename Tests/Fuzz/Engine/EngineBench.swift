// What the fuzz targets of this folder have in common. Built by scripts/fuzz together with the whole of
// Sources/DataPlane and the simulated kernel of its tests, because SwiftPM cannot link libFuzzer's main.
import Access
import Border
import COpenSSL
import Glibc

/// One whole reactor on one simulated kernel, from one input: as short-lived as the input, so that it shows the same
/// each time that it is run again.
final class EngineBench {
    let kernel: SimulatedKernel
    private let inbox: Inbox
    private let mailbox: ControlInbox
    /// Held for as long as the kernel may call them; it does not hold them itself.
    private var peers: [any Peer] = []

    static let host = "open.test"

    /// The calling thread is in the kernel already: the inbox has a descriptor.
    private init(_ kernel: SimulatedKernel) {
        self.kernel = kernel
        do {
            inbox = try Inbox(capacity: 64)
            mailbox = try ControlInbox(capacity: 64)
        } catch { preconditionFailure("\(error)") }
    }

    /// Runs a reactor to its end and traps when something was wrong on the way, or is left behind.
    ///
    /// - Parameter upstream: makes the far end of each connection to the application.
    static func run(
        seed: UInt64, upstream: @escaping (EngineBench, Link) -> any Peer, _ begin: (EngineBench) -> Void
    ) {
        // Made by real processes, on first use.
        _ = TestCertificates.shared
        _ = TLSEnd.Contexts.shared
        let kernel = SimulatedKernel(seed: seed)
        let table = KernelTable(entering: kernel)
        do {
            let bench = EngineBench(kernel)
            bench.run(upstream, begin)
            bench.peers = []
        }
        if kernel.openDescriptors > 0 { kernel.fault("\(kernel.openDescriptors) descriptors are still open") }
        _ = consume table
        if !kernel.problems.isEmpty { fail(kernel.problems) }
    }

    /// Says what is wrong, which a precondition of an optimised program does not, and traps.
    static func fail(_ problems: [String]) -> Never {
        for problem in problems { print(problem) }
        fflush(nil)
        preconditionFailure()
    }

    private func run(_ upstream: @escaping (EngineBench, Link) -> any Peer, _ begin: (EngineBench) -> Void) {
        guard
            let reactor = try? Reactor(
                Reactor.Parts(
                    number: 0, workers: 1, clients: ClientTable(), inbox: inbox, toControl: mailbox,
                    counters: ReactorCounters(), mark: TurnMark(), log: LogRing(capacity: 4_096),
                    instanceID: 1),
                configuration: try PreparedConfiguration(Self.snapshot, revokedSerials: RevokedSerials()),
                listeners: try BoundListeners.bind([ListenerAddress(address: "127.0.0.1", port: 443)]))
        else { preconditionFailure("no reactor") }
        kernel.accepting = { [unowned self] link, _ in
            let peer = upstream(self, link)
            peers.append(peer)
            return true
        }
        kernel.afterTurn = { [unowned self] in answerControl() }
        kernel.whenStalled = { [unowned self] in
            kernel.fault("the reactor sleeps for ever")
            _ = inbox.send(.drain(deadlineMilliseconds: 0))
        }
        begin(self)
        // By then all that is idle has been closed, and every deadline has passed.
        kernel.after(900_000_000_000) { [unowned self] in _ = inbox.send(.drain(deadlineMilliseconds: 0)) }
        reactor.run()
        kernel.afterTurn = {}
        checkLeftBehind(reactor)
        kernel.accepting = { _, _ in false }
        kernel.whenStalled = {}
    }

    /// A client's connection that waits to be accepted.
    func connect(_ peer: any Peer, _ link: Link) {
        peers.append(peer)
        link.peer = peer
        kernel.arrive(link)
    }

    private func answerControl() {
        while let message = mailbox.receive() {
            guard case .request(let request) = message else { continue }
            _ = inbox.send(
                .response(ControlResponse(ticket: request.ticket, status: 404, fields: [], body: [])))
        }
    }

    private func checkLeftBehind(_ reactor: Reactor) {
        let state = reactor.state.pointee
        let left: [(String, Int)] = [
            ("downstream connections", Int(reactor.downstreams.count)),
            ("upstream connections", Int(reactor.upstreams.count)), ("idle upstreams", state.idleUpstreams),
            ("bytes of buffers", reactor.pool.pointee.bytesInUse), ("parked requests", state.parked),
            ("collected bodies", state.collecting), ("queued connections", state.queue.count),
            ("HTTP/2 streams", state.streams),
            ("open exchanges", Int(reactor.counters.value(.requests) &- reactor.counters.value(.responses))),
        ]
        for (what, count) in left where count != 0 { kernel.fault("\(count) \(what) left behind") }
    }

    private static let snapshot: GatewaySnapshot = {
        let bypass = ResidualPolicy(
            name: "open", action: .bypass, anyOf: [], allOf: [], noneOf: [], restriction: nil,
            reason: .policyBypasses)
        let residual = Residual(
            policyIdentity: "fuzz", isSignedIn: false, validUntilSeconds: 1 << 40, policies: [bypass],
            refusal: .noPolicyMatches, dependsOn: [])
        var limits = Limits()
        limits.connectionsMax = 24
        limits.upstreamIdlePerReactorMax = 4
        limits.sessionsCachedMax = 4
        let certificates = TestCertificates.shared
        return GatewaySnapshot(
            revision: 1, authHost: "auth.test", publicPort: 443,
            certificates: [
                ListenerCertificate(
                    names: ["*.test"], chainPEM: certificates.chainPEM, keyPEM: certificates.keyPEM)
            ],
            applications: [
                ApplicationRoute(
                    name: "open", host: host, upstreams: [UpstreamAddress(address: "127.0.0.1", port: 8_001)],
                    anonymous: residual)
            ], limits: limits, cookieKeys: [MACKey(id: 7, secret: (0..<32).map { UInt8($0) })],
            ticketKeys: [(0..<80).map { UInt8($0) }], accessLog: true)
    }()
}

/// A client's side of TLS with one protocol to choose from.
enum FuzzClientContext {
    // Unchecked because OpenSSL's types are not Sendable; libFuzzer calls from one thread.
    nonisolated(unsafe) static let http1 = context("http/1.1")
    nonisolated(unsafe) static let http2 = context("h2")

    private static func context(_ name: String) -> OpaquePointer {
        guard let context = SSL_CTX_new(TLS_client_method()) else { preconditionFailure("no TLS") }
        let list = [UInt8(name.utf8.count)] + Array(name.utf8)
        precondition(SSL_CTX_set_alpn_protos(context, list, UInt32(list.count)) == 0)
        return context
    }
}
