import Access
public import Border
import Glibc
public import JSON
import Posture
import Synchronization

/// The reactors as the control plane sees them. `DataPlane` is behind it; tests use a recorder.
public protocol Reactors: Sendable {
    /// The ordinary lane of one reactor; waits while it is full, up to the reactor's own deadline.
    func send(_ message: ToReactor, to reactor: Int) async
    /// The lane that never drops, to every reactor.
    func revoke(_ revocation: Revocation)
    /// A new configuration for every reactor.
    ///
    /// - Throws: `ControlFailure` when a reactor could not take it (a certificate, a key, an address); every reactor
    ///   then keeps what it has.
    func configure(_ snapshot: GatewaySnapshot) async throws(ControlFailure)
    /// Counters and latencies for `gatepost status`.
    func status() -> JSONValue
}

/// Numbers revocations, and judges what was computed while others were sent.
///
/// A session record carries the number that was the last one when its loading began. A reactor uses it only after it
/// has applied every later one, so a load that raced with a revocation cannot bring a session back; and a record that
/// is to *replace* another is refused here when its session was touched meanwhile, so that a slow renewal cannot lay
/// yesterday's verdict over today's.
final class Revocations: Sendable {
    /// Sessions whose last touch is remembered one by one.
    static let touchedMax = 100_000

    private struct State {
        var last: UInt64 = 0
        /// The number of the last revocation that named a session.
        var touched: [String: UInt64] = [:]
        /// Up to here every record counts as touched.
        var floor: UInt64 = 0
        var table = SessionTable()
        var renewing: Set<[UInt8]> = []

        func isStale(_ record: SessionRecord) -> Bool {
            record.sequence < max(floor, touched[record.session] ?? 0)
        }

        mutating func touch(_ effect: Revocation.Effect) {
            switch effect {
            case .endSession(let session): touched[session] = last
            case .replace(let record): touched[record.session] = last
            case .endPerson, .endDevice, .endApplication: floor = last
            // The machines and sessions that it opened are named by themselves.
            case .revokeCertificate: break
            }
            guard touched.count > Revocations.touchedMax else { return }
            floor = last
            touched = [:]
        }
    }
    private let state = Mutex(State())
    private let reactors: any Reactors
    private let ended: @Sendable (String) -> Void

    /// - Parameter ended: told of every single session that ends.
    init(reactors: any Reactors, ended: @escaping @Sendable (String) -> Void = { _ in }) {
        self.reactors = reactors
        self.ended = ended
    }

    /// The sequence that a record must carry when its loading begins now.
    var sequence: UInt64 { state.withLock { $0.last } }

    /// How many records are at hand.
    var recordCount: Int { state.withLock { $0.table.count } }

    /// How many sessions are in use here.
    var sessionCount: Int { state.withLock { $0.table.latest.count } }

    /// Who is signed in, and the devices that somebody is signed in from.
    func open(nowSeconds: Int64) -> (people: Set<SignedInPerson>, devices: Set<String>) {
        let names = state.withLock { $0.table.openNames(nowSeconds: nowSeconds) }
        // An issuer is a URL: the first space is the one behind it.
        let people = Set(names.lazy.compactMap(\.person)).compactMap { name -> SignedInPerson? in
            guard let space = name.firstIndex(of: " ") else { return nil }
            return SignedInPerson(
                issuer: String(name[..<space]), subject: String(name[name.index(after: space)...]))
        }
        return (Set(people), Set(names.lazy.compactMap(\.device)))
    }

    /// The record that a session was given last.
    func latest(_ session: String) -> SessionRecord? { state.withLock { $0.table.latest[session] } }

    /// Those of these sessions that reactors were given a record of.
    func known(_ sessions: some Sequence<String>) -> Set<String> {
        state.withLock { state in Set(sessions.filter { state.table.isKnown($0) }) }
    }

    /// The identities of the policies that records in use come from.
    var policiesInUse: Set<String> {
        state.withLock { Set($0.table.latest.values.lazy.map(\.residual.policyIdentity)) }
    }

    /// Sends under the lock, so that every reactor's lane sees the numbers in order.
    ///
    /// - Returns: the sessions whose replacing record was overtaken and therefore not sent: decide them again.
    @discardableResult
    func send(
        _ effects: [Revocation.Effect], eventNanoseconds: UInt64 = Arrival.eventNanoseconds
    ) -> Set<String> {
        defer { for case .endSession(let session) in effects { ended(session) } }
        return state.withLock { state in
            var overtaken: Set<String> = []
            for case .replace(let record) in effects where state.isStale(record) {
                overtaken.insert(record.session)
            }
            for effect in effects {
                if case .replace(let record) = effect, overtaken.contains(record.session) { continue }
                state.last += 1
                state.touch(effect)
                state.table.apply(effect)
                reactors.revoke(
                    Revocation(sequence: state.last, eventNanoseconds: eventNanoseconds, effect: effect))
            }
            return overtaken
        }
    }

    /// A record made lately that no revocation has touched since; as good as one loaded at this moment.
    func fresh(_ digest: [UInt8], application: String, nowSeconds: Int64) -> SessionRecord? {
        state.withLock { state in
            var record = state.table.fresh(digest, application: application, nowSeconds: nowSeconds)
            record?.sequence = state.last
            return record
        }
    }

    /// Keeps a record for other reactors, unless it is overtaken already.
    func keep(_ record: SessionRecord, nowSeconds: Int64) {
        state.withLock { state in
            guard !state.isStale(record) else { return }
            state.table.keep(record, nowSeconds: nowSeconds)
        }
    }

    /// The session that a token belonged to when it was last seen here.
    func sessionID(_ digest: [UInt8]) -> String? { state.withLock { $0.table.sessionID(digest) } }

    /// Whether the caller is the one to renew this token's record; `endRenewal` must follow.
    func beginRenewal(_ digest: [UInt8]) -> Bool { state.withLock { $0.renewing.insert(digest).inserted } }

    func endRenewal(_ digest: [UInt8]) { state.withLock { _ = $0.renewing.remove(digest) } }

    /// Numbers on after what another control process has numbered; what is being made counts as overtaken.
    func resume(after sequence: UInt64) {
        state.withLock { state in
            guard sequence >= state.last else { return }
            state.last = sequence
            state.floor = sequence
        }
    }

    /// Learns whose these records are, so that they can be ended; they are not handed out.
    func adopt(_ known: [KnownRecord]) {
        state.withLock { state in
            for record in known { state.table.adopt(record.tokenDigest, session: record.session) }
        }
    }

    /// Forgets every record at hand, and judges every one that is being made as overtaken: the policy they come from
    /// is being replaced.
    func forgetRecords() {
        state.withLock { state in
            state.last += 1
            state.floor = state.last
            state.table.removeAll()
        }
    }
}

/// Nanoseconds of the host's monotonic clock.
public func monotonicNanoseconds() -> UInt64 {
    var time = timespec()
    clock_gettime(CLOCK_MONOTONIC, &time)
    return UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec)
}
