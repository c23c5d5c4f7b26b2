import Access
import Signatures
import Synchronization

/// A stream's settings with the secrets that count now (000.21). Pushes are checked against them without waiting for
/// the stream.
final class SignalSecrets: Sendable {
    /// A transmitter that cannot be told a new `Authorization` value sends the one before for so long at most.
    static let formerSecondsMax: Int64 = 3_600
    /// What it sent before it was told may arrive after what it sends since.
    static let overtakenSecondsMax: Int64 = 120

    private struct State {
        var settings: SignalStreamSettings
        var former: (authorization: String, untilSeconds: Int64)?
    }
    private let state: Mutex<State>

    init(_ settings: SignalStreamSettings) { state = Mutex(State(settings: settings)) }

    var settings: SignalStreamSettings { state.withLock { $0.settings } }

    /// Puts others in place.
    ///
    /// - Precondition: they differ by secrets alone.
    func take(_ settings: SignalStreamSettings, nowSeconds: Int64) {
        state.withLock { state in
            let old = state.settings.authorization
            state.settings = settings
            guard let old, let new = settings.authorization, !ExactText.isEqual(old, new) else { return }
            state.former = (old, nowSeconds + Self.formerSecondsMax)
        }
    }

    /// Whether this is the `Authorization` of a push; nil: the stream is not pushed to.
    func admits(_ given: String, nowSeconds: Int64) -> Bool? {
        state.withLock { state in
            guard let expected = state.settings.authorization else { return nil }
            let isCurrent = Self.isEqual(given, expected)
            guard let former = state.former else { return isCurrent }
            let counts = nowSeconds < former.untilSeconds
            // Both are compared, whatever the first came to.
            let isFormer = Self.isEqual(given, former.authorization)
            if isCurrent {
                state.former?.untilSeconds = min(
                    former.untilSeconds, nowSeconds + Self.overtakenSecondsMax)
            }
            if !counts { state.former = nil }
            return isCurrent || (isFormer && counts)
        }
    }

    /// Of digests: neither the value nor its length can be learned from how long this takes.
    private static func isEqual(_ one: String, _ other: String) -> Bool {
        constantTimeEqual(Digest.sha256(Array(one.utf8)), Digest.sha256(Array(other.utf8)))
    }
}
