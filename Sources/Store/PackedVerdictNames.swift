extension PackedVerdict {
    /// By what an index finds a verdict, besides its native id.
    public struct Names: Sendable, Hashable {
        /// The pairs of `Verdict.matchKey`: what names the device, and the name.
        public var keys: [Key] = []
        /// `Verdict.labels`.
        public var labels: [String] = []

        /// One of them.
        public struct Key: Sendable, Hashable {
            /// In front of the "="; all of the text where there is none.
            public var word: String
            /// Behind it.
            public var value: String
        }
    }

    /// Reads just these, and looks at everything else only so far that `unpacked` will read it: a start takes in
    /// hundreds of thousands of rows, most of which nobody will ask about.
    ///
    /// - Returns: nil exactly when `unpacked` gives nil.
    public func names() -> Names? {
        guard bytes.count >= Self.headBytes, bytes[0] == Self.version,
            Codes.has(bytes[1], in: Codes.states), Codes.has(bytes[2], in: Codes.strengths),
            !flags.contains(.hasRisk) || Codes.has(bytes[3], in: Codes.risks)
        else { return nil }
        var reader = Reader(bytes: bytes, position: Self.headBytes)
        var names = Names()
        let idStart = reader.position
        guard reader.skipText(), reader.skipText(), flags.contains(.hasDerivedID) || reader.skipText(),
            flags.contains(.hasRawDigest) ? reader.skip(32) : reader.skipText(),
            reader.names(&names.keys, idStart: idStart), reader.skipText(),
            let labels = reader.texts(), reader.skipTexts(), reader.skipChecks(),
            !flags.contains(.hasScore) || reader.score() != nil,
            !flags.contains(.hasProvenance) || reader.skipProvenance()
        else { return nil }
        names.labels = labels
        return reader.isAtEnd ? names : nil
    }
}

extension PackedVerdict.Reader {
    mutating func skip(_ count: Int) -> Bool {
        guard position + count <= bytes.count else { return false }
        position += count
        return true
    }

    mutating func skipText() -> Bool {
        guard let marked = count(max: bytes.count << 1) else { return false }
        if marked == 1 { return skip(16) }
        let start = position
        guard marked & 1 == 0, skip(marked >> 1) else { return false }
        let isASCII = bytes.withUnsafeBufferPointer { $0[start..<position].allSatisfy { $0 < 0x80 } }
        return isASCII || String(validating: bytes[start..<position], as: UTF8.self) != nil
    }

    mutating func skipTexts() -> Bool {
        guard let count = count(max: bytes.count - position) else { return false }
        for _ in 0..<count {
            guard skipText() else { return false }
        }
        return true
    }

    mutating func skipChecks() -> Bool {
        guard let count = count(max: bytes.count - position) else { return false }
        for _ in 0..<count {
            guard skipText(), skipText(), position < bytes.count,
                PackedVerdict.Codes.has(bytes[position], in: PackedVerdict.Codes.checkStates)
            else { return false }
            position += 1
        }
        return true
    }

    /// - Parameter idStart: where the native id stands, which is not told twice.
    mutating func names(_ names: inout [PackedVerdict.Names.Key], idStart: Int) -> Bool {
        guard let count = count(max: bytes.count - position) else { return false }
        names.reserveCapacity(count)
        for _ in 0..<count {
            guard position < bytes.count else { return false }
            let code = bytes[position]
            position += 1
            guard code != 0 else {
                guard let segment = text() else { return false }
                let parts = segment.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
                names.append(.init(word: String(parts[0]), value: parts.count == 2 ? String(parts[1]) : ""))
                continue
            }
            var id = Self(bytes: bytes, position: idStart)
            guard code & 0x7f != 0,
                let word = PackedVerdict.Codes.value((code & 0x7f) - 1, in: PackedVerdict.Codes.keyWords),
                let value = code & 0x80 == 0 ? text() : id.text()
            else { return false }
            names.append(.init(word: word, value: value))
        }
        return true
    }
}
