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
        for index in 0..<count where lines[index].known == .cookie {
            switch CookiePair.find(name, in: head, lines[index].value.indices) {
            case .absent: continue
            case .ambiguous: return .ambiguous
            case .value(let value):
                guard found == .absent else { return .ambiguous }
                found = .value(value)
            }
        }
        return found
    }
}

/// Which of a request's cookies are ours: one of them names the session, none of them goes upstream.
struct OwnCookies {
    /// Pairs that are left out.
    enum Left {
        /// Nobody has looked, or there is more than one.
        case unknown
        case none
        /// This one, between its semicolons.
        case one(ByteRange)
    }
    var session: CookieLookup = .absent
    var left: Left = .unknown
}

extension FieldTable {
    /// The session's cookie, as `findCookie` finds it by its name. Of a request only.
    public var sessionCookie: CookieLookup { ownCookies.session }

    /// One pass for both questions, because every request needs both.
    ///
    /// - Parameter head: the bytes that the table was filled from.
    mutating func lookForOwnCookies(in head: Span<UInt8>) {
        guard contains(.cookie) else { return }
        guard !isRepeated(.cookie), let line = value(.cookie) else {
            ownCookies.session = findCookie(named: CookiePair.session, in: head)
            return
        }
        var own = OwnCookies(session: .absent, left: .none)
        var start = Int(line.start)
        while start < line.end {
            let end = WordScan.find(59, head, from: start, to: line.end)
            // The session's cookie is one of ours in any case.
            if CookiePair.isOurs(head, start..<end) {
                if case .none = own.left {
                    own.left = .one(ByteRange(from: start, to: end))
                } else {
                    own.left = .unknown
                }
                if let value = CookiePair.value(named: CookiePair.session, in: head, start..<end) {
                    own.session =
                        own.session == .absent
                        ? .value(ByteRange(from: value.lowerBound, to: value.upperBound)) : .ambiguous
                }
            }
            start = end &+ 1
        }
        ownCookies = own
    }
}

/// One `name=value` between semicolons.
enum CookiePair {
    /// Prefix of every cookie name of ours.
    static var ours: StaticString { "__host-gatepost" }
    /// The name of the session's cookie.
    static var session: StaticString { "__Host-gatepost" }

    /// Looks through the pairs of one Cookie field value.
    @inline(never)
    static func find(_ name: StaticString, in head: Span<UInt8>, _ line: Range<Int>) -> CookieLookup {
        var found: CookieLookup = .absent
        var start = line.lowerBound
        while start < line.upperBound {
            let end = WordScan.find(59, head, from: start, to: line.upperBound)
            if let value = value(named: name, in: head, start..<end) {
                guard found == .absent else { return .ambiguous }
                found = .value(ByteRange(from: value.lowerBound, to: value.upperBound))
            }
            start = end + 1
        }
        return found
    }

    /// The value when the pair has exactly this name, which holds neither "=" nor ";" nor blanks.
    static func value(named name: StaticString, in bytes: Span<UInt8>, _ pair: Range<Int>) -> Range<Int>? {
        var start = pair.lowerBound
        while start < pair.upperBound, ByteClass.isBlank(bytes[start]) { start += 1 }
        let nameEnd = start + name.utf8CodeUnitCount
        guard nameEnd < pair.upperBound, ByteClass.starts(bytes, start..<pair.upperBound, name) else {
            return nil
        }
        // Blanks before "=" count as part of no name: some servers cut them, so "name =x" is an occurrence
        // too.
        var equals = nameEnd
        while equals < pair.upperBound, ByteClass.isBlank(bytes[equals]) { equals += 1 }
        guard equals < pair.upperBound, bytes[equals] == 61 else { return nil }
        return ByteClass.trimmed(bytes, (equals + 1)..<pair.upperBound)
    }

    /// Whether the pair (or Set-Cookie value) is one of ours. Without case, because browsers treat the
    /// `__Host-` prefix so, and behind "=" too, because a cookie without a name is sent as its value alone.
    static func isOurs(_ bytes: Span<UInt8>, _ pair: Range<Int>) -> Bool {
        var start = pair.lowerBound
        while start < pair.upperBound, ByteClass.isBlank(bytes[start]) || bytes[start] == 61 { start += 1 }
        return ByteClass.startsFolded(bytes, start..<pair.upperBound, ours)
    }

    /// Takes the line as it came when no pair of it is ours; otherwise writes a Cookie line with all pairs
    /// but ours, each byte for byte, and no line when none is left.
    static func copyOthers(
        _ line: FieldLine, _ head: Span<UInt8>, _ copier: inout LineCopier, into output: inout HeadOutput
    ) {
        let value = line.value.indices
        var hasOurs = false
        var hasPair = false
        // Pairs that stay and stand side by side leave together, with the ";" between them.
        var run = value.lowerBound
        var start = run
        while start < value.upperBound {
            let end = WordScan.find(59, head, from: start, to: value.upperBound)
            if isOurs(head, start..<end) {
                if !hasOurs { copier.flush(head, into: &output) }
                hasOurs = true
                if run < start { write(head, run..<(start - 1), &hasPair, into: &output) }
                run = end + 1
            }
            start = end + 1
        }
        guard hasOurs else { return copier.copy(line, head, into: &output) }
        if run < value.upperBound {
            // A ";" at the very end separates nothing.
            let last = head[value.upperBound - 1] == 59 ? value.upperBound - 1 : value.upperBound
            write(head, run..<last, &hasPair, into: &output)
        }
        if hasPair { output.append("\r\n") }
    }

    /// The same when `pair` is known to be the only one of ours.
    static func copyOthers(
        _ line: FieldLine, than pair: ByteRange, _ head: Span<UInt8>, _ copier: inout LineCopier,
        into output: inout HeadOutput
    ) {
        copier.flush(head, into: &output)
        var hasPair = false
        if line.value.start < pair.start {
            write(head, Int(line.value.start)..<(Int(pair.start) - 1), &hasPair, into: &output)
        }
        if pair.end + 1 < line.value.end {
            let last = head[line.value.end - 1] == 59 ? line.value.end - 1 : line.value.end
            write(head, (pair.end + 1)..<last, &hasPair, into: &output)
        }
        if hasPair { output.append("\r\n") }
    }

    /// Writes pairs that stand side by side.
    private static func write(
        _ head: Span<UInt8>, _ pairs: Range<Int>, _ hasPair: inout Bool, into output: inout HeadOutput
    ) {
        var start = pairs.lowerBound
        if hasPair {
            output.append(59)
        } else {
            output.append("Cookie: ")
            while start < pairs.upperBound, ByteClass.isBlank(head[start]) { start += 1 }
        }
        hasPair = true
        output.append(head, start..<pairs.upperBound)
    }
}
