public import Border
import CLinux
import Glibc
import Synchronization

/// The data plane: reactors, one thread each, and the thread that writes their log.
///
/// The control plane holds this and a `ControlInbox`; nothing but values of `Border` passes between the two.
public final class DataPlaneEngine: Sendable {
    /// Revocations that every reactor takes before `start`; for one more `revoke` would wait for ever.
    public static var revocationsAheadMax: Int { Inbox.capacity }

    /// The port of each listener, in the order given; what 0 became.
    public let boundPorts: [UInt16]
    /// How many reactors there are; they are numbered from 0.
    public let reactorCount: Int

    private let inboxes: [Inbox]
    private let counters: [ReactorCounters]
    let marks: [TurnMark]
    private let logThread: LogThread
    private let threads: Threads
    private let revokedSerials: Mutex<Serials>

    private struct Serials {
        var newest: RevokedSerials
        /// Kept until there is another one, so that no reactor is the last to hold it and has to free it.
        var before: RevokedSerials?

        mutating func add(_ more: [String]) -> RevokedSerials {
            let next = newest.adding(more)
            if next !== newest { (newest, before) = (next, newest) }
            return newest
        }
    }

    /// Binds every listener and prepares every reactor; nothing is served before `start`.
    ///
    /// - Parameters:
    ///   - listeners: where to listen; every reactor gets a socket of its own for each (`SO_REUSEPORT`).
    ///   - workers: reactors, 1...256.
    ///   - snapshot: the first configuration.
    ///   - toControl: where requests for the control plane go.
    ///   - accessLog: descriptor that log lines are written to; stays the caller's.
    ///   - sockets: what listens already: for each reactor one socket a listener, in the listeners' order. They are
    ///     taken over, and then nothing is bound.
    /// - Throws: `ListenError`, `TLSConfigurationError`.
    public init(
        listeners: [ListenerAddress], workers: Int, snapshot: GatewaySnapshot, toControl: ControlInbox,
        accessLog: Int32 = 1, sockets: [[Int32]]? = nil
    ) throws {
        precondition((1...256).contains(workers), "workers \(workers)")
        precondition(
            sockets.map { $0.count == workers } ?? true, "sockets for \(sockets?.count ?? 0) reactors")
        // OpenSSL writes without MSG_NOSIGNAL nowhere here, but a library in this process might.
        signal(SIGPIPE, SIG_IGN)
        var fixed = listeners
        var inboxes: [Inbox] = []
        var counters: [ReactorCounters] = []
        var sources: [LogThread.Source] = []
        let threads = Threads()
        let clients = ClientTable()
        let instanceID = SystemRandomNumberGenerator.one()
        let serials = RevokedSerials(Set(snapshot.revokedSerials ?? []))
        revokedSerials = Mutex(Serials(newest: serials))
        for number in 0..<workers {
            let bound: BoundListeners
            if let sockets { bound = .adopt(sockets[number]) } else { bound = try .bind(fixed) }
            for index in fixed.indices { fixed[index].port = bound.port(index) }
            let parts = Reactor.Parts(
                number: UInt16(number), workers: workers, clients: clients, inbox: try Inbox(),
                toControl: toControl,
                counters: ReactorCounters(), mark: TurnMark(), log: LogRing(), instanceID: instanceID)
            inboxes.append(parts.inbox)
            counters.append(parts.counters)
            sources.append(LogThread.Source(ring: parts.log, mark: parts.mark, counters: parts.counters))
            let configuration = try PreparedConfiguration(snapshot, revokedSerials: serials)
            let reactor = try Reactor(parts, configuration: configuration, listeners: bound)
            threads.prepare(reactor)
        }
        self.inboxes = inboxes
        self.counters = counters
        marks = sources.map(\.mark)
        self.threads = threads
        reactorCount = workers
        boundPorts = fixed.map(\.port)
        logThread = try LogThread(sources, descriptor: accessLog)
    }

    /// Starts serving. Call once.
    public func start() {
        threads.startReactors()
        threads.startLog(logThread)
    }

    /// Sends a message to one reactor.
    /// - Returns: false when its lane is full: try again later.
    public func send(_ message: ToReactor, to reactor: Int) -> Bool { inboxes[reactor].send(message) }

    /// Checks a configuration completely (certificates, keys, addresses), prepares it for every reactor and sends it
    /// there. That takes its time on the calling thread, and none of the reactors' turns.
    /// - Throws: `TLSConfigurationError`; then nothing was sent.
    /// - Returns: false when a reactor's lane was full; send the same snapshot again.
    @discardableResult
    public func broadcast(configuration snapshot: GatewaySnapshot) throws -> Bool {
        // One at a time and to its end: contexts belong to the reactor's thread once they are sent, so the sender must
        // have let go of them before a reactor can take the next ones in their place.
        try revokedSerials.withLock { serials in
            let newest = serials.add(snapshot.revokedSerials ?? [])
            let prepared = try inboxes.map { _ in
                try PreparedConfiguration(snapshot, revokedSerials: newest)
            }
            var upstreams = PreparedUpstreams()
            for application in snapshot.applications { _ = try upstreams.group(for: application) }
            return zip(inboxes, prepared).reduce(true) { $1.0.send(.configuration($1.1)) && $0 }
        }
    }

    /// Sends a revocation to every reactor by the lane that never drops; waits where a lane is full. What is sent
    /// before `start` is in force before the first connection is accepted.
    ///
    /// - Precondition: of the calls before `start` this is at most number `revocationsAheadMax`.
    public func revoke(_ revocation: Revocation) {
        for inbox in inboxes { inbox.send(revocation) }
    }

    /// Stops accepting, lets open requests finish, and ends every reactor at the deadline at the latest.
    public func drain(deadlineMilliseconds: Int) {
        for inbox in inboxes {
            while !inbox.isEnded, !inbox.send(.drain(deadlineMilliseconds: deadlineMilliseconds)) {
                sched_yield()
            }
        }
    }

    /// As `drain`, for a gateway whose place another process has taken: what is connected is served once more before it
    /// is asked to go, so that nobody loses a request that is on its way.
    public func retire(deadlineMilliseconds: Int) {
        for inbox in inboxes { inbox.keepConnections() }
        drain(deadlineMilliseconds: deadlineMilliseconds)
    }

    /// Binds a socket for each reactor and listener, for `init(…, sockets:)` of this process or another.
    ///
    /// - Returns: for each reactor its sockets, in the listeners' order; the caller closes them.
    /// - Throws: `ListenError`.
    public static func bind(_ listeners: [ListenerAddress], workers: Int) throws -> [[Int32]] {
        var fixed = listeners
        var all: [[Int32]] = []
        for _ in 0..<workers {
            var sockets: [Int32] = []
            for index in fixed.indices {
                let socket = try ListenSocket(fixed[index])
                fixed[index].port = socket.port
                sockets.append(socket.release())
            }
            all.append(sockets)
        }
        return all
    }

    /// The port that a socket is bound to; 0: it is no socket of IPv4 or IPv6.
    public static func port(of socket: Int32) -> UInt16 { ListenSocket.port(of: socket) }

    /// Waits until every reactor has ended (after `drain`) and the log is written.
    public func join() {
        threads.joinReactors()
        logThread.end()
        threads.joinLog()
    }

    /// All counters and histograms as of now.
    public func metrics() -> DataPlaneMetrics {
        DataPlaneMetrics(reactors: counters.map(ReactorMetrics.init))
    }
}

extension SystemRandomNumberGenerator {
    fileprivate static func one() -> UInt64 {
        var generator = SystemRandomNumberGenerator()
        return generator.next()
    }
}
