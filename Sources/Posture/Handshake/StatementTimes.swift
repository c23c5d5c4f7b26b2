import Access

/// How new the newest statement of each management server's device is that came with a proof of its key (mode A).
///
/// A statement is good for a day, and what it said may be taken back within that day: who kept the older one must not
/// get by with it. Kept until the older ones have ended by themselves, so there is at most one for each device that
/// was seen within a day.
struct StatementTimes: Sendable {
    private var newest: [ExactKey: Int64] = [:]
    /// Not in the store yet.
    private(set) var unsaved: [ExactKey: Int64] = [:]

    init(_ stored: [String: Int64] = [:]) {
        for (device, issued) in stored { newest[ExactKey(device)] = issued }
    }

    var count: Int { newest.count }

    /// Takes a statement whose key was proven; the same one counts as often as it comes.
    mutating func take(
        _ issuedAtSeconds: Int64, of device: String, nowSeconds: Int64
    ) throws(PostureRefusal) {
        let device = ExactKey(device)
        if let known = newest[device], known > issuedAtSeconds {
            throw PostureRefusal(
                .statementExpired,
                "statement: made \(known - issuedAtSeconds) s before the newest one of \(device.text)",
                isAlert: true)
        }
        guard newest[device] != issuedAtSeconds else { return }
        if newest[device] == nil { removeExpired(nowSeconds: nowSeconds) }
        newest[device] = issuedAtSeconds
        unsaved[device] = issuedAtSeconds
    }

    /// Notes that a time is in the store. A newer one that came meanwhile is not.
    mutating func stored(_ issuedAtSeconds: Int64, of device: ExactKey) {
        if unsaved[device] == issuedAtSeconds { unsaved[device] = nil }
    }

    /// Forgets what only statements that have ended are older than. Looked at rarely: it walks all of them.
    private mutating func removeExpired(nowSeconds: Int64) {
        guard nowSeconds >= sweepAtSeconds else { return }
        sweepAtSeconds = nowSeconds + 3_600
        newest = newest.filter { $0.value + DeviceStatement.lifeSecondsMax > nowSeconds }
    }

    private var sweepAtSeconds: Int64 = 0
}
