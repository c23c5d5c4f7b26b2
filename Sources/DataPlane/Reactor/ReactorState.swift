import Border

/// What changes in a reactor while it runs, behind one pointer.
///
/// A class's stored `var` costs a run-time exclusivity check at every touch (some 100 instructions, 73 times per
/// request once); memory behind a pointer costs none. So a reactor has only `let`s, and this.
struct ReactorState {
    /// Read once per turn: all that happens in a turn happens at this moment.
    var nowNanoseconds: UInt64
    var nowMilliseconds: UInt64
    var nowSeconds: Int64
    private var wallClockReadAgainAt: UInt64 = 0
    /// The moment at which everything ends, once a drain was ordered.
    var drainDeadlineMilliseconds: UInt64?
    /// When the next HTTP/2 client is told its last stream; `.max` while none waits for it.
    var goodbyeAtMilliseconds = UInt64.max
    var isAccepting = true
    var isEnded = false

    /// The configuration, and what every request asks of it, copied out so that no reference is counted for it.
    private(set) var plan: Plan
    private(set) var limits: Limits
    private(set) var revision: UInt64
    private(set) var hasEncodedSlashRoute: Bool
    private(set) var writesAccessLog: Bool
    /// Upstreams by application.
    var groups: [String: UpstreamGroup]
    /// Who waits for a place at an application, or was just given one: by slot.
    var places: [Int32: UpstreamGroup] = [:]
    var waiting = 0
    /// Health checks under way.
    var probes = 0
    /// When a health check or an endpoint's return is due; `.max` while nothing is.
    var tendUpstreamsAtMilliseconds = UInt64.max { didSet { noteNextLook() } }

    /// Certificates that an administrator revoked, up to the configuration and one by one: never given back.
    private(set) var revokedSerials: RevokedSerials
    var furtherRevokedSerials: Set<String> = []
    var random = RequestIDs()
    var recent = RecentRevocations()
    var cuts = CutQueue()
    /// Connections that have more to do without an event.
    var queue: [Handle] = []
    /// HTTP/2 connections with output, and all their open streams.
    var unflushed: [Handle] = []
    var streams = 0
    /// Connections that keep their TLS buffers until they rest, and when that is looked at.
    var bufferHolders: [Handle] = []
    var sweepAtMilliseconds = UInt64.max { didSet { noteNextLook() } }
    /// When what is open is held against its session's record; `.max` while nothing is.
    var streamCheckAtMilliseconds = UInt64.max { didSet { noteNextLook() } }
    var defence = DefenceState() { didSet { noteNextLook() } }
    /// The first of all the moments above at which something is looked at, `.max` while there is none: turns ask
    /// for it thousands of times before it changes once.
    private(set) var nextLookMilliseconds = UInt64.max
    /// The list of idle downstream connections, oldest first.
    var firstIdle: Int32 = -1
    var lastIdle: Int32 = -1
    /// Idle upstream connections of all endpoints together.
    var idleUpstreams = 0
    /// HTTP/2 connections to upstreams.
    var http2Upstreams = 0
    var parked = 0
    /// Requests whose body is being collected for the control plane; they count with the parked ones.
    var collecting = 0
    var parkTicket: UInt32 = 0
    /// The connection that is being worked on; -1 while none is. Only looked at when this process dies.
    var served: Int32 = -1
    /// The process before this one died of some request (`Quarantine`).
    var hasQuarantine = false
    /// By client, of those that have connections here; and whose turn it is to give memory back.
    var holdings: [ClientTable.Client: ClientHoldingPointer] = [:]
    var overdrawn: [ClientTable.Client] = []
    /// By slot; at most as many as there are connections.
    var namedPeers: [Int32: NamedPeer] = [:]

    init(_ plan: Plan, groups: [String: UpstreamGroup], _ revokedSerials: RevokedSerials) {
        self.plan = plan
        self.groups = groups
        limits = plan.snapshot.limits
        revision = plan.snapshot.revision
        hasEncodedSlashRoute = plan.hasEncodedSlashRoute
        writesAccessLog = plan.snapshot.accessLog
        self.revokedSerials = revokedSerials
        nowNanoseconds = 0
        nowMilliseconds = 0
        nowSeconds = 0
        readClocks()
    }

    private mutating func noteNextLook() {
        nextLookMilliseconds = min(
            min(sweepAtMilliseconds, streamCheckAtMilliseconds, tendUpstreamsAtMilliseconds),
            min(defence.lookAtMilliseconds, defence.acceptAgainAtMilliseconds))
    }

    mutating func readClocks() {
        nowNanoseconds = Clock.monotonicNanoseconds()
        nowMilliseconds = nowNanoseconds / 1_000_000
        // The kernel's coarse clock moves every 4 ms at most: asking it more often brings nothing.
        guard nowMilliseconds >= wallClockReadAgainAt else { return }
        wallClockReadAgainAt = nowMilliseconds + 4
        nowSeconds = Clock.wallSeconds()
    }

    /// Replaces the configuration whole.
    mutating func adopt(_ plan: Plan, groups: [String: UpstreamGroup], _ revokedSerials: RevokedSerials) {
        self.plan = plan
        self.groups = groups
        limits = plan.snapshot.limits
        revision = plan.snapshot.revision
        hasEncodedSlashRoute = plan.hasEncodedSlashRoute
        writesAccessLog = plan.snapshot.accessLog
        // Of two the greater holds the other, whichever came first.
        if revokedSerials.numbers.count > self.revokedSerials.numbers.count {
            self.revokedSerials = revokedSerials
        }
    }
}

extension Reactor {
    var nowNanoseconds: UInt64 { state.pointee.nowNanoseconds }
    var nowMilliseconds: UInt64 { state.pointee.nowMilliseconds }
    var nowSeconds: Int64 { state.pointee.nowSeconds }
    var limits: Limits { state.pointee.limits }
    var plan: Plan { state.pointee.plan }
}
