import Testing

@testable import HTTP

/// Scanning reads eight and sixteen bytes at once; these rows put the byte that decides at every place of
/// such a block, at both ends of every class, with much and with nothing behind the head.
@Suite("Every byte decides wherever it stands in a word")
struct WordBoundaryTests {
    /// First and last byte of every class, and what differs from them in the case bit or the highest bit.
    static let bytes: [UInt8] = [
        0, 1, 8, 9, 10, 11, 13, 0x1f, 0x20, 0x21, 0x22, 0x23, 0x2c, 0x2d, 0x2e, 0x2f, 0x30, 0x39, 0x3a, 0x3b,
        0x3f,
        0x40, 0x41, 0x5a, 0x5b, 0x5f, 0x60, 0x61, 0x7a, 0x7b, 0x7c, 0x7d, 0x7e, 0x7f, 0x80, 0x81, 0x8a, 0x8d,
        0x9f,
        0xa0, 0xa3, 0xad, 0xba, 0xc1, 0xda, 0xe1, 0xfa, 0xfe, 0xff,
    ]

    private let behind = [UInt8](repeating: 0x78, count: 48)

    /// Runs of 1...33 letters with `byte` at every position, in front of every kind of rest.
    private func forEachRun(_ body: (_ run: [UInt8], _ position: Int, _ byte: UInt8) -> Void) {
        for count in 1...33 {
            for position in 0..<count {
                for byte in Self.bytes {
                    var run = [UInt8](repeating: 0x61, count: count)
                    run[position] = byte
                    body(run, position, byte)
                }
            }
        }
    }

    private func see(_ head: [UInt8], _ bench: inout Bench) -> [HeadError?] {
        [head, head + behind].map { bytes in
            switch bench.parse(bytes) {
            case .head: nil
            case .refused(let error): error
            case .needMore: .headTooLarge  // Stands for "not over", which none of these heads may be.
            }
        }
    }

    private static func isToken(_ byte: UInt8) -> Bool {
        latin("!#$%&'*+-.^_`|~0123456789").contains(byte) || (0x41...0x5a).contains(byte)
            || (0x61...0x7a).contains(byte)
    }

    @Test("in a field name of 1 to 33 bytes")
    func names() {
        var bench = Bench()
        forEachRun { run, position, byte in
            let expected: HeadError? =
                switch byte {
                case 10: .bareLineFeed
                case 13: position == 0 ? .bareCarriageReturn : .invalidFieldName
                case 9, 32: position == 0 ? .foldedLine : .whitespaceBeforeColon
                case 58: position == 0 ? .emptyFieldName : nil
                default: Self.isToken(byte) ? nil : .invalidFieldName
                }
            let head = latin("GET / HTTP/1.1\r\nHost: h\r\n") + run + latin(": v\r\n\r\n")
            #expect(
                see(Array(head), &bench) == [expected, expected], "\(byte) at \(position) of \(run.count)")
        }
    }

    @Test("in a field value of 1 to 33 bytes")
    func values() {
        var bench = Bench()
        forEachRun { run, position, byte in
            let expected: HeadError? =
                switch byte {
                case 10: .bareLineFeed
                case 13: .bareCarriageReturn
                case 0..<9, 11..<32, 127: .invalidFieldValue
                default: nil
                }
            let head =
                latin("GET / HTTP/1.1\r\nHost: h\r\n") + latin("A: ") + run + latin("\r\n\r\n")
            #expect(
                see(Array(head), &bench) == [expected, expected], "\(byte) at \(position) of \(run.count)")
        }
    }

    @Test("in a query of 1 to 33 bytes")
    func targets() {
        var bench = Bench()
        forEachRun { run, position, byte in
            let expected: HeadError? =
                switch byte {
                case 10: .bareLineFeed
                case 13: .malformedRequestLine
                case 32: .malformedVersion
                case 35: .fragmentInTarget
                case 0x21...0x7e: nil
                default: .invalidTargetByte
                }
            let head = latin("GET /?") + run + latin(" HTTP/1.1\r\nHost: h\r\n\r\n")
            #expect(see(head, &bench) == [expected, expected], "\(byte) at \(position) of \(run.count)")
        }
    }

    @Test("in a path of 1 to 33 bytes")
    func paths() {
        var bench = Bench()
        let refused = latin("\"<>`{}").map { $0 }
        forEachRun { run, position, byte in
            let expected: HeadError? =
                switch byte {
                case 10: .bareLineFeed
                case 13: .malformedRequestLine
                case 32: .malformedVersion
                case 35: .fragmentInTarget
                case 46: run.count == 1 ? .dotSegment : nil
                case 47: position == 0 ? .emptySegment : nil
                case 59: nil
                case 0x21...0x7e: refused.contains(byte) ? .invalidPathByte : nil
                default: .invalidTargetByte
                }
            let head = latin("GET /") + run + latin(" HTTP/1.1\r\nHost: h\r\n\r\n")
            #expect(see(head, &bench) == [expected, expected], "\(byte) at \(position) of \(run.count)")
        }
    }

    @Test("in a host of 1 to 33 bytes; an upper-case letter is lowered wherever it stands")
    func hosts() {
        var bench = Bench()
        forEachRun { run, position, byte in
            let isBlankAtEnd = (byte == 32 || byte == 9) && (position == 0 || position == run.count - 1)
            let isHost =
                switch byte {
                case 0x2d, 0x30...0x39, 0x41...0x5a, 0x5f, 0x61...0x7a: true
                case 0x2e: position > 0 && position < run.count - 1
                default: isBlankAtEnd && run.count > 1
                }
            let head = latin("GET / HTTP/1.1\r\nHost: ") + run + latin("\r\n\r\n")
            guard case .head(let request) = bench.parse(head) else {
                #expect(!isHost, "\(byte) at \(position) of \(run.count)")
                return
            }
            #expect(isHost, "\(byte) at \(position) of \(run.count)")
            let lowered = run.filter { $0 != 32 && $0 != 9 }.map { (0x41...0x5a).contains($0) ? $0 + 32 : $0 }
            #expect(bench.text(request.host, head) == String(decoding: lowered, as: UTF8.self))
        }
    }

    @Test("in every method; a name with a NUL behind it is not the name")
    func methods() {
        var bench = Bench()
        for method in Method.allCases where method != .other {
            let name = latin("\(method.name)")
            for position in 0...name.count {
                for byte in UInt8.min...UInt8.max {
                    var changed = name
                    if position < name.count { changed[position] = byte } else { changed.append(byte) }
                    let head = changed + latin(" / HTTP/1.1\r\nHost: h\r\n\r\n")
                    guard case .head(let request) = bench.parse(head) else {
                        #expect(!Self.isToken(byte) || changed == latin("TRACE"), "\(changed)")
                        continue
                    }
                    #expect(Self.isToken(byte), "\(changed)")
                    #expect((request.method == method) == (changed == name), "\(changed)")
                }
            }
        }
    }
}
