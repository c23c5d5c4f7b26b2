import Testing

@testable import HTTP

struct ChunkCase: Sendable, CustomTestStringConvertible {
    var what: String
    var bytes: [UInt8]
    var body: String
    var error: ChunkError?
    var testDescription: String { what }

    init(_ what: String, _ text: String, _ body: String) {
        self.what = what
        bytes = latin(text)
        self.body = body
    }

    init(_ what: String, _ text: String, _ error: ChunkError, after body: String = "") {
        self.what = what
        bytes = latin(text)
        self.body = body
        self.error = error
    }
}

/// What a decoder made of bytes that came in pieces.
struct Decoded: Equatable {
    var body: [UInt8] = []
    var error: ChunkError?
    var isDone = false
    /// Bytes consumed up to the end.
    var consumed = 0
}

func decodeChunks(_ bytes: [UInt8], pieces: [Int]) -> Decoded {
    var decoder = ChunkedDecoder()
    var decoded = Decoded()
    var start = 0
    for piece in pieces + [bytes.count - pieces.reduce(0, +)] {
        let part = Array(bytes[start..<(start + piece)])
        start += piece
        var offset = 0
        reading: while true {
            switch decoder.next(part.span, from: &offset) {
            case .data(let range): decoded.body += part[range]
            case .needMore:
                decoded.consumed += part.count
                break reading
            case .end:
                decoded.consumed += offset
                decoded.isDone = true
                return decoded
            case .refused(let error):
                decoded.error = error
                decoded.consumed = 0  // Meaningless after an error.
                return decoded
            }
        }
    }
    return decoded
}

@Suite("RFC 9112 §7.1 chunked; each row whole, byte by byte and at every split")
struct ChunkedTests {
    static let table: [ChunkCase] = [
        .init("§7.1 two chunks", "3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n", "abcde"),
        .init("§7.1 an empty body", "0\r\n\r\n", ""),
        .init(
            "§7.1 hexadecimal in both cases", "a\r\n0123456789\r\nA\r\n0123456789\r\n0\r\n\r\n",
            "01234567890123456789"),
        .init("§7.1 leading zeros", "0003\r\nabc\r\n000\r\n\r\n", "abc"),
        .init("§7.1 16 digits", "0000000000000003\r\nabc\r\n0\r\n\r\n", "abc"),
        .init("§7.1 17 digits", "00000000000000003\r\nabc\r\n0\r\n\r\n", .sizeTooLarge),
        .init("§7.1 one past the largest size", "8000000000000000\r\n", .sizeTooLarge),
        .init("§7.1 a size that wraps", "ffffffffffffffff\r\n", .sizeTooLarge),
        .init("§7.1 CR and LF in data are data", "4\r\n\r\n\r\n\r\n0\r\n\r\n", "\r\n\r\n"),
        .init("§7.1 no size", "\r\nabc\r\n0\r\n\r\n", .invalidSize),
        .init("§7.1 a sign", "+3\r\nabc\r\n0\r\n\r\n", .invalidSize),
        .init("§7.1 0x", "0x3\r\nabc\r\n0\r\n\r\n", .invalidSize),
        .init("§7.1 an underscore", "1_0\r\n", .invalidSize),
        .init("§7.1 a blank before the size", " 3\r\nabc\r\n0\r\n\r\n", .invalidSize),
        .init("§7.1 a blank behind the size", "3 \r\nabc\r\n0\r\n\r\n", .invalidSize),
        .init("§7.1 a bare LF behind the size", "3\nabc\r\n0\r\n\r\n", .invalidSize),
        .init("§7.1 a bare CR behind the size", "3\rabc\r\n0\r\n\r\n", .invalidLineEnd),
        .init("§7.1 data longer than the size", "3\r\nabcd\r\n0\r\n\r\n", .dataLongerThanSize, after: "abc"),
        .init("§7.1 a bare LF behind the data", "3\r\nabc\n0\r\n\r\n", .dataLongerThanSize, after: "abc"),
        .init("§7.1 a bare CR behind the data", "3\r\nabc\r0\r\n\r\n", .dataLongerThanSize, after: "abc"),
        .init("§7.1.1 an extension is dropped", "3;a=b;c=\"d\"\r\nabc\r\n0;e\r\n\r\n", "abc"),
        .init("§7.1.1 a bare LF in an extension", "3;a\nabc\r\n0\r\n\r\n", .invalidExtension),
        .init("§7.1.1 a bare CR in an extension", "3;a\rb\r\nabc\r\n0\r\n\r\n", .invalidLineEnd),
        .init("§7.1.1 NUL in an extension", "3;\0\r\nabc\r\n0\r\n\r\n", .invalidExtension),
        .init("§7.1.2 trailers are dropped", "0\r\nX: y\r\nContent-Length: 5\r\n\r\n", ""),
        .init("§7.1.2 a folded trailer", "0\r\nX: y\r\n z\r\n\r\n", .invalidTrailer),
        .init("§7.1.2 a blank before the colon", "0\r\nX : y\r\n\r\n", .invalidTrailer),
        .init("§7.1.2 no name", "0\r\n: y\r\n\r\n", .invalidTrailer),
        .init("§7.1.2 no colon: a request in the trailer", "0\r\nGET / HTTP/1.1\r\n\r\n", .invalidTrailer),
        .init("§7.1.2 a bare LF behind a trailer", "0\r\nX: y\n\r\n", .invalidTrailer),
        .init("§7.1.2 a bare LF as the end", "0\r\n\n", .invalidTrailer),
        .init("§7.1.2 a bare CR as the end", "0\r\n\rX", .invalidLineEnd),
        .init("§7.1.2 NUL in a trailer", "0\r\nX: \0\r\n\r\n", .invalidTrailer),
    ]

    @Test("each row has its outcome however it is split", arguments: table)
    func outcome(_ row: ChunkCase) {
        let whole = decodeChunks(row.bytes, pieces: [])
        #expect(whole.body == latin(row.body))
        #expect(whole.error == row.error)
        #expect(whole.isDone == (row.error == nil))
        for split in 0...row.bytes.count {
            #expect(decodeChunks(row.bytes, pieces: [split]) == whole, "split at \(split)")
        }
        let dripped = decodeChunks(row.bytes, pieces: Array(repeating: 1, count: row.bytes.count))
        #expect(dripped == whole, "byte by byte")
    }

    @Test("every rule is broken by some row or bound")
    func tableIsTotal() {
        let rows = Set(Self.table.compactMap(\.error)).union([.extensionsTooLarge, .trailersTooLarge])
        #expect(rows == Set(ChunkError.allCases))
    }

    @Test("bytes behind the body are the next message's")
    func leavesTheRest() {
        let body = latin("1\r\na\r\n0\r\n\r\n")
        let decoded = decodeChunks(body + latin("GET / HTTP/1.1\r\n"), pieces: [])
        #expect(decoded == Decoded(body: latin("a"), isDone: true, consumed: body.count))
    }

    @Test("extensions of one body: exactly the most bytes, and one more, also over many chunks")
    func extensionBound() {
        let most = ChunkedDecoder.extensionBytesMax
        func body(_ count: Int) -> [UInt8] {
            latin("1;" + String(repeating: "e", count: count - 1) + "\r\na\r\n0\r\n\r\n")
        }
        #expect(decodeChunks(body(most), pieces: []).isDone)
        #expect(decodeChunks(body(most + 1), pieces: []).error == .extensionsTooLarge)
        let chunk = latin("1;234567\r\na\r\n")
        let many = Array(repeatElement(chunk, count: most / 7 + 1).joined())
        #expect(decodeChunks(many, pieces: []).error == .extensionsTooLarge)
    }

    @Test("trailers: exactly the most bytes and lines, and one more")
    func trailerBound() {
        let most = ChunkedDecoder.trailerBytesMax
        func bytes(_ count: Int) -> [UInt8] {
            latin("0\r\nX:" + String(repeating: "y", count: count - 5) + "\r\n\r\n")
        }
        #expect(decodeChunks(bytes(most), pieces: []).isDone)
        #expect(decodeChunks(bytes(most + 1), pieces: []).error == .trailersTooLarge)
        func lines(_ count: Int) -> [UInt8] {
            latin("0\r\n" + String(repeating: "X: y\r\n", count: count) + "\r\n")
        }
        #expect(decodeChunks(lines(ChunkedDecoder.trailersMax), pieces: []).isDone)
        #expect(decodeChunks(lines(ChunkedDecoder.trailersMax + 1), pieces: []).error == .trailersTooLarge)
    }

    @Test("what the encoder writes, the decoder reads, in random chunks and random pieces")
    func roundTrip() {
        for seed in Seeds.of(300) {
            var random = SeededGenerator(seed: seed)
            let count = Int.random(in: 0...700, using: &random)
            let body = (0..<count).map { _ in UInt8.random(in: 0...255, using: &random) }
            var encoded: [UInt8] = []
            var start = 0
            while start < body.count {
                let count = Int.random(in: 1...(body.count - start), using: &random)
                encoded +=
                    writeAll(capacity: ChunkEncoding.beginBytesMax) { output in
                        ChunkEncoding.begin(count, into: &output)
                        return true
                    } ?? []
                encoded += body[start..<(start + count)] + [13, 10]
                start += count
            }
            encoded += latin("0\r\n\r\n")
            var pieces: [Int] = []
            var left = encoded.count
            while left > 0 {
                let piece = Int.random(in: 0...min(left, 90), using: &random)
                pieces.append(piece)
                left -= piece
            }
            let decoded = decodeChunks(encoded, pieces: pieces)
            #expect(decoded == Decoded(body: body, isDone: true, consumed: encoded.count), "seed \(seed)")
        }
    }

    @Test("the largest chunk's size line fits its stated room")
    func largestChunk() {
        let line = writeAll(capacity: ChunkEncoding.beginBytesMax) { output in
            ChunkEncoding.begin(Int.max, into: &output)
            return true
        }
        #expect(line == latin("7fffffffffffffff\r\n"))
    }
}
