/// Why bytes are no value of the border. Nothing of them is used.
public enum BinaryFailure: Error, Sendable, Hashable {
    /// They end inside of the value.
    case truncated
    /// Something stands behind the value, or a container's length is not that of its contents.
    case tooLong
    case unknownTag(UInt8)
    /// A varint with needless bytes or of more than 64 bits.
    case badInteger
    case badText
    /// Containers inside of containers, more than `BinaryDecoding.depthMax`.
    case tooDeep
    /// A name twice in one value.
    case doubled(String)
    /// Members that nobody asked for.
    case unknownMembers
    case missing(String)
    /// Another kind of value than the one asked for, or a number out of its range.
    case mismatch(String)
}

/// Bytes of the border as values: whatever is not exactly one value is refused.
public enum BinaryDecoding {
    /// Containers inside of containers.
    public static let depthMax = 48

    /// - Parameter isTolerant: the writer's version is newer than ours: members that we do not know are passed over.
    ///   Everything else stays as strict, so a new version may add members that may be absent, and nothing else.
    /// - Throws: `BinaryFailure`, or what a value's own `init(from:)` throws.
    public static func value<Value: Decodable>(
        _ type: Value.Type, from bytes: [UInt8], isTolerant: Bool = false
    ) throws -> Value {
        let reader = BinaryReader(bytes)
        let value = try reader.value(type, at: 0, depth: 0)
        guard try reader.end(of: 0) == bytes.count else { throw BinaryFailure.tooLong }
        guard isTolerant || reader.entries == reader.entriesRead else { throw BinaryFailure.unknownMembers }
        return value
    }
}

/// The bytes, and how many of their members somebody asked for.
final class BinaryReader {
    let bytes: [UInt8]
    var entries = 0
    var entriesRead = 0

    init(_ bytes: [UInt8]) { self.bytes = bytes }

    func value<Value: Decodable>(_ type: Value.Type, at offset: Int, depth: Int) throws -> Value {
        if type == [UInt8].self {
            guard let raw = try raw(at: offset) as? Value else { throw BinaryFailure.mismatch("bytes") }
            return raw
        }
        return try Value(from: ValueReader(reader: self, offset: offset, depth: depth))
    }

    func tag(at offset: Int) throws -> BinaryTag {
        guard offset < bytes.count else { throw BinaryFailure.truncated }
        guard let tag = BinaryTag(rawValue: bytes[offset]) else {
            throw BinaryFailure.unknownTag(bytes[offset])
        }
        return tag
    }

    func varint(at offset: inout Int) throws -> UInt64 {
        var value: UInt64 = 0
        for index in 0..<10 {
            guard offset < bytes.count else { throw BinaryFailure.truncated }
            let byte = bytes[offset]
            offset += 1
            // The tenth byte has room for one bit; a last byte of zero says nothing that fewer bytes do not.
            guard index < 9 || byte <= 1, byte != 0 || index == 0 else { throw BinaryFailure.badInteger }
            value |= UInt64(byte & 0x7f) << UInt64(7 * index)
            if byte < 0x80 { return value }
        }
        throw BinaryFailure.badInteger
    }

    /// The range of a run of bytes that its length stands before.
    func run(at offset: inout Int) throws -> Range<Int> {
        let length = try varint(at: &offset)
        guard length <= UInt64(bytes.count - offset) else { throw BinaryFailure.truncated }
        let range = offset..<(offset + Int(length))
        offset = range.upperBound
        return range
    }

    func contents(at offset: Int) throws -> Range<Int> {
        guard bytes.count - offset >= 5 else { throw BinaryFailure.truncated }
        var length = 0
        for index in 0..<4 { length |= Int(bytes[offset + 1 + index]) << (8 * index) }
        let start = offset + 5
        guard length <= bytes.count - start else { throw BinaryFailure.truncated }
        return start..<(start + length)
    }

    /// Where the value at `offset` ends.
    func end(of offset: Int) throws -> Int {
        var position = offset + 1
        switch try tag(at: offset) {
        case .null, .no, .yes: return position
        case .positive, .negative: _ = try varint(at: &position)
        case .double:
            guard bytes.count - position >= 8 else { throw BinaryFailure.truncated }
            position += 8
        case .text, .bytes: _ = try run(at: &position)
        case .members, .list: return try contents(at: offset).upperBound
        }
        return position
    }

    func text(_ range: Range<Int>) throws -> String {
        guard let text = String(validating: bytes[range], as: UTF8.self) else { throw BinaryFailure.badText }
        return text
    }

    func text(at offset: Int) throws -> String {
        guard try tag(at: offset) == .text else { throw BinaryFailure.mismatch("text") }
        var position = offset + 1
        return try text(try run(at: &position))
    }

    func raw(at offset: Int) throws -> [UInt8] {
        guard try tag(at: offset) == .bytes else { throw BinaryFailure.mismatch("bytes") }
        var position = offset + 1
        return Array(bytes[try run(at: &position)])
    }

    func bool(at offset: Int) throws -> Bool {
        let tag = try tag(at: offset)
        guard tag == .yes || tag == .no else { throw BinaryFailure.mismatch("yes or no") }
        return tag == .yes
    }

    func integer<Value: FixedWidthInteger>(_ type: Value.Type, at offset: Int) throws -> Value {
        let tag = try tag(at: offset)
        var position = offset + 1
        guard tag == .positive || tag == .negative else { throw BinaryFailure.mismatch("a number") }
        let magnitude = try varint(at: &position)
        let value: Value?
        if tag == .positive {
            value = Value(exactly: magnitude)
        } else {
            // -1 - magnitude fits as long as magnitude is one of Int64's.
            value = Int64(exactly: magnitude).flatMap { Value(exactly: ~$0) }
        }
        guard let value else { throw BinaryFailure.mismatch("a number in range") }
        return value
    }

    func double(at offset: Int) throws -> Double {
        guard try tag(at: offset) == .double, bytes.count - offset >= 9 else {
            throw BinaryFailure.mismatch("a double")
        }
        var pattern: UInt64 = 0
        for index in 0..<8 { pattern |= UInt64(bytes[offset + 1 + index]) << UInt64(8 * index) }
        return Double(bitPattern: pattern)
    }
}

/// One value for `init(from:)`.
private struct ValueReader: Decoder, SingleValueDecodingContainer {
    let reader: BinaryReader
    let offset: Int
    let depth: Int
    var codingPath: [any CodingKey] { [] }
    var userInfo: [CodingUserInfoKey: Any] { [:] }

    func container<Key: CodingKey>(keyedBy type: Key.Type) throws -> KeyedDecodingContainer<Key> {
        KeyedDecodingContainer(try MembersReader<Key>(reader, at: offset, depth: depth + 1))
    }
    func unkeyedContainer() throws -> any UnkeyedDecodingContainer {
        try ListReader(reader, at: offset, depth: depth + 1)
    }
    func singleValueContainer() -> any SingleValueDecodingContainer { self }

    func decodeNil() -> Bool { (try? reader.tag(at: offset)) == .null }
    func decode(_ type: Bool.Type) throws -> Bool { try reader.bool(at: offset) }
    func decode(_ type: String.Type) throws -> String { try reader.text(at: offset) }
    func decode(_ type: Double.Type) throws -> Double { try reader.double(at: offset) }
    func decode(_ type: Float.Type) throws -> Float { Float(try reader.double(at: offset)) }
    func decode(_ type: Int.Type) throws -> Int { try reader.integer(type, at: offset) }
    func decode(_ type: Int8.Type) throws -> Int8 { try reader.integer(type, at: offset) }
    func decode(_ type: Int16.Type) throws -> Int16 { try reader.integer(type, at: offset) }
    func decode(_ type: Int32.Type) throws -> Int32 { try reader.integer(type, at: offset) }
    func decode(_ type: Int64.Type) throws -> Int64 { try reader.integer(type, at: offset) }
    func decode(_ type: UInt.Type) throws -> UInt { try reader.integer(type, at: offset) }
    func decode(_ type: UInt8.Type) throws -> UInt8 { try reader.integer(type, at: offset) }
    func decode(_ type: UInt16.Type) throws -> UInt16 { try reader.integer(type, at: offset) }
    func decode(_ type: UInt32.Type) throws -> UInt32 { try reader.integer(type, at: offset) }
    func decode(_ type: UInt64.Type) throws -> UInt64 { try reader.integer(type, at: offset) }
    func decode<Value: Decodable>(_ type: Value.Type) throws -> Value {
        try reader.value(type, at: offset, depth: depth)
    }
}
