import JSON
import Testing

/// A small generator with a seed (SplitMix64), so that a failure can be repeated.
struct SeededGenerator: RandomNumberGenerator {
    private var state: UInt64
    init(seed: UInt64) { state = seed }
    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }
}

@Suite("Laws of reading and writing")
struct JSONPropertyTests {
    static func text(_ random: inout SeededGenerator) -> String {
        var text = String.UnicodeScalarView()
        for _ in 0..<Int.random(in: 0...12, using: &random) {
            let range: ClosedRange<UInt32> =
                switch Int.random(in: 0...3, using: &random) {
                case 0: 0...0x1F
                case 1: 0x20...0x7F
                case 2: 0x80...0xFFFF
                default: 0x10000...0x10FFFF
                }
            if let scalar = Unicode.Scalar(UInt32.random(in: range, using: &random)) { text.append(scalar) }
        }
        return String(text)
    }

    static func value(_ random: inout SeededGenerator, depth: Int) -> JSONValue {
        switch Int.random(in: 0...(depth > 0 ? 7 : 5), using: &random) {
        case 0: return .null
        case 1: return .bool(Bool.random(using: &random))
        case 2: return .integer(Int64(bitPattern: random.next()) >> Int64.random(in: 0...63, using: &random))
        case 3:
            let number = Double(bitPattern: random.next())
            return .number(number.isFinite ? number : 0.1)
        case 4, 5: return .string(text(&random))
        case 6:
            return .array(
                (0..<Int.random(in: 0...4, using: &random)).map { _ in value(&random, depth: depth - 1) })
        default:
            var object = JSONObject()
            for index in 0..<Int.random(in: 0...5, using: &random) {
                // The index makes names differ canonically too.
                object["\(index)" + text(&random)] = value(&random, depth: depth - 1)
            }
            return .object(object)
        }
    }

    @Test func `parse(serialize(x)) == x, byte for byte the second time`() throws {
        for seed in 0..<2_000 as Range<UInt64> {
            var random = SeededGenerator(seed: seed)
            let value = Self.value(&random, depth: 5)
            let bytes = value.serialized()
            let again = try JSONValue(parsing: bytes)
            #expect(again == value, "seed \(seed)")
            #expect(again.serialized() == bytes, "seed \(seed)")
        }
    }

    @Test func `every strict prefix of an object is refused`() {
        for seed in 0..<100 as Range<UInt64> {
            var random = SeededGenerator(seed: seed)
            let bytes = JSONValue.object(["v": Self.value(&random, depth: 4)]).serialized()
            for count in 0..<bytes.count {
                #expect(throws: JSONError.self, "seed \(seed), \(count) bytes") {
                    try JSONValue(parsing: Array(bytes[..<count]))
                }
            }
        }
    }

    @Test
    func `whatever bytes come, the answer is a value that survives writing, or an error inside the document`()
    {
        for seed in 0..<5_000 as Range<UInt64> {
            var random = SeededGenerator(seed: seed)
            var bytes = JSONValue.object(["v": Self.value(&random, depth: 3)]).serialized()
            for _ in 0..<Int.random(in: 1...3, using: &random) {
                let at = Int.random(in: 0..<bytes.count, using: &random)
                bytes[at] = UInt8.random(in: 0...255, using: &random)
            }
            do throws(JSONError) {
                let value = try JSONValue(parsing: bytes)
                let again = try JSONValue(parsing: value.serialized())
                #expect(again == value, "seed \(seed)")
            } catch {
                #expect((0...bytes.count).contains(error.offset), "seed \(seed)")
            }
        }
    }
}
