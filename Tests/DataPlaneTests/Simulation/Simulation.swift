import Access
import Border
import Glibc

@testable import DataPlane

/// One whole data plane on one simulated kernel, from one seed: clients, upstreams, a control plane and what may go wrong.
///
/// The reactor is the product's own, from `epoll_wait` up to its destruction; it runs until its drain is over.
final class Simulation {
    let seed: UInt64
    let kernel: SimulatedKernel
    var profile: Profile
    private(set) var requests: [Int: ModelRequest] = [:]
    private(set) var oracle: Oracle!
    private(set) var cuts: CutLaw!
    private(set) var turns: TurnLaw!
    private(set) var control: SimulatedControl!
    private var clients: [SimulatedClient] = []
    private var upstreams: [SimulatedUpstream] = []
    private var open = 0
    private var revision: UInt64 = 1
    private var isQuiet = false
    /// Of `planStreams`.
    var streamsEndNanoseconds: UInt64 = 0

    init(seed: UInt64, profile: Profile? = nil) {
        self.seed = seed
        kernel = SimulatedKernel(seed: seed)
        self.profile = profile ?? Profile(&kernel.random)
        oracle = Oracle(self)
        cuts = CutLaw(self)
    }

    /// Where a run came out: the same for each run of one seed.
    static func fingerprint(seed: UInt64) throws -> [UInt64] {
        let simulation = Simulation(seed: seed)
        try simulation.run()
        return [
            simulation.kernel.nowNanoseconds, UInt64(simulation.kernel.turn), simulation.kernel.random.next(),
        ]
    }

    /// Runs the seed to its end.
    /// - Returns: what was wrong; empty when nothing was.
    static func problems(seed: UInt64, profile: Profile? = nil, losesEdges: Bool = false) -> [String] {
        let simulation = Simulation(seed: seed, profile: profile)
        simulation.kernel.faults.losesEdges = losesEdges
        return simulation.problems()
    }

    func problems() -> [String] {
        do { try run() } catch { kernel.fault("\(error)") }
        return kernel.problems.isEmpty ? [] : ["troubles: \(profile)"] + kernel.problems
    }

    private func run() throws {
        // Made by real processes, on first use.
        _ = TestCertificates.shared
        _ = TLSEnd.Contexts.shared
        let table = KernelTable(entering: kernel)
        kernel.movesMuch = profile.movesMuch
        kernel.faults.acceptsFail = profile.kernelFails
        kernel.faults.connectsFail = profile.kernelFails
        control = try SimulatedControl(self)
        try {
            let reactor = try Reactor(
                Reactor.Parts(
                    number: 0, workers: 1, clients: ClientTable(), inbox: control.inbox,
                    toControl: control.mailbox,
                    counters: ReactorCounters(), mark: TurnMark(), log: LogRing(capacity: 4_096),
                    instanceID: 1, cutsPerTurnMax: profile.cutsTooFew ? 1 : profile.cutsPerTurn),
                configuration: try configuration(),
                listeners: try BoundListeners.bind([ListenerAddress(address: "127.0.0.1", port: 443)]))
            plan()
            kernel.accepting = { [self] link, port in
                upstreams.append(SimulatedUpstream(self, link, isTLS: port >= 9_000))
                return true
            }
            turns = TurnLaw(self, reactor)
            kernel.beforeTurn = { [self] in turns.began($0) }
            kernel.whenCalled = { [self] in turns.called($0) }
            kernel.afterTurn = { [self, unowned reactor] in afterTurn(reactor) }
            if profile.floodsRevocations { flood(reactor) }
            kernel.whenStalled = { [self] in
                kernel.fault("the reactor sleeps for ever")
                drain(0)
            }
            reactor.run()
            kernel.afterTurn = {}
            kernel.beforeTurn = { _ in }
            kernel.whenCalled = { _ in }
            kernel.whenClockIsRead = {}
            leftBehind(reactor)
        }()
        kernel.runOut()
        for request in requests.values.sorted(by: { $0.id < $1.id }) { oracle.judge(request) }
        control = nil
        if kernel.openDescriptors > 0 { kernel.fault("\(kernel.openDescriptors) descriptors are still open") }
        kernel.accepting = { _, _ in false }
        kernel.whenStalled = {}
        _ = consume table
    }

    // MARK: The configuration

    private func configuration() throws -> PreparedConfiguration {
        try PreparedConfiguration(snapshot(), revokedSerials: RevokedSerials())
    }

    private func snapshot() -> GatewaySnapshot {
        var limits = Limits()
        limits.connectionsMax = profile.isCrowded ? 3 : 24 + 2 * profile.streams
        limits.upstreamIdlePerReactorMax = 4
        limits.sessionsCachedMax = profile.hasSmallCache ? 3 : 16
        if profile.restsShortly { limits.idleMilliseconds = 10 }
        // A new workspace with every second configuration.
        limits.fieldsMax = revision % 2 == 0 ? 90 : 100
        let routes = [Facts.open(0, host: "open.test", name: "open"), Facts.closed(0)].map { route in
            var route = route
            route.upstreams = [8_001, 8_002].map { UpstreamAddress(address: "127.0.0.1", port: $0) }
            if profile.hasTLSUpstreams {
                route.upstreams[0] = UpstreamAddress(
                    address: "127.0.0.1", port: 9_001, serverName: "wiki.test",
                    authoritiesPEM: TestCertificates.shared.authorityPEM)
            }
            return route
        }
        return Gateway.snapshot(routes, limits: limits, revision: revision, accessLog: seed % 2 == 0)
    }

    /// When whatever happens happens.
    private func plan() {
        let wishes = RequestPlan(profile)
        var id = 0
        for _ in 0..<(1 + kernel.random.below(7)) {
            let list = wishes.requests(from: &id, &kernel.random)
            let isRude = profile.clientsMisbehave && kernel.random.chance(40)
            let client = add(
                list, isRude ? kernel.random.pick(SimulatedClient.Rudeness.allCases) : nil)
            later(400) { client.start() }
        }
        if profile.streams > 0 { planStreams(from: &id) }
        if profile.revokes {
            let areAll = profile.withholdsRevocations || profile.revocationsLateTurns > 0
            for number in 0..<ModelRequest.Cookies.count where areAll {
                later(100) { [self] in revoke(number) }
            }
            for _ in 0..<(1 + kernel.random.below(4)) {
                later(600) { [self] in revoke(UInt8(kernel.random.below(Int(ModelRequest.Cookies.count)))) }
            }
        }
        let reloads = profile.reloadsOften ? 60 : profile.reloads ? 1 + kernel.random.below(3) : 0
        for _ in 0..<reloads { later(500) { [self] in reload() } }
        if profile.drainsEarly { later(500) { [self] in drain(kernel.random.pick([0, 50, 30_000])) } }
        kernel.after(1_800_000_000_000) { [self] in
            guard open > 0 else { return }
            kernel.fault("\(open) clients have no end after half an hour")
            drain(0)
        }
    }

    func add(_ list: [ModelRequest], _ rudeness: SimulatedClient.Rudeness? = nil) -> SimulatedClient {
        for request in list { requests[request.id] = request }
        let client = SimulatedClient(self, requests: list, rudeness: rudeness)
        clients.append(client)
        open += 1
        return client
    }

    func later(_ milliseconds: Int, _ action: @escaping () -> Void) {
        kernel.after(UInt64(kernel.random.below(milliseconds * 1_000)) * 1_000, action)
    }

    private func reload() {
        revision += 1
        kernel.trace("reload \(revision)")
        do { _ = control.inbox.send(.configuration(try configuration())) } catch { kernel.fault("\(error)") }
    }

    private func drain(_ milliseconds: Int) {
        control?.send(.drain(deadlineMilliseconds: milliseconds))
    }

    // MARK: Revocations

    func revoke(_ number: UInt8) {
        guard control.sessions[Int(number)].endedInTurn == nil else { return }
        control.revoke(number)
        kernel.trace("session \(number) ends")
        cuts.ended(number, among: upstreams)
        // What is short has two seconds to finish, and the wheel turns every 8 ms.
        let short = upstreams.compactMap { upstream -> (SimulatedUpstream, ModelRequest)? in
            guard let request = upstream.current, request.sessionNumber == number else { return nil }
            return (upstream, request)
        }
        kernel.after(2_100_000_000) { [self] in
            for (upstream, request) in short where upstream.current === request {
                kernel.fault("request \(request.id) goes on 2.1 s after its session ended")
            }
        }
    }

    private var revocationsBefore: UInt64 = 0
    /// In how many turns somebody revoked all the time.
    private(set) var floodTurns = 0
    private var floodedUpTo = 0

    /// While nothing else happens somebody revokes as fast as the reactor applies it, until twenty turns have passed.
    private func flood(_ reactor: Reactor) {
        kernel.after(60_000_000_000) { [self, unowned reactor] in
            let end = kernel.turn + 20
            kernel.whenClockIsRead = { [self, unowned reactor] in
                let applied = reactor.counters.value(.revocations) - revocationsBefore
                if applied > 100_000 { return }
                guard kernel.turn < end, control.waiting(reactor) < 32 else { return }
                if kernel.turn > floodedUpTo { (floodTurns, floodedUpTo) = (floodTurns + 1, kernel.turn) }
                control.revokeNobody()
            }
            control.revokeNobody()
        }
    }

    // MARK: The end, and what every turn must leave behind

    /// A client will read nothing more.
    func clientEnded() {
        open -= 1
        guard open == 0, !isQuiet else { return }
        isQuiet = true
        // By then all that is idle has been closed, and every deadline has passed.
        kernel.after(900_000_000_000) { [self] in drain(0) }
    }

    private func afterTurn(_ reactor: Reactor) {
        turns.ended()
        control.work()
        cuts.check(after: kernel.turn - 1)
        let applied = reactor.counters.value(.revocations) - revocationsBefore
        revocationsBefore += applied
        // What was in the lane, and what was there when the event of its wake-up came.
        if applied > 2 * UInt64(control.inbox.revocationsMax) {
            kernel.fault("a turn applied \(applied) revocations")
        }
        let bound = 300_000 * Int(reactor.downstreams.count + reactor.upstreams.count)
        if reactor.pool.pointee.bytesInUse > bound {
            kernel.fault("\(reactor.pool.pointee.bytesInUse) bytes in use")
        }
    }

    /// What nobody holds any more must be given back.
    private func leftBehind(_ reactor: Reactor) {
        let state = reactor.state.pointee
        var streams = 0
        for number in 0..<ModelRequest.Cookies.count {
            for slot in reactor.sessions.slots(.session, "session-\(number)") {
                streams += reactor.sessions[slot].pointee.streams
            }
        }
        let idle = profile.drainsEarly ? state.idleUpstreams : 0
        let isTimed =
            !profile.drainsEarly && reactor.timers.timeoutMilliseconds(now: state.nowMilliseconds) >= 0
        let left: [(String, Int)] = [
            ("downstream connections", Int(reactor.downstreams.count)),
            ("upstream connections", Int(reactor.upstreams.count) - idle),
            ("idle upstreams", state.idleUpstreams - idle), ("timers", isTimed ? 1 : 0),
            ("holders of buffers", profile.drainsEarly ? 0 : state.bufferHolders.count),
            ("bytes of buffers", reactor.pool.pointee.bytesInUse), ("parked requests", state.parked),
            ("collected bodies", state.collecting), ("queued connections", state.queue.count),
            ("queued ends", state.cuts.isEmpty ? 0 : 1),
            ("open streams", streams),
            ("open exchanges", Int(reactor.counters.value(.requests) &- reactor.counters.value(.responses))),
        ]
        for (what, count) in left where count != 0 { kernel.fault("\(count) \(what) left behind") }
    }

    // MARK: Excuses

    /// Whether something happened that allows the gateway to refuse the request or to cut its connection.
    func mayBeCut(_ request: ModelRequest) -> Bool {
        if request.isDisturbed || profile.isCrowded || profile.drainsEarly { return true }
        let isForwarded = request.kind != .reserved && request.kind != .malformed
        // Without a descriptor left newcomers are turned away, whatever they ask for.
        if profile.kernelFails { return true }
        if profile.hasSmallCache, request.sessionNumber != nil { return true }
        if profile.controlMisbehaves, request.kind == .reserved || request.sessionNumber != nil {
            return true
        }
        if let number = request.sessionNumber, control.sessions[Int(number)].endedInTurn != nil {
            return true
        }
        // A request that may not be repeated meets a connection that was being closed: at rest, or behind an answer
        // to HEAD that did not say where its body would have ended.
        let closesUnannounced = requests.values.contains { $0.isHead && $0.script.framing == .untilClose }
        let mayBeRepeated = ["GET", "HEAD", "PUT", "DELETE", "OPTIONS"].contains(request.method)
        return isForwarded && (profile.upstreamsCloseIdle || closesUnannounced)
            && (request.bodyBytes > 0 || request.isChunked || !mayBeRepeated)
    }
}
