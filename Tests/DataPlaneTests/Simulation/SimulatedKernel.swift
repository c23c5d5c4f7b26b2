import CLinux
import CSimulatedKernel
import Glibc

/// The kernel that a simulated reactor runs on: descriptors, sockets, an epoll set and two clocks, all from one seed.
///
/// It keeps what epoll(7) and tcp(7) promise and nothing beyond: an edge is reported once, several are reported in any
/// order and over several waits, a call may be interrupted, and bytes arrive in pieces of any size.
final class SimulatedKernel {
    /// One open descriptor.
    enum Entry {
        case free, epoll, listener
        case event(count: UInt64)
        case link(Link)
    }

    struct Watch {
        var events: UInt32
        var token: UInt64
        var isEdgeTriggered: Bool { events & EPOLLET.rawValue != 0 }
    }

    /// What `TurnLaw` looks at.
    enum Call {
        case accept
        case moves(Link)
    }

    /// What may go wrong by the kernel's own doing.
    struct Faults {
        var acceptsFail = false
        var connectsFail = false
        /// Not a kernel's right at all: the harness must notice that wake-ups are lost.
        var losesEdges = false
    }

    static let firstDescriptor = Int32(SIMULATED_DESCRIPTORS_FROM)
    private static let turnsMax = 200_000

    var random: SeededGenerator
    var faults = Faults()
    /// Large bodies, in larger pieces.
    var movesMuch = false
    private(set) var nowNanoseconds: UInt64 = 5_000_000_000_000
    /// Turns of the reactor so far.
    private(set) var turn = 0
    var wallNanoseconds: UInt64 = 1_900_000_000_000_000_000
    private(set) var problems: [String] = []
    /// Called after every turn.
    var afterTurn: () -> Void = {}
    /// Called when a turn begins, with the connections that it was told can be read; and at calls of it.
    var beforeTurn: ([Link]) -> Void = { _ in }
    var whenCalled: (Call) -> Void = { _ in }
    /// Called before each look at a clock.
    var whenClockIsRead: () -> Void = {}
    /// Called when the reactor would sleep for ever.
    var whenStalled: () -> Void = {}
    /// The other end of a new outgoing connection: nil refuses it.
    var accepting: (Link, UInt16) -> Bool = { _, _ in false }

    private var entries: [Entry] = []
    private var watches: [Watch?] = []
    private var ready: [Int32] = []
    private var backlog: [Link] = []
    private var isListening = true
    private var agenda = Agenda()
    private var readable: [Link] = []

    init(seed: UInt64) { random = SeededGenerator(seed: seed) }

    /// Notes what no right engine and no right harness does.
    func fault(_ what: String) {
        if problems.count < 20 { problems.append("turn \(turn): \(what)") }
    }

    /// GATEPOST_SIM_TRACE=1: what happens, line by line.
    private static let isTracing = getenv("GATEPOST_SIM_TRACE") != nil
    func trace(_ what: @autoclosure () -> String) {
        if Self.isTracing { print("turn \(turn), \(nowNanoseconds / 1_000 % 1_000_000_000) us: \(what())") }
    }

    var openDescriptors: Int {
        entries.reduce(0) { count, entry in if case .free = entry { count } else { count + 1 } }
    }

    // MARK: Time

    /// Does something later, in the order of time; what is due at once happens in any order.
    func after(_ nanoseconds: UInt64, _ action: @escaping () -> Void) {
        agenda.insert(at: nowNanoseconds + nanoseconds, tie: random.next(), action)
    }

    /// The reactor is gone: what is still on its way arrives.
    func runOut() {
        for _ in 0..<100_000 {
            guard let next = agenda.firstTime else { return }
            nowNanoseconds = max(nowNanoseconds, next)
            agenda.removeFirst(until: nowNanoseconds)?()
        }
        fault("the peers never come to an end")
    }

    func read(clock: Int32) -> UInt64 {
        whenClockIsRead()
        nowNanoseconds += 50
        return clock == CLOCK_MONOTONIC ? nowNanoseconds : wallNanoseconds &+ nowNanoseconds
    }

    // MARK: Descriptors

    /// The lowest free number, as in a real process: a descriptor that is used after its end is somebody else's.
    func open(_ entry: Entry) -> Int32 {
        for index in entries.indices {
            guard case .free = entries[index] else { continue }
            entries[index] = entry
            return Self.firstDescriptor + Int32(index)
        }
        entries.append(entry)
        watches.append(nil)
        return Self.firstDescriptor + Int32(entries.count - 1)
    }

    func entry(_ descriptor: Int32, _ call: String) -> Entry {
        let index = Int(descriptor - Self.firstDescriptor)
        guard entries.indices.contains(index) else {
            fault("\(call) of descriptor \(index), which never was")
            return .free
        }
        if case .free = entries[index] { fault("\(call) of descriptor \(index), which is closed") }
        return entries[index]
    }

    func set(_ descriptor: Int32, _ entry: Entry) { entries[Int(descriptor - Self.firstDescriptor)] = entry }

    func close(_ descriptor: Int32) -> Int32 {
        switch entry(descriptor, "close") {
        case .free: return -EBADF
        case .link(let link): link.closedByGateway()
        case .epoll, .listener, .event: break
        }
        set(descriptor, .free)
        watches[Int(descriptor - Self.firstDescriptor)] = nil
        ready.removeAll { $0 == descriptor }
        return 0
    }

    // MARK: Connections

    /// A client's connection waits to be accepted.
    func arrive(_ link: Link) {
        guard isListening else { return link.refused() }
        backlog.append(link)
    }

    func stopListening() {
        isListening = false
        for link in backlog { link.refused() }
        backlog = []
    }

    func accept() -> Int32 {
        whenCalled(.accept)
        guard !backlog.isEmpty else { return -EAGAIN }
        if random.chance(2) { return -EINTR }
        if faults.acceptsFail, random.chance(20) { return random.chance(50) ? -EMFILE : -ECONNABORTED }
        let link = backlog.remove(at: 0)
        link.descriptor = open(.link(link))
        return link.descriptor
    }

    func connect(_ descriptor: Int32, port: UInt16) -> Int32 {
        guard case .link(let link) = entry(descriptor, "connect") else { return -EBADF }
        if faults.connectsFail, random.chance(5) { return -ENETUNREACH }
        link.isConnected = false
        let isRefused = (faults.connectsFail && random.chance(15)) || !accepting(link, port)
        // Nobody answers: the connect has no end of its own.
        if isRefused, random.chance(30) { return -EINPROGRESS }
        after(random.delay()) { isRefused ? link.refused() : link.connected() }
        return -EINPROGRESS
    }

    // MARK: epoll

    func control(_ operation: Int32, _ descriptor: Int32, _ events: UInt32, _ token: UInt64) -> Int32 {
        if case .free = entry(descriptor, "epoll_ctl") { return -EBADF }
        let index = Int(descriptor - Self.firstDescriptor)
        if operation == EPOLL_CTL_DEL {
            watches[index] = nil
            return 0
        }
        if watches[index] != nil { fault("epoll_ctl adds a descriptor twice") }
        watches[index] = Watch(events: events, token: token)
        wake(descriptor)
        return 0
    }

    /// Something changed at a descriptor: its present state is reported by one of the next waits.
    func wake(_ descriptor: Int32) {
        guard descriptor >= Self.firstDescriptor, !ready.contains(descriptor) else { return }
        if faults.losesEdges, random.chance(4), case .link = entry(descriptor, "wake") { return }
        ready.append(descriptor)
    }

    private func mask(_ descriptor: Int32) -> UInt32 {
        switch entries[Int(descriptor - Self.firstDescriptor)] {
        case .free, .epoll: 0
        case .listener: backlog.isEmpty ? 0 : EPOLLIN.rawValue
        case .event(let count): count > 0 ? EPOLLIN.rawValue : 0
        case .link(let link): link.readiness
        }
    }

    private func harvest(_ events: UnsafeMutablePointer<epoll_event>, _ capacity: Int) -> Int32 {
        for index in watches.indices where watches[index]?.isEdgeTriggered == false {
            let descriptor = Self.firstDescriptor + Int32(index)
            if mask(descriptor) != 0, !ready.contains(descriptor) { ready.append(descriptor) }
        }
        random.shuffle(&ready)
        let wanted = random.chance(70) ? ready.count : 1 + random.below(max(1, ready.count))
        var count = 0
        var kept: [Int32] = []
        for descriptor in ready {
            guard count < min(capacity, wanted) else {
                kept.append(descriptor)
                continue
            }
            guard let watch = watches[Int(descriptor - Self.firstDescriptor)] else { continue }
            let found = mask(descriptor) & (watch.events | EPOLLERR.rawValue | EPOLLHUP.rawValue)
            guard found != 0 else { continue }
            if found & EPOLLIN.rawValue != 0, case .link(let link) = entry(descriptor, "harvest") {
                readable.append(link)
            }
            events[count] = epoll_event(events: found, data: epoll_data_t(u64: watch.token))
            count += 1
        }
        ready = kept
        return Int32(count)
    }

    func wait(_ events: UnsafeMutablePointer<epoll_event>, _ capacity: Int, _ milliseconds: Int32) -> Int32 {
        readable = []
        let count = goOn(events, capacity, milliseconds)
        beforeTurn(readable)
        return count
    }

    /// The reactor has nothing to do: the world goes on until it has.
    private func goOn(_ events: UnsafeMutablePointer<epoll_event>, _ capacity: Int, _ milliseconds: Int32)
        -> Int32
    {
        turn += 1
        if turn == Self.turnsMax { fault("\(turn) turns without an end: the reactor runs in circles") }
        if turn >= Self.turnsMax { whenStalled() }
        precondition(turn < Self.turnsMax + 10_000, "the reactor does not end: \(problems)")
        afterTurn()
        nowNanoseconds += UInt64(random.below(20_000))
        if random.chance(1) { return -EINTR }
        let deadline = milliseconds < 0 ? .max : nowNanoseconds + UInt64(milliseconds) * 1_000_000
        while let action = agenda.removeFirst(until: nowNanoseconds) { action() }
        while true {
            let count = harvest(events, capacity)
            if count > 0 { return count }
            guard let next = agenda.firstTime, next <= deadline else {
                guard deadline != .max else {
                    whenStalled()
                    return 0
                }
                nowNanoseconds = deadline
                return 0
            }
            // What happens at about the same time is seen together.
            nowNanoseconds = max(nowNanoseconds, next) + UInt64(random.below(30_000))
            while let action = agenda.removeFirst(until: nowNanoseconds) { action() }
        }
    }
}
