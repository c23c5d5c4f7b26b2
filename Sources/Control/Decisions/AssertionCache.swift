import JSON
import Synchronization

/// The assertions made lately: whatever asks for a session's record within a minute, another reactor, a change of the
/// device, a tab beside, gets the same token while it would say the same.
///
/// One lock for some of the sessions is held while one of them is signed, some 50 µs: of several that ask at the same
/// moment the first signs, and the others wait for that.
final class AssertionCache: Sendable {
    /// A token is handed out again for so long.
    static let reuseSeconds: Int64 = 60
    /// Tokens remembered; beyond, the old ones of a part go first.
    static let tokensMax = 200_000
    private static let partsCount = 64

    /// A token and when it was made.
    struct Made: Sendable {
        var token: String
        var atSeconds: Int64
        fileprivate var content: [UInt8]
    }

    private final class Part: Sendable {
        let made = Mutex<[String: Made]>([:])
    }
    private let parts = (0..<partsCount).map { _ in Part() }
    private let count = Atomic<Int>(0)

    /// How many signatures were made.
    var signatureCount: Int { count.load(ordering: .relaxed) }

    /// - Parameters:
    ///   - key: names the session at its application.
    ///   - content: everything that the token says beside its times.
    func token(
        _ key: String, saying content: [UInt8], nowSeconds: Int64, sign: () -> String
    ) -> Made {
        let part = parts[abs(key.hashValue % parts.count)]
        return part.made.withLock { made in
            if let known = made[key], known.content == content,
                (0..<Self.reuseSeconds).contains(nowSeconds - known.atSeconds)
            {
                return known
            }
            count.add(1, ordering: .relaxed)
            let new = Made(token: sign(), atSeconds: nowSeconds, content: content)
            if made.count >= Self.tokensMax / Self.partsCount { Self.makeRoom(in: &made, nowSeconds) }
            made[key] = new
            return new
        }
    }

    /// Room for many at a time: looking at all of them is paid for by as many new ones.
    private static func makeRoom(in made: inout [String: Made], _ nowSeconds: Int64) {
        made = made.filter { (0..<reuseSeconds).contains(nowSeconds - $0.value.atSeconds) }
        let most = tokensMax / partsCount
        // All of them are in use: some are made once more.
        for key in Array(made.keys.prefix(max(0, made.count - (most - most / 16)))) { made[key] = nil }
    }
}
