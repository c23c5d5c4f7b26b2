import Access
import Signatures

/// One device check that a signed-in person's browser goes through (handshake.md M0).
///
/// It belongs to the global session that started it. Otherwise an attacker sends his own transaction to a
/// victim, the victim's healthy agent answers, and the attacker's session becomes healthy.
struct Transaction: Sendable, Hashable {
    var id: String
    var globalSession: String
    var application: String
    var returnPath: String
    /// The configured `endpoint-agent` integration.
    var agent: String
    var deviceOwner: DeviceOwner
    /// Keyed hash of the person, for the agent's own log; nil when the caller gave nobody.
    var subjectHint: String?
    /// What the application asks of this handshake; nil: nothing of its own.
    var demand: PostureDemand?
    var startedAtSeconds: Int64
    /// What its page has told of itself so far.
    var reports = 0
}

/// The live transactions: bounded as a whole and per session, with an end.
struct Transactions: Sendable {
    static let perSessionMax = 5
    static let countMax = 50_000
    static let lifeSeconds: Int64 = 600

    private var transactions: [ExactKey: Transaction] = [:]
    private var bySession: [ExactKey: [ExactKey]] = [:]
    private let countMax: Int
    private var sweptAtSeconds: Int64?

    init(countMax: Int = Transactions.countMax) { self.countMax = countMax }

    var count: Int { transactions.count }

    /// Starts one. The sixth of a session takes the place of its oldest: that is a forgotten tab.
    ///
    /// - Returns: the one that made room.
    @discardableResult
    mutating func start(_ transaction: Transaction) throws(PostureRefusal) -> String? {
        let now = transaction.startedAtSeconds
        // Once a second is enough: a full table must not make every attempt walk all of it.
        if transactions.count >= countMax, sweptAtSeconds != now { removeExpired(nowSeconds: now) }
        let session = ExactKey(transaction.globalSession)
        var own = bySession[session] ?? []
        var displaced: ExactKey?
        if own.count >= Self.perSessionMax {
            let oldest = own.removeFirst()
            transactions[oldest] = nil
            displaced = oldest
        }
        guard transactions.count < countMax else {
            bySession[session] = own.isEmpty ? nil : own
            throw PostureRefusal(.overloaded, "\(transactions.count) device checks are under way")
        }
        own.append(ExactKey(transaction.id))
        bySession[session] = own
        transactions[ExactKey(transaction.id)] = transaction
        return displaced?.text
    }

    /// The transaction when it lives and belongs to this session; who asks with another session learns
    /// nothing more than that it is not theirs.
    func find(_ id: String, globalSession: String, nowSeconds: Int64) throws(PostureRefusal) -> Transaction {
        guard let found = transactions[ExactKey(id)], nowSeconds < found.startedAtSeconds + Self.lifeSeconds
        else {
            throw PostureRefusal(.sessionMismatch, "no such device check")
        }
        guard constantTimeEqual(Array(found.globalSession.utf8), Array(globalSession.utf8)) else {
            throw PostureRefusal(
                .sessionMismatch, "the device check belongs to another session", isAlert: true)
        }
        return found
    }

    /// The live transaction, whoever asks.
    func peek(_ id: String, nowSeconds: Int64) -> Transaction? {
        transactions[ExactKey(id)].flatMap { nowSeconds < $0.startedAtSeconds + Self.lifeSeconds ? $0 : nil }
    }

    /// Counts one word of the page; `find` comes before.
    ///
    /// - Returns: false when there were too many.
    mutating func report(_ id: String, max: Int) -> Bool {
        guard let count = transactions[ExactKey(id)]?.reports, count < max else { return false }
        transactions[ExactKey(id)]?.reports = count + 1
        return true
    }

    mutating func remove(_ id: String) { remove(ExactKey(id)) }

    private mutating func remove(_ id: ExactKey) {
        guard let gone = transactions.removeValue(forKey: id) else { return }
        let session = ExactKey(gone.globalSession)
        bySession[session]?.removeAll { $0 == id }
        if bySession[session]?.isEmpty == true { bySession[session] = nil }
    }

    mutating func removeExpired(nowSeconds: Int64) {
        sweptAtSeconds = nowSeconds
        for (id, transaction) in transactions
        where nowSeconds >= transaction.startedAtSeconds + Self.lifeSeconds {
            remove(id)
        }
    }
}
