/// How many connections are open, in all and of each local user: one user who holds slow connections must
/// not keep the others of the machine out.
struct OpenConnections: Sendable {
    static let countMax = 32
    static let perUserMax = 24

    private(set) var count = 0
    private var ofUser: [UInt32: Int] = [:]

    /// - Parameter user: nil when the kernel does not say; such callers share what is left.
    /// - Returns: false when there is no room for this user.
    mutating func enter(_ user: UInt32?) -> Bool {
        guard count < Self.countMax else { return false }
        // Unknown callers are one user of their own.
        let key = user ?? .max
        guard ofUser[key, default: 0] < Self.perUserMax else { return false }
        ofUser[key, default: 0] += 1
        count += 1
        return true
    }

    mutating func leave(_ user: UInt32?) {
        let key = user ?? .max
        count -= 1
        ofUser[key] = ofUser[key].flatMap { $0 > 1 ? $0 - 1 : nil }
    }
}
