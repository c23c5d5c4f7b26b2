/// Members that came later: records written before them read as "none", and records that have none are written
/// byte for byte as before. The compiler's own coding calls these, because they are the closest overloads.
extension KeyedDecodingContainer {
    func decode(_ type: [Verdict.Check].Type, forKey key: Key) throws -> [Verdict.Check] {
        try decodeIfPresent(type, forKey: key) ?? []
    }

    func decode(_ type: [CheckStrategy].Type, forKey key: Key) throws -> [CheckStrategy] {
        try decodeIfPresent(type, forKey: key) ?? []
    }

    func decode(_ type: [CheckWarning].Type, forKey key: Key) throws -> [CheckWarning] {
        try decodeIfPresent(type, forKey: key) ?? []
    }
}

extension KeyedEncodingContainer {
    mutating func encode(_ value: [Verdict.Check], forKey key: Key) throws {
        try encodeIfPresent(value.isEmpty ? nil : value, forKey: key)
    }

    mutating func encode(_ value: [CheckStrategy], forKey key: Key) throws {
        try encodeIfPresent(value.isEmpty ? nil : value, forKey: key)
    }

    mutating func encode(_ value: [CheckWarning], forKey key: Key) throws {
        try encodeIfPresent(value.isEmpty ? nil : value, forKey: key)
    }
}
