import Access
import Border
import JSON
import Synchronization

@testable import Control

/// What became of a request at a stand-in reactor.
enum RequestOutcome: Equatable {
    case opened(stream: Int)
    /// The way to sign-in, or nobody known.
    case signIn
    case refused
}

/// Two reactors that keep session records and open streams by the rules of the border, and nothing else of a data
/// plane: records are used only when no later revocation touches them, revocations come before messages, what is open
/// is held against its record once a second.
final class StandInReactors: Reactors {
    fileprivate struct Entry {
        var record: SessionRecord
        var digest: [UInt8]
        var streams: Set<Int> = []
        var isDropped = false
        var renewalAskedAtSeconds: Int64 = 0
    }

    fileprivate struct Parked {
        var request: Int
        var digest: [UInt8]
        var application: String
        var isService = false
        var pulls = 0
    }

    fileprivate struct Lane {
        var revocations: [Revocation] = []
        var messages: [ToReactor] = []
        var applied: [Revocation] = []
        var entries: [Int: Entry] = [:]
        var byDigest: [[UInt8]: Int] = [:]
        var parked: [UInt32: Parked] = [:]
        var newest: UInt64 = 0
    }

    fileprivate struct State {
        var lanes = [Lane(), Lane()]
        var count = 0
        var outcomes: [Int: RequestOutcome] = [:]
        var asks: [ToControl] = []
        /// The clock as the last call had it.
        var now: Int64 = 0
        var fault: PlantedFault?
        /// Revocations are lost.
        var isDeaf = false
        /// Open without a record: nothing ever ends them.
        var strays: Set<Int> = []

        mutating func next() -> Int {
            count += 1
            return count
        }
    }
    private let state = Mutex(State())

    init(fault: PlantedFault? = nil) { state.withLock { $0.fault = fault } }

    /// As if the control plane had forgotten to send them.
    func losesRevocations(_ isDeaf: Bool) { state.withLock { $0.isDeaf = isDeaf } }

    static let count = 2
    fileprivate static let path = Array("/".utf8)
    fileprivate static let facts = RequestFacts(method: .get, client: NetworkAddress(v4: 0x7f00_0001))

    // MARK: What the control plane sees

    func send(_ message: ToReactor, to reactor: Int) async {
        state.withLock { $0.lanes[reactor].messages.append(message) }
    }
    func revoke(_ revocation: Revocation) {
        state.withLock { state in
            guard !state.isDeaf else { return }
            for index in state.lanes.indices { state.lanes[index].revocations.append(revocation) }
        }
    }
    func configure(_ snapshot: GatewaySnapshot) async throws(ControlFailure) {}
    func status() -> JSONValue { [:] }

    // MARK: What the story sees

    /// Every open stream with the application session that opened it.
    var open: [Int: String] {
        state.withLock { state in
            var open: [Int: String] = [:]
            for entry in state.lanes.flatMap(\.entries.values) {
                for stream in entry.streams { open[stream] = entry.record.session }
            }
            for stream in state.strays { open[stream] = "nobody known" }
            return open
        }
    }

    /// Somebody sends a request that becomes a stream where it is let in.
    ///
    /// - Returns: its number; the outcome is there when nothing is left to be asked.
    func request(
        _ digest: [UInt8], _ application: String, on reactor: Int, nowSeconds: Int64, isService: Bool = false
    ) -> Int {
        state.withLock { state in
            state.now = nowSeconds
            let request = state.next()
            let parked = Parked(
                request: request, digest: digest, application: application, isService: isService)
            state.applyRevocations(reactor)
            state.serve(parked, on: reactor)
            return request
        }
    }

    func outcome(_ request: Int) -> RequestOutcome? {
        state.withLock { $0.outcomes.removeValue(forKey: request) }
    }

    /// The client closes what it has open.
    func close(_ stream: Int) {
        state.withLock { state in
            state.strays.remove(stream)
            for index in state.lanes.indices {
                for slot in state.lanes[index].entries.keys {
                    state.lanes[index].entries[slot]?.streams.remove(stream)
                }
            }
        }
    }

    /// One turn of every reactor: revocations first.
    ///
    /// - Returns: what they ask the control plane.
    func turn(nowSeconds: Int64) -> [ToControl] {
        state.withLock { state in
            state.now = nowSeconds
            for index in state.lanes.indices {
                state.applyRevocations(index)
                let messages = state.lanes[index].messages
                state.lanes[index].messages = []
                for message in messages { state.take(message, on: index) }
            }
            defer { state.asks = [] }
            return state.asks
        }
    }

    /// The look at what is open, once a second.
    func check(nowSeconds: Int64) {
        state.withLock { state in
            state.now = nowSeconds
            for index in state.lanes.indices { state.checkStreams(index) }
        }
    }

    /// Seconds until `check` has something to do.
    func quietSeconds(nowSeconds: Int64) -> Int64 {
        state.withLock { state in
            let open = state.lanes.flatMap(\.entries.values).filter { !$0.streams.isEmpty }
            let waits = open.map { entry in
                let left = entry.record.streamsUntilSeconds - nowSeconds
                let toNote = max(1, entry.record.useNotedUntilSeconds - nowSeconds)
                return min(left > 30 ? left - 30 : min(10, left), toNote)
            }
            return max(1, waits.min() ?? .max)
        }
    }
}

extension StandInReactors.State {
    mutating func applyRevocations(_ index: Int) {
        let all = lanes[index].revocations
        lanes[index].revocations = []
        for revocation in all {
            lanes[index].applied.append(revocation)
            lanes[index].newest = max(lanes[index].newest, revocation.sequence)
            switch revocation.effect {
            case .endSession(let id): end(index, revocation.sequence) { $0.session == id }
            case .endPerson(let person): end(index, revocation.sequence) { $0.person == person }
            case .endDevice(let device): end(index, revocation.sequence) { $0.device == device }
            case .endApplication(let name): end(index, revocation.sequence) { $0.application == name }
            case .revokeCertificate: break
            case .replace(let record): replace(index, record, revocation.sequence)
            }
        }
    }

    private mutating func end(_ index: Int, _ sequence: UInt64, where isMeant: (SessionRecord) -> Bool) {
        for (slot, entry) in lanes[index].entries
        where isMeant(entry.record) && entry.record.sequence < sequence { drop(index, slot) }
    }

    private mutating func drop(_ index: Int, _ slot: Int) {
        guard let entry = lanes[index].entries.removeValue(forKey: slot) else { return }
        if lanes[index].byDigest[entry.digest] == slot { lanes[index].byDigest[entry.digest] = nil }
    }

    private mutating func replace(_ index: Int, _ record: SessionRecord, _ sequence: UInt64) {
        var newer = record
        newer.sequence = max(record.sequence, sequence)
        for (slot, entry) in lanes[index].entries
        where entry.record.session == newer.session && entry.record.sequence < sequence {
            var own = newer
            if entry.digest != record.tokenDigest {
                // The same session under another secret: what that opened goes by the newer record.
                own.tokenDigest = entry.record.tokenDigest
                own.openResidual = newer.openResidual ?? newer.residual
                own.residual.validUntilSeconds = 0
            }
            renew(index, slot, own)
        }
    }

    private mutating func renew(_ index: Int, _ slot: Int, _ record: SessionRecord) {
        lanes[index].entries[slot]?.record = record
        guard !forwards(record.openResidual ?? record.residual) else { return }
        lanes[index].entries[slot]?.streams = []
    }

    private func forwards(_ residual: Residual) -> Bool {
        if case .forward = decide(residual) { true } else { false }
    }

    private func decide(_ residual: Residual) -> Decision {
        residual.decide(StandInReactors.facts, path: StandInReactors.path.span, atSeconds: now)
    }

    // MARK: Requests

    fileprivate mutating func serve(_ parked: StandInReactors.Parked, on index: Int) {
        guard let slot = lanes[index].byDigest[parked.digest], let entry = lanes[index].entries[slot],
            entry.record.expiresAtSeconds > now || fault == .endIgnored
        else { return pull(parked, on: index) }
        guard entry.record.application == parked.application else {
            outcomes[parked.request] = .signIn
            return
        }
        if now >= entry.record.renewAtSeconds { askRenewal(index, slot) }
        switch decide(entry.record.residual) {
        case .forward: open(parked, slot, on: index)
        case .recompute: pull(parked, on: index)
        case .signIn: outcomes[parked.request] = .signIn
        case .refuse: outcomes[parked.request] = .refused
        }
    }

    private mutating func open(_ parked: StandInReactors.Parked, _ slot: Int, on index: Int) {
        let stream = next()
        lanes[index].entries[slot]?.streams.insert(stream)
        outcomes[parked.request] = .opened(stream: stream)
    }

    private mutating func pull(_ parked: StandInReactors.Parked, on index: Int) {
        guard parked.pulls < 3 else {
            outcomes[parked.request] = .refused
            return
        }
        var parked = parked
        parked.pulls += 1
        let slot = UInt32(next())
        lanes[index].parked[slot] = parked
        let ticket = Ticket(reactor: UInt16(index), slot: slot, generation: 0)
        asks.append(
            parked.isService
                ? .pullService(ticket, tokenDigest: parked.digest, application: parked.application)
                : .pullSession(ticket, tokenDigest: parked.digest, application: parked.application))
    }

    mutating func take(_ message: ToReactor, on index: Int) {
        switch message {
        case .session(let ticket, let record):
            guard let parked = lanes[index].parked.removeValue(forKey: ticket.slot) else { return }
            answered(parked, record, on: index)
        case .sessionUnavailable(let ticket, _):
            guard let parked = lanes[index].parked.removeValue(forKey: ticket.slot) else { return }
            guard fault == .outageOpens else {
                outcomes[parked.request] = .refused
                return
            }
            let stream = next()
            strays.insert(stream)
            outcomes[parked.request] = .opened(stream: stream)
        case .response, .proceed, .drain: break
        }
    }

    private mutating func answered(
        _ parked: StandInReactors.Parked, _ record: SessionRecord?, on index: Int
    ) {
        guard let record, record.application == parked.application, record.expiresAtSeconds > now else {
            outcomes[parked.request] = .signIn
            return
        }
        guard !isStale(record, on: index) else { return pull(parked, on: index) }
        if let slot = lanes[index].byDigest[parked.digest] {
            renew(index, slot, record)
        } else {
            let slot = next()
            lanes[index].entries[slot] = .init(record: record, digest: parked.digest)
            lanes[index].byDigest[parked.digest] = slot
        }
        serve(parked, on: index)
    }

    private func isStale(_ record: SessionRecord, on index: Int) -> Bool {
        guard record.sequence < lanes[index].newest else { return false }
        return lanes[index].applied.contains { revocation in
            guard revocation.sequence > record.sequence else { return false }
            return switch revocation.effect {
            case .endSession(let session): session == record.session
            case .endPerson(let person): person == record.person
            case .endDevice(let device): device == record.device
            case .endApplication(let application): application == record.application
            case .revokeCertificate: false
            case .replace(let newer): newer.tokenDigest == record.tokenDigest
            }
        }
    }

    // MARK: Open streams

    private mutating func askRenewal(_ index: Int, _ slot: Int) {
        guard let entry = lanes[index].entries[slot],
            !(0..<10).contains(now - entry.renewalAskedAtSeconds)
        else { return }
        lanes[index].entries[slot]?.renewalAskedAtSeconds = now
        asks.append(
            .renew(tokenDigest: entry.record.tokenDigest, application: entry.record.application))
    }

    mutating func checkStreams(_ index: Int) {
        for (slot, entry) in lanes[index].entries where !entry.streams.isEmpty {
            let until = entry.record.streamsUntilSeconds
            if now >= until {
                if fault == .endIgnored { continue }
                lanes[index].entries[slot]?.streams = []
            } else if until - now <= 30 || now >= entry.record.useNotedUntilSeconds {
                askRenewal(index, slot)
            }
        }
    }
}
