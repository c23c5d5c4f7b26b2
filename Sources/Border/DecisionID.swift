/// The name of one decision: 40 bits of seconds, 24 bits of a running number, 64 random bits. Two words, so that a
/// reactor copies it without a count of references.
public struct DecisionID: Sendable, Codable, Hashable, Comparable {
    /// Seconds since 1970 in the upper 40 bits, the running number below.
    public var high: UInt64
    /// Random.
    public var low: UInt64

    /// Takes the words as they are.
    public init(high: UInt64, low: UInt64) {
        self.high = high
        self.low = low
    }

    /// - Parameter sequence: counts within the process; only its lowest 24 bits are kept.
    public init(atSeconds seconds: Int64, sequence: UInt64, random: UInt64) {
        let bounded = UInt64(clamping: min(max(0, seconds), 1 << 40 - 1))
        self.init(high: bounded << 24 | sequence & 0xff_ffff, low: random)
    }

    /// Reads `text`: exactly 32 lower-case hex digits.
    public init?(_ text: String) {
        let bytes = Array(text.utf8)
        let areDigits = bytes.allSatisfy {
            (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0)
                || (UInt8(ascii: "a")...UInt8(ascii: "f")).contains($0)
        }
        guard bytes.count == 32, areDigits,
            let high = UInt64(String(decoding: bytes[..<16], as: UTF8.self), radix: 16),
            let low = UInt64(String(decoding: bytes[16...], as: UTF8.self), radix: 16)
        else { return nil }
        self.init(high: high, low: low)
    }

    /// 32 lower-case hex digits; later decisions sort behind earlier ones.
    public var text: String { Self.digits(high) + Self.digits(low) }

    /// By time.
    public static func < (left: DecisionID, right: DecisionID) -> Bool {
        (left.high, left.low) < (right.high, right.low)
    }

    private static func digits(_ word: UInt64) -> String {
        let text = String(word, radix: 16)
        return String(repeating: "0", count: 16 - text.utf8.count) + text
    }
}
