import Access
import Border
import CLinux
import Glibc
import HTTP
import JSON

/// One core's event loop: its own listeners, connections, sessions and upstream pool; nothing is shared.
///
/// Everything in here belongs to the thread that calls `run`. From outside only the inbox is reached.
final class Reactor {
    /// What a step of a connection came to.
    enum Step {
        /// Something moved: look again.
        case again
        /// Nothing more to do until an event, an answer or a deadline.
        case wait
        /// The connection is gone; its slot may already be someone else's.
        case closed
    }

    let number: UInt16
    /// Reactors in all: each has this part of what is bounded for the gateway.
    let workers: Int
    let clients: ClientTable
    let epoll: Int32
    let inbox: Inbox
    let toControl: ControlInbox
    let counters: ReactorCounters
    let mark: TurnMark
    let log: LogRing
    let instanceID: UInt64
    let cutsPerTurnMax: Int

    let listeners: UnsafeMutablePointer<ListenSocket>
    let listenerCount: Int

    let downstreams: Slab<Downstream>
    let upstreams: Slab<Upstream>
    let transports: UnsafeMutablePointer<Transport>
    let pool: UnsafeMutablePointer<BufferPool>
    let work: UnsafeMutablePointer<Workspace>
    let timers: TimerWheel
    let demands: ClientDemands
    let sessions: SessionCache
    /// With one more upstream connection per downstream connection than may be idle, the slab can never be full.
    let idleUpstreamsMax: Int
    /// Everything that changes.
    let state: UnsafeMutablePointer<ReactorState>

    struct Parts {
        let number: UInt16
        let workers: Int
        let clients: ClientTable
        let inbox: Inbox
        let toControl: ControlInbox
        let counters: ReactorCounters
        let mark: TurnMark
        let log: LogRing
        let instanceID: UInt64
        /// Streams that one turn ends.
        var cutsPerTurnMax = Reactor.cutsPerTurnMax
    }

    init(
        _ parts: Parts, configuration: PreparedConfiguration, listeners bound: consuming BoundListeners
    ) throws {
        number = parts.number
        workers = parts.workers
        clients = parts.clients
        inbox = parts.inbox
        toControl = parts.toControl
        counters = parts.counters
        mark = parts.mark
        log = parts.log
        instanceID = parts.instanceID
        cutsPerTurnMax = parts.cutsPerTurnMax
        epoll = epoll_create1(Int32(EPOLL_CLOEXEC))
        guard epoll >= 0 else { throw ListenError(what: "epoll: \(String(cString: strerror(errno)))") }
        let snapshot = configuration.snapshot
        var prepared = PreparedUpstreams()
        let plan = try Plan(configuration) { try prepared.group(for: $0) }
        let share = (number: Int(parts.number), of: parts.workers)
        let groups = prepared.adopt(snapshot.limits, share: share).groups
        state = .allocate(capacity: 1)
        state.initialize(to: ReactorState(plan, groups: groups, configuration.revokedSerials))
        let connections = Int32(max(1, snapshot.limits.connectionsMax / parts.workers))
        let outbound =
            connections
            + Int32(
                snapshot.limits.upstreamIdlePerReactorMax + 2 * Self.probesMax + Self.http2UpstreamsMax)
        idleUpstreamsMax = snapshot.limits.upstreamIdlePerReactorMax
        downstreams = Slab(firstSlot: 0, capacity: connections)
        upstreams = Slab(firstSlot: connections, capacity: outbound)
        transports = .allocate(capacity: Int(connections + outbound))
        pool = .allocate(capacity: 1)
        pool.initialize(to: BufferPool())
        work = .allocate(capacity: 1)
        work.initialize(to: Workspace(snapshot.limits, instanceID: instanceID))
        timers = TimerWheel(
            slots: Int(connections + outbound), nowMilliseconds: state.pointee.nowMilliseconds)
        demands = ClientDemands(capacity: Int(connections))
        sessions = SessionCache(capacity: max(1, snapshot.limits.sessionsCachedMax / parts.workers))
        listenerCount = bound.count
        listeners = bound.release()
        registerDescriptors()
        scheduleProbes()
    }

    deinit {
        for slot in downstreams.everUsed where downstreams.isInUse(slot) { close(slot) }
        let first = upstreams.firstSlot
        for slot in first..<(first + upstreams.capacity) where upstreams.isInUse(slot) { closeUpstream(slot) }
        listeners.deinitialize(count: listenerCount)
        listeners.deallocate()
        transports.deallocate()
        pool.pointee.destroy()
        pool.deallocate()
        work.deinitialize(count: 1)
        work.deallocate()
        downstreams.destroy()
        upstreams.destroy()
        timers.destroy()
        demands.destroy()
        state.pointee.defence.end()
        state.deinitialize(count: 1)
        state.deallocate()
        _ = Glibc.close(epoll)
    }
}

// Confined to its thread; capturing it elsewhere is a compile error.
@available(*, unavailable) extension Reactor: Sendable {}
