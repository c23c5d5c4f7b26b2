import Glibc
import Testing

@testable import HTTP

/// What a parse says, in a form that can be compared and printed.
enum Seen: Equatable, CustomStringConvertible {
    case head(String)
    case needMore
    case refused(HeadError)

    var description: String {
        switch self {
        case .head(let text): "head \(text)"
        case .needMore: "needMore"
        case .refused(let error): "refused \(error.rawValue)"
        }
    }
}

/// A parser with its reusable memory, as a reactor holds them.
struct Bench: ~Copyable {
    let limits: HeadLimits
    let parser: RequestHeadParser
    var options: PathOptions = []
    var fields: FieldTable
    var scratch: CanonicalScratch

    init(
        limits: HeadLimits = HeadLimits(), scheme: RequestHeadParser.Scheme = .https,
        options: PathOptions = []
    ) {
        self.limits = limits
        self.options = options
        parser = RequestHeadParser(limits: limits, scheme: scheme)
        fields = FieldTable(capacity: limits.fieldsMax)
        scratch = CanonicalScratch(limits: limits)
    }

    mutating func parse(_ bytes: [UInt8], alreadySeen: Int = 0) -> RequestHeadOutcome {
        parser.parse(bytes.span, alreadySeen: alreadySeen, options: options, into: &fields, scratch: &scratch)
    }

    mutating func see(_ bytes: [UInt8], alreadySeen: Int = 0) -> Seen {
        switch parse(bytes, alreadySeen: alreadySeen) {
        case .needMore: .needMore
        case .refused(let error): .refused(error)
        case .head(let request): .head(describe(request, bytes))
        }
    }

    func text(_ text: CanonicalText, _ bytes: [UInt8]) -> String {
        String(decoding: text.copied(head: bytes.span, scratch: scratch), as: UTF8.self)
    }

    func describe(_ request: CanonicalRequest, _ bytes: [UInt8]) -> String {
        var parts = [String(decoding: bytes[request.methodRange.indices], as: UTF8.self)]
        parts.append(text(request.path, bytes))
        if let query = request.query {
            parts.append("?" + String(decoding: bytes[query.indices], as: UTF8.self))
        }
        parts.append(text(request.host, bytes) + (request.port.map { ":\($0)" } ?? ""))
        switch request.framing {
        case .none: break
        case .length(let length): parts.append("length=\(length)")
        case .chunked: parts.append("chunked")
        case .untilClose: parts.append("until-close")
        }
        if !request.keepsAlive { parts.append("close") }
        if request.expectsContinue { parts.append("expects") }
        if request.upgrade == .webSocket { parts.append("websocket") }
        if request.form != .origin { parts.append("\(request.form)") }
        return parts.joined(separator: " ")
    }

    /// The head written for the upstream, without own lines; nil when it was refused.
    func written(
        _ request: CanonicalRequest, _ bytes: [UInt8], identity: [String] = [],
        options: RequestWriter.Options = []
    ) -> [UInt8]? {
        writeAll(capacity: 65_536) { output in
            do throws(HeadError) {
                try RequestWriter(identity: IdentityFieldNames(identity)).begin(
                    request, head: bytes.span, fields: fields, scratch: scratch, options: options,
                    into: &output)
                RequestWriter.end(into: &output)
                return true
            } catch {
                return false
            }
        }
    }
}

/// Runs `body` on an output of `capacity` bytes; nil when it says false or the output overflowed.
func writeAll(capacity: Int, _ body: (inout HeadOutput) -> Bool) -> [UInt8]? {
    let memory = UnsafeMutableRawBufferPointer.allocate(byteCount: capacity, alignment: 1)
    defer { memory.deallocate() }
    var output = HeadOutput(memory)
    guard body(&output), !output.isOverflowed else { return nil }
    return [UInt8](memory[0..<output.count])
}

/// Bytes of a text in which every scalar up to U+00FF is one byte.
func latin(_ text: String) -> [UInt8] { text.unicodeScalars.map { UInt8(truncatingIfNeeded: $0.value) } }

/// A request head from lines, each ended by CRLF, and the empty line.
func headOf(_ lines: String...) -> [UInt8] { latin(lines.map { $0 + "\r\n" }.joined() + "\r\n") }

/// A small seeded generator (SplitMix64): the same seed, the same test.
struct SeededGenerator: RandomNumberGenerator {
    var state: UInt64
    init(seed: UInt64) { state = seed }
    mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xbf58_476d_1ce4_e5b9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94d0_49bb_1331_11eb
        return mixed ^ (mixed >> 31)
    }
}

/// Seeds of the property suites. `FUZZ_SEED` (see `scripts/fuzz`) moves all of them, so that every round of
/// it looks at inputs that no round before has seen; without it they are the same every time.
enum Seeds {
    static let base: UInt64 = {
        guard let text = getenv("FUZZ_SEED"), let seed = UInt64(String(cString: text)) else { return 0 }
        return seed &* 1_000_003
    }()

    /// `count` of them.
    static func of(_ count: Int) -> some Sequence<UInt64> { (1...UInt64(count)).lazy.map { base &+ $0 } }
}
