/// Values of the border as bytes.
///
/// A value is a tag and what the tag asks for (`BinaryTag`). Members carry their names, so that a reader of the next
/// version finds what it knows and one of the same version can refuse what it does not. Equal values may differ in
/// bytes only in the order of sets and dictionaries.
public enum BinaryEncoding {
    /// - Throws: what a value's own `encode(to:)` throws; those of the border throw nothing.
    public static func bytes(of value: some Encodable) throws -> [UInt8] {
        let writer = BinaryWriter()
        try writer.write(value)
        return writer.bytes
    }
}

/// What a value begins with.
enum BinaryTag: UInt8 {
    case null = 0
    case no = 1
    case yes = 2
    /// A varint: seven bits a byte, the lowest first, without needless bytes.
    case positive = 3
    /// A varint of -1 - value.
    case negative = 4
    /// Eight bytes of an IEEE 754 double, the lowest first.
    case double = 5
    /// A varint of the length, then UTF-8.
    case text = 6
    /// A varint of the length, then the bytes: an array of `UInt8`.
    case bytes = 7
    /// Four bytes of length, the lowest first, then names (as `text` without its tag) and values in turn.
    case members = 8
    /// Four bytes of length, the lowest first, then values.
    case list = 9
}

/// Collects the bytes of one value. Containers that are open are closed, which is to say their lengths are written,
/// as soon as something is written into one around them.
final class BinaryWriter: Encoder {
    private(set) var bytes: [UInt8] = []
    /// Where the contents of the open containers begin, the outermost first.
    private var open: [Int] = []

    var codingPath: [any CodingKey] { [] }
    var userInfo: [CodingUserInfoKey: Any] { [:] }

    func container<Key: CodingKey>(keyedBy type: Key.Type) -> KeyedEncodingContainer<Key> {
        KeyedEncodingContainer(MembersWriter<Key>(writer: self, depth: begin(.members)))
    }

    func unkeyedContainer() -> any UnkeyedEncodingContainer {
        ListWriter(writer: self, depth: begin(.list))
    }

    func singleValueContainer() -> any SingleValueEncodingContainer { SingleWriter(writer: self) }

    /// - Returns: the depth of the new container.
    func begin(_ tag: BinaryTag) -> Int {
        bytes.append(tag.rawValue)
        bytes.append(contentsOf: [0, 0, 0, 0])
        open.append(bytes.count)
        return open.count
    }

    /// Closes what is open inside of the container at `depth`.
    func close(to depth: Int) {
        while open.count > depth {
            let start = open.removeLast()
            let length = UInt32(clamping: bytes.count - start)
            for index in 0..<4 {
                bytes[start - 4 + index] = UInt8(truncatingIfNeeded: length >> UInt32(8 * index))
            }
        }
    }

    func name(_ key: some CodingKey, depth: Int) {
        close(to: depth)
        append(text: key.stringValue)
    }

    func write<Value: Encodable>(_ value: Value) throws {
        // By its type: an empty array of anything can be cast to one of bytes.
        if Value.self == [UInt8].self, let raw = value as? [UInt8] {
            bytes.append(BinaryTag.bytes.rawValue)
            append(varint: UInt64(raw.count))
            bytes.append(contentsOf: raw)
            return
        }
        let depth = open.count
        try value.encode(to: self)
        close(to: depth)
    }

    func append(_ tag: BinaryTag) { bytes.append(tag.rawValue) }

    func append(varint value: UInt64) {
        var rest = value
        while rest >= 0x80 {
            bytes.append(UInt8(truncatingIfNeeded: rest) | 0x80)
            rest >>= 7
        }
        bytes.append(UInt8(truncatingIfNeeded: rest))
    }

    func append(text: String) {
        append(varint: UInt64(text.utf8.count))
        bytes.append(contentsOf: text.utf8)
    }

    func append(integer value: some BinaryInteger) {
        if value < 0 {
            append(.negative)
            append(varint: UInt64(bitPattern: ~Int64(value)))
        } else {
            append(.positive)
            append(varint: UInt64(value))
        }
    }

    func append(double value: Double) {
        append(.double)
        for index in 0..<8 {
            bytes.append(UInt8(truncatingIfNeeded: value.bitPattern >> UInt64(8 * index)))
        }
    }
}

private struct SingleWriter: SingleValueEncodingContainer {
    let writer: BinaryWriter
    var codingPath: [any CodingKey] { [] }
    mutating func encodeNil() { writer.append(.null) }
    mutating func encode(_ value: Bool) { writer.append(value ? .yes : .no) }
    mutating func encode(_ value: String) {
        writer.append(.text)
        writer.append(text: value)
    }
    mutating func encode(_ value: Double) { writer.append(double: value) }
    mutating func encode(_ value: Float) { writer.append(double: Double(value)) }
    mutating func encode(_ value: Int) { writer.append(integer: value) }
    mutating func encode(_ value: Int8) { writer.append(integer: value) }
    mutating func encode(_ value: Int16) { writer.append(integer: value) }
    mutating func encode(_ value: Int32) { writer.append(integer: value) }
    mutating func encode(_ value: Int64) { writer.append(integer: value) }
    mutating func encode(_ value: UInt) { writer.append(integer: value) }
    mutating func encode(_ value: UInt8) { writer.append(integer: value) }
    mutating func encode(_ value: UInt16) { writer.append(integer: value) }
    mutating func encode(_ value: UInt32) { writer.append(integer: value) }
    mutating func encode(_ value: UInt64) { writer.append(integer: value) }
    mutating func encode(_ value: some Encodable) throws { try writer.write(value) }
}

private struct MembersWriter<Key: CodingKey>: KeyedEncodingContainerProtocol {
    let writer: BinaryWriter
    let depth: Int
    var codingPath: [any CodingKey] { [] }

    private func single(_ key: Key) -> SingleWriter {
        writer.name(key, depth: depth)
        return SingleWriter(writer: writer)
    }

    mutating func encodeNil(forKey key: Key) {
        var one = single(key)
        one.encodeNil()
    }
    mutating func encode(_ value: Bool, forKey key: Key) {
        var one = single(key)
        one.encode(value)
    }
    mutating func encode(_ value: String, forKey key: Key) {
        var one = single(key)
        one.encode(value)
    }
    mutating func encode(_ value: some Encodable, forKey key: Key) throws {
        writer.name(key, depth: depth)
        try writer.write(value)
    }
    mutating func nestedContainer<Nested: CodingKey>(
        keyedBy type: Nested.Type, forKey key: Key
    ) -> KeyedEncodingContainer<Nested> {
        writer.name(key, depth: depth)
        return writer.container(keyedBy: type)
    }
    mutating func nestedUnkeyedContainer(forKey key: Key) -> any UnkeyedEncodingContainer {
        writer.name(key, depth: depth)
        return writer.unkeyedContainer()
    }
    mutating func superEncoder() -> any Encoder { preconditionFailure("no value of the border inherits") }
    mutating func superEncoder(forKey key: Key) -> any Encoder {
        preconditionFailure("no value of the border inherits")
    }
}

private struct ListWriter: UnkeyedEncodingContainer {
    let writer: BinaryWriter
    let depth: Int
    var codingPath: [any CodingKey] { [] }
    private(set) var count = 0

    init(writer: BinaryWriter, depth: Int) {
        self.writer = writer
        self.depth = depth
    }

    private mutating func next() {
        writer.close(to: depth)
        count += 1
    }
    mutating func encodeNil() {
        next()
        writer.append(.null)
    }
    mutating func encode(_ value: some Encodable) throws {
        next()
        try writer.write(value)
    }
    mutating func nestedContainer<Nested: CodingKey>(
        keyedBy type: Nested.Type
    ) -> KeyedEncodingContainer<Nested> {
        next()
        return writer.container(keyedBy: type)
    }
    mutating func nestedUnkeyedContainer() -> any UnkeyedEncodingContainer {
        next()
        return writer.unkeyedContainer()
    }
    mutating func superEncoder() -> any Encoder { preconditionFailure("no value of the border inherits") }
}
