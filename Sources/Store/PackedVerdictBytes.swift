import Access

extension PackedVerdict {
    /// Writes the parts of `PackedVerdict` one after the other.
    struct Writer {
        var bytes: [UInt8] = []

        mutating func head(_ verdict: Verdict, hasStandardRemedies: Bool) {
            var flags: Flags = hasStandardRemedies ? .hasStandardRemedies : []
            if let isManaged = verdict.isManaged {
                flags.formUnion(isManaged ? [.saysManaged, .isManaged] : .saysManaged)
            }
            if let isRunning = verdict.isSensorRunning {
                flags.formUnion(isRunning ? [.saysSensor, .isSensorRunning] : .saysSensor)
            }
            if verdict.risk != nil { flags.insert(.hasRisk) }
            if verdict.score != nil { flags.insert(.hasScore) }
            if verdict.assessedAtSeconds != nil { flags.insert(.hasAssessment) }
            if verdict.graceUntilSeconds != nil { flags.insert(.hasGrace) }
            if !verdict.checks.isEmpty { flags.insert(.hasChecks) }
            if verdict.provenance != nil { flags.insert(.hasProvenance) }
            if hasDerivedID(verdict) { flags.insert(.hasDerivedID) }
            if PackedVerdict.rawDigest(verdict.digest) != nil { flags.insert(.hasRawDigest) }
            bytes.append(PackedVerdict.version)
            bytes.append(Codes.index(of: verdict.state, in: Codes.states))
            bytes.append(Codes.index(of: verdict.matchStrength, in: Codes.strengths))
            bytes.append(verdict.risk.map { Codes.index(of: $0, in: Codes.risks) } ?? 0)
            bytes.append(UInt8(truncatingIfNeeded: flags.rawValue))
            bytes.append(UInt8(truncatingIfNeeded: flags.rawValue >> 8))
            for time in [
                verdict.observedAtSeconds, verdict.assessedAtSeconds ?? 0, verdict.fetchedAtSeconds,
                verdict.expiresAtSeconds, verdict.graceUntilSeconds ?? 0,
            ] { integer(time) }
        }

        func hasDerivedID(_ verdict: Verdict) -> Bool {
            ExactText.isEqual(verdict.id, PackedVerdict.derivedID(verdict))
        }

        mutating func integer(_ value: Int64) {
            let bits = UInt64(bitPattern: value)
            for shift in stride(from: 0, to: 64, by: 8) {
                bytes.append(UInt8(truncatingIfNeeded: bits >> shift))
            }
        }

        /// Seven bits a byte, the lowest first; the eighth says that more follow.
        mutating func count(_ count: Int) {
            var rest = UInt64(count)
            while rest >= 0x80 {
                bytes.append(UInt8(truncatingIfNeeded: rest) | 0x80)
                rest >>= 7
            }
            bytes.append(UInt8(rest))
        }

        /// The lowest bit of the length says that a GUID of 16 bytes follows.
        mutating func text(_ text: String) {
            if let raw = GUID.raw(text) {
                bytes.append(1)
                bytes += raw
            } else {
                count(text.utf8.count << 1)
                bytes += text.utf8
            }
        }

        /// `word=value;word=value`; words that are known take a byte, and so does the native id as a value.
        mutating func keys(_ text: String, nativeID: String) {
            let segments = text.split(separator: ";", omittingEmptySubsequences: false)
            count(segments.count)
            for segment in segments {
                let parts = segment.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
                guard parts.count == 2,
                    let word = Codes.keyWords.firstIndex(where: { ExactText.isEqual($0, String(parts[0])) })
                else {
                    bytes.append(0)
                    self.text(String(segment))
                    continue
                }
                let isNative = ExactText.isEqual(String(parts[1]), nativeID)
                bytes.append(UInt8(word + 1) | (isNative ? 0x80 : 0))
                if !isNative { self.text(String(parts[1])) }
            }
        }

        mutating func texts(_ texts: [String]) {
            count(texts.count)
            for text in texts { self.text(text) }
        }
    }

    /// Reads them again; nil as soon as something does not fit.
    struct Reader {
        let bytes: [UInt8]
        var position: Int

        var isAtEnd: Bool { position == bytes.count }

        /// - Precondition: eight bytes are there.
        static func integer(_ bytes: [UInt8], at start: Int) -> Int64 {
            var bits: UInt64 = 0
            for index in 0..<8 { bits |= UInt64(bytes[start + index]) << UInt64(8 * index) }
            return Int64(bitPattern: bits)
        }

        /// - Parameter max: a longer one is damage.
        mutating func count(max: Int) -> Int? {
            var value = 0
            var shift = 0
            while position < bytes.count, shift <= 28 {
                let byte = bytes[position]
                position += 1
                value |= Int(byte & 0x7f) << shift
                if byte & 0x80 == 0 { return value <= max ? value : nil }
                shift += 7
            }
            return nil
        }

        mutating func text() -> String? {
            guard let marked = count(max: bytes.count << 1) else { return nil }
            if marked == 1 {
                guard position + 16 <= bytes.count else { return nil }
                defer { position += 16 }
                return GUID.text(bytes[position..<(position + 16)])
            }
            let length = marked >> 1
            guard marked & 1 == 0, position + length <= bytes.count else { return nil }
            defer { position += length }
            return bytes.withUnsafeBufferPointer { bytes in
                let text = UnsafeBufferPointer(rebasing: bytes[position..<(position + length)])
                // Nearly all are, and that needs no look-up of types.
                guard text.allSatisfy({ $0 < 0x80 }) else { return String(validating: text, as: UTF8.self) }
                return String(decoding: text, as: UTF8.self)
            }
        }

        mutating func texts() -> [String]? {
            // Each takes at least its length.
            guard let count = count(max: bytes.count - position) else { return nil }
            var texts: [String] = []
            texts.reserveCapacity(count)
            for _ in 0..<count {
                guard let text = text() else { return nil }
                texts.append(text)
            }
            return texts
        }

        mutating func keys(nativeID: String) -> String? {
            guard let count = count(max: bytes.count - position) else { return nil }
            var segments: [String] = []
            for _ in 0..<count {
                guard position < bytes.count else { return nil }
                let code = bytes[position]
                position += 1
                guard code != 0 else {
                    guard let segment = text() else { return nil }
                    segments.append(segment)
                    continue
                }
                guard code & 0x7f != 0, let word = Codes.value((code & 0x7f) - 1, in: Codes.keyWords),
                    let value = code & 0x80 == 0 ? text() : nativeID
                else { return nil }
                segments.append("\(word)=\(value)")
            }
            return segments.joined(separator: ";")
        }

        mutating func checks() -> [Verdict.Check]? {
            guard let count = count(max: bytes.count - position) else { return nil }
            var checks: [Verdict.Check] = []
            for _ in 0..<count {
                guard let id = text(), let title = text(), position < bytes.count,
                    let state = Codes.value(bytes[position], in: Codes.checkStates)
                else { return nil }
                position += 1
                checks.append(Verdict.Check(id: id, title: title, state: state))
            }
            return checks
        }

        mutating func score() -> Verdict.Score? {
            guard position + 25 <= bytes.count, bytes[position + 24] <= 1 else { return nil }
            defer { position += 25 }
            return Verdict.Score(
                value: Self.integer(bytes, at: position), minimum: Self.integer(bytes, at: position + 8),
                maximum: Self.integer(bytes, at: position + 16), higherIsBetter: bytes[position + 24] == 1)
        }

        mutating func hexadecimal(count: Int) -> String? {
            guard position + count <= bytes.count else { return nil }
            defer { position += count }
            return Hexadecimal.text(bytes[position..<(position + count)])
        }
    }

    /// `5c1d9b7e-0a0e-4d51-9a0f-8d7b7a0d1c11`, in lower case only: another spelling is another text.
    enum GUID {
        private static let dashes: [Int] = [8, 13, 18, 23]

        static func raw(_ text: String) -> [UInt8]? {
            guard text.utf8.count == 36 else { return nil }
            var digits: [UInt8] = []
            digits.reserveCapacity(32)
            for (index, byte) in text.utf8.enumerated() {
                if dashes.contains(index) {
                    guard byte == 0x2d else { return nil }
                } else {
                    digits.append(byte)
                }
            }
            return Hexadecimal.raw(digits)
        }

        static func text(_ raw: ArraySlice<UInt8>) -> String {
            String(unsafeUninitializedCapacity: 36) { text in
                var length = 0
                for byte in raw {
                    if dashes.contains(length) {
                        text[length] = 0x2d
                        length += 1
                    }
                    text[length] = Hexadecimal.digit(byte >> 4)
                    text[length + 1] = Hexadecimal.digit(byte & 15)
                    length += 2
                }
                return length
            }
        }
    }

    /// Lower-case hexadecimal digits.
    enum Hexadecimal {
        static func raw(_ text: [UInt8]) -> [UInt8]? {
            guard text.count.isMultiple(of: 2) else { return nil }
            var raw: [UInt8] = []
            raw.reserveCapacity(text.count / 2)
            for index in stride(from: 0, to: text.count, by: 2) {
                guard let high = value(text[index]), let low = value(text[index + 1]) else { return nil }
                raw.append(high << 4 | low)
            }
            return raw
        }

        static func text(_ raw: ArraySlice<UInt8>) -> String {
            String(unsafeUninitializedCapacity: raw.count * 2) { text in
                for (index, byte) in raw.enumerated() {
                    text[index * 2] = digit(byte >> 4)
                    text[index * 2 + 1] = digit(byte & 15)
                }
                return raw.count * 2
            }
        }

        static func digit(_ value: UInt8) -> UInt8 { value < 10 ? 0x30 + value : 0x57 + value }

        private static func value(_ digit: UInt8) -> UInt8? {
            switch digit {
            case 0x30...0x39: digit - 0x30
            case 0x61...0x66: digit - 0x61 + 10
            case _: nil
            }
        }
    }
}
