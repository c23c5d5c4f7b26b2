/// The members of one value, found by name.
struct MembersReader<Key: CodingKey>: KeyedDecodingContainerProtocol {
    private struct Member {
        let name: String
        let offset: Int
    }
    private let reader: BinaryReader
    private let depth: Int
    private let members: [Member]
    var codingPath: [any CodingKey] { [] }

    init(_ reader: BinaryReader, at offset: Int, depth: Int) throws {
        guard depth <= BinaryDecoding.depthMax else { throw BinaryFailure.tooDeep }
        guard try reader.tag(at: offset) == .members else { throw BinaryFailure.mismatch("members") }
        let contents = try reader.contents(at: offset)
        var members: [Member] = []
        var position = contents.lowerBound
        while position < contents.upperBound {
            let name = try reader.text(try reader.run(at: &position))
            members.append(Member(name: name, offset: position))
            position = try reader.end(of: position)
        }
        guard position == contents.upperBound else { throw BinaryFailure.tooLong }
        if members.count > 1 {
            var names = Set<String>(minimumCapacity: members.count)
            for member in members where !names.insert(member.name).inserted {
                throw BinaryFailure.doubled(member.name)
            }
        }
        reader.entries += members.count
        self.reader = reader
        self.depth = depth
        self.members = members
    }

    var allKeys: [Key] { members.compactMap { Key(stringValue: $0.name) } }

    private func offset(_ key: Key) -> Int? {
        let name = key.stringValue
        return members.first { $0.name == name }?.offset
    }

    private func read(_ key: Key) throws -> Int {
        guard let offset = offset(key) else { throw BinaryFailure.missing(key.stringValue) }
        reader.entriesRead += 1
        return offset
    }

    func contains(_ key: Key) -> Bool { offset(key) != nil }
    func decodeNil(forKey key: Key) throws -> Bool {
        guard let offset = offset(key) else { throw BinaryFailure.missing(key.stringValue) }
        guard try reader.tag(at: offset) == .null else { return false }
        reader.entriesRead += 1
        return true
    }
    func decode(_ type: Bool.Type, forKey key: Key) throws -> Bool { try reader.bool(at: try read(key)) }
    func decode(_ type: String.Type, forKey key: Key) throws -> String { try reader.text(at: try read(key)) }
    func decode<Value: Decodable>(_ type: Value.Type, forKey key: Key) throws -> Value {
        try reader.value(type, at: try read(key), depth: depth)
    }
    func nestedContainer<Nested: CodingKey>(
        keyedBy type: Nested.Type, forKey key: Key
    ) throws -> KeyedDecodingContainer<Nested> {
        KeyedDecodingContainer(try MembersReader<Nested>(reader, at: try read(key), depth: depth + 1))
    }
    func nestedUnkeyedContainer(forKey key: Key) throws -> any UnkeyedDecodingContainer {
        try ListReader(reader, at: try read(key), depth: depth + 1)
    }
    func superDecoder() throws -> any Decoder { throw BinaryFailure.mismatch("a value that inherits") }
    func superDecoder(forKey key: Key) throws -> any Decoder {
        throw BinaryFailure.mismatch("a value that inherits")
    }
}

/// The elements of one list, in turn.
struct ListReader: UnkeyedDecodingContainer {
    private let reader: BinaryReader
    private let depth: Int
    private let offsets: [Int]
    private(set) var currentIndex = 0
    var codingPath: [any CodingKey] { [] }
    var count: Int? { offsets.count }
    var isAtEnd: Bool { currentIndex >= offsets.count }

    init(_ reader: BinaryReader, at offset: Int, depth: Int) throws {
        guard depth <= BinaryDecoding.depthMax else { throw BinaryFailure.tooDeep }
        guard try reader.tag(at: offset) == .list else { throw BinaryFailure.mismatch("a list") }
        let contents = try reader.contents(at: offset)
        var offsets: [Int] = []
        var position = contents.lowerBound
        while position < contents.upperBound {
            offsets.append(position)
            position = try reader.end(of: position)
        }
        guard position == contents.upperBound else { throw BinaryFailure.tooLong }
        reader.entries += offsets.count
        self.reader = reader
        self.depth = depth
        self.offsets = offsets
    }

    private mutating func next() throws -> Int {
        guard !isAtEnd else { throw BinaryFailure.missing("an element") }
        reader.entriesRead += 1
        currentIndex += 1
        return offsets[currentIndex - 1]
    }
    mutating func decodeNil() throws -> Bool {
        guard !isAtEnd else { throw BinaryFailure.missing("an element") }
        guard try reader.tag(at: offsets[currentIndex]) == .null else { return false }
        _ = try next()
        return true
    }
    mutating func decode<Value: Decodable>(_ type: Value.Type) throws -> Value {
        try reader.value(type, at: try next(), depth: depth)
    }
    mutating func nestedContainer<Nested: CodingKey>(
        keyedBy type: Nested.Type
    ) throws -> KeyedDecodingContainer<Nested> {
        KeyedDecodingContainer(try MembersReader<Nested>(reader, at: try next(), depth: depth + 1))
    }
    mutating func nestedUnkeyedContainer() throws -> any UnkeyedDecodingContainer {
        try ListReader(reader, at: try next(), depth: depth + 1)
    }
    mutating func superDecoder() throws -> any Decoder {
        throw BinaryFailure.mismatch("a value that inherits")
    }
}
