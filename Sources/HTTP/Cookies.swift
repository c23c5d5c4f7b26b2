/// Cookies of a request head (RFC 6265 §4.2, §5.4), and which of them are ours.

/// What a look-up of one cookie found.
public enum CookieLookup: Sendable, Hashable {
    case absent
    case value(ByteRange)
    /// The name occurs twice: nobody can say which one the application would take, so neither counts.
    case ambiguous
}

extension FieldTable {
    /// Looks for a cookie by exact name in all Cookie fields, without allocating.
    ///
    /// - Parameter head: the bytes that the table was filled from.
    public func findCookie(named name: StaticString, in head: Span<UInt8>) -> CookieLookup {
        guard contains(.cookie) else { return .absent }
        var found: CookieLookup = .absent
        for index in 0..<count {
            let line = self[index]
            guard line.known == .cookie else { continue }
            var start = Int(line.value.start)
            while start < line.value.end {
                let end = ByteClass.find(59, head, start..<line.value.end)
                if let value = CookiePair.value(named: name, in: head, start..<end) {
                    guard found == .absent else { return .ambiguous }
                    found = .value(ByteRange(start: value.lowerBound, count: value.count))
                }
                start = end + 1
            }
        }
        return found
    }
}

/// One `name=value` between semicolons.
enum CookiePair {
    /// Prefix of every cookie name of ours.
    static let ours: StaticString = "__host-gatepost"

    /// The value when the pair has exactly this name.
    static func value(named name: StaticString, in bytes: Span<UInt8>, _ pair: Range<Int>) -> Range<Int>? {
        let pair = ByteClass.trimmed(bytes, pair)
        let nameBytes = name.utf8CodeUnitCount
        guard pair.count > nameBytes, bytes[pair.lowerBound] == name.utf8Start[0] else { return nil }
        let equals = ByteClass.find(61, bytes, pair)
        guard equals < pair.upperBound else { return nil }
        // Blanks before "=" count as part of no name: some servers cut them, so "name =x" is an occurrence
        // too.
        let found = ByteClass.trimmed(bytes, pair.lowerBound..<equals)
        guard found.count == nameBytes else { return nil }
        for index in 0..<nameBytes where bytes[found.lowerBound + index] != name.utf8Start[index] {
            return nil
        }
        return ByteClass.trimmed(bytes, (equals + 1)..<pair.upperBound)
    }

    /// Whether the pair (or Set-Cookie value) is one of ours. Without case, because browsers treat the
    /// `__Host-` prefix so, and behind "=" too, because a cookie without a name is sent as its value alone.
    static func isOurs(_ bytes: Span<UInt8>, _ pair: Range<Int>) -> Bool {
        var start = pair.lowerBound
        while start < pair.upperBound, ByteClass.isBlank(bytes[start]) || bytes[start] == 61 { start += 1 }
        return ByteClass.startsFolded(bytes, start..<pair.upperBound, ours)
    }

    /// Whether any pair of a Cookie field value is ours.
    static func containsOurs(_ bytes: Span<UInt8>, _ value: Range<Int>) -> Bool {
        var start = value.lowerBound
        while start < value.upperBound {
            let end = ByteClass.find(59, bytes, start..<value.upperBound)
            if isOurs(bytes, start..<end) { return true }
            start = end + 1
        }
        return false
    }

    /// Writes a Cookie line with all pairs but ours, each byte for byte; no line when none is left.
    static func writeOthers(_ bytes: Span<UInt8>, _ value: Range<Int>, into output: inout HeadOutput) {
        var hasPair = false
        var start = value.lowerBound
        while start < value.upperBound {
            let end = ByteClass.find(59, bytes, start..<value.upperBound)
            if !isOurs(bytes, start..<end) {
                if hasPair {
                    output.append(59)
                } else {
                    output.append("Cookie: ")
                    while start < end, ByteClass.isBlank(bytes[start]) { start += 1 }
                }
                hasPair = true
                output.append(bytes, start..<end)
            }
            start = end + 1
        }
        if hasPair { output.append("\r\n") }
    }
}
