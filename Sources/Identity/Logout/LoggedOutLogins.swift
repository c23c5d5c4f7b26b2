import Access

/// What front-channel logouts named in browsers that were signing in and had no session yet: a sign-in that then turns
/// out to bear such a name does not count.
///
/// In memory: whoever begins a sign-in could fill a store with them. A process that starts anew forgets them, as one
/// forgets that is full; back-channel logout is for providers whose word must not be lost.
struct LoggedOutLogins: Sendable {
    /// Sign-ins at once.
    static let loginsMax = 1_024
    /// Of one sign-in: a page of the same site must not find a short name by trying them all.
    static let namesMax = 5

    private struct Login {
        var names: Set<ExactKey>
        var untilSeconds: Int64
    }
    private var logins: [[UInt8]: Login] = [:]

    /// - Parameters:
    ///   - sid: what the provider called the session that is over.
    ///   - id: the sign-in's.
    ///   - end: when the sign-in's time is over.
    mutating func note(_ sid: String, of id: [UInt8], untilSeconds end: Int64, nowSeconds: Int64) {
        if logins[id] == nil, logins.count >= Self.loginsMax {
            logins = logins.filter { nowSeconds < $0.value.untilSeconds }
            guard logins.count < Self.loginsMax else { return }
        }
        var login = logins[id] ?? Login(names: [], untilSeconds: end)
        if login.names.count < Self.namesMax { login.names.insert(ExactKey(sid)) }
        logins[id] = login
    }

    /// Whether this sign-in's session was named.
    func names(_ sid: String, _ id: [UInt8], nowSeconds: Int64) -> Bool {
        guard let login = logins[id], nowSeconds < login.untilSeconds else { return false }
        return login.names.contains(ExactKey(sid))
    }
}
