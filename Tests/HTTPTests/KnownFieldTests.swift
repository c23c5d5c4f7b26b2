import Testing

@testable import HTTP

@Suite("Which field names are known")
struct KnownFieldTests {
    /// What the parser takes a line of this name for; nil when it refuses it.
    private func known(_ name: [UInt8], _ behind: Int) -> KnownField? {
        var fields = FieldTable()
        let head = latin("HTTP/1.1 200 x\r\n") + name + latin(":\r\n\r\n")
        let bytes = head + [UInt8](repeating: 0x78, count: behind)
        switch ResponseHeadParser().parse(bytes.span, answering: .head, into: &fields) {
        case .head: return fields.count == 1 ? fields[0].known : nil
        // Framing fields without a value are refused, but only after they were recognised.
        case .refused(.invalidContentLength): return .contentLength
        case .refused(.invalidTransferEncoding): return .transferEncoding
        case .refused, .needMore: return nil
        }
    }

    @Test("every known name is recognised in any case, with much and with nothing behind it")
    func everyName() {
        for field in KnownField.allCases where field != .other {
            let name = latin("\(field.name)")
            var random = SeededGenerator(seed: Seeds.base &+ UInt64(field.rawValue))
            for behind in [0, 1, 40] {
                #expect(known(name, behind) == field)
                #expect(known(name.map { (0x61...0x7a).contains($0) ? $0 - 32 : $0 }, behind) == field)
                let mixed = name.map { byte in
                    (0x61...0x7a).contains(byte) && Bool.random(using: &random) ? byte - 32 : byte
                }
                #expect(known(mixed, behind) == field)
            }
        }
    }

    @Test("no name that differs in one byte, or is one byte shorter or longer, is taken for a known one")
    func everyOtherName() {
        let all = Set(KnownField.allCases.map { "\($0.name)" })
        for field in KnownField.allCases where field != .other {
            let name = latin("\(field.name)")
            for position in 0..<name.count {
                for byte in UInt8.min...UInt8.max
                where byte | 0x20 != name[position] || byte == name[position] ^ 0x20 {
                    var changed = name
                    changed[position] = byte
                    let lowered = changed.map { (0x41...0x5a).contains($0) ? $0 + 32 : $0 }
                    if byte == 58 || lowered == name || all.contains(String(decoding: lowered, as: UTF8.self))
                    {
                        continue
                    }
                    let found = known(changed, 40)
                    #expect(found == nil || found == .other, "\(changed)")
                }
            }
            for changed in [Array(name.dropLast()), Array(name.dropFirst()), name + [0x61], [0x61] + name] {
                if all.contains(String(decoding: changed, as: UTF8.self)) { continue }
                let found = known(changed, 40)
                #expect(found == nil || found == .other, "\(changed)")
            }
        }
    }

    /// Folding and comparing as slowly and plainly as it can be done.
    private func isIdentity(_ name: [UInt8], _ configured: [String]) -> Bool {
        let folded = name.filter { ByteClass.isAlphanumeric($0) }.map { ByteClass.lowered($0) }
        let exact = configured.map { $0.lowercased().filter { $0.isASCII && ($0.isLetter || $0.isNumber) } }
        return exact.contains { !$0.isEmpty && latin($0) == folded }
    }

    @Test("configured identity names are found by folding alone, however short or long they are")
    func configured() {
        let configured = [
            "q", "7-seven", "x", "Seven-77", "Eight-888", "Nine-99999", "sec-ch-ua", "zz_top-1",
        ]
        let names = IdentityFieldNames(configured)
        let alphabet = latin("qx7sevn8einzt-_p1caUAo.Q9")
        for seed in Seeds.of(20_000) {
            var random = SeededGenerator(seed: seed)
            var name: [UInt8]
            if Bool.random(using: &random) {
                name = latin(configured[Int.random(in: 0..<configured.count, using: &random)])
                for _ in 0..<Int.random(in: 0...2, using: &random) {
                    let at = Int.random(in: 0...name.count, using: &random)
                    name.insert(alphabet[Int.random(in: 0..<alphabet.count, using: &random)], at: at)
                }
            } else {
                name = (0..<Int.random(in: 1...17, using: &random)).map { _ in
                    alphabet[Int.random(in: 0..<alphabet.count, using: &random)]
                }
            }
            let text = String(decoding: name, as: UTF8.self)
            let builtIn = IdentityFieldNames.builtIn.contains(name.span, name.indices)
            #expect(
                names.contains(name.span, name.indices) == (isIdentity(name, configured) || builtIn),
                "\(text)")
        }
    }
}
