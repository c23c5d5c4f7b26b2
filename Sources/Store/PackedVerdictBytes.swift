import Access

extension PackedVerdict {
    /// Writes the parts of `PackedVerdict` one after the other.
    struct Writer {
        var bytes: [UInt8] = []

        mutating func head(_ verdict: Verdict) {
            var flags: Flags = []
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

        mutating func text(_ text: String) {
            count(text.utf8.count)
            bytes += text.utf8
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
            guard let length = count(max: bytes.count - position), position + length <= bytes.count else {
                return nil
            }
            defer { position += length }
            return String(validating: bytes[position..<(position + length)], as: UTF8.self)
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
            let digits = Array("0123456789abcdef".utf8)
            var text: [UInt8] = []
            text.reserveCapacity(count * 2)
            for byte in bytes[position..<(position + count)] {
                text.append(digits[Int(byte >> 4)])
                text.append(digits[Int(byte & 15)])
            }
            position += count
            return String(decoding: text, as: UTF8.self)
        }
    }
}
