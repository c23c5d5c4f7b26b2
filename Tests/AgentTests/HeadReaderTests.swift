import Foundation
import Testing

@testable import gatepost_agent

@Suite("The agent's request head means the same in one piece, in two and byte by byte")
struct HeadReaderTests {
    enum Expected { case head, refused, needMore }

    struct HeadCase: Sendable, CustomTestStringConvertible {
        var name: String
        var bytes: [UInt8]
        var expected: Expected
        var testDescription: String { name }

        init(_ name: String, _ text: String, _ expected: Expected) {
            self.name = name
            bytes = Array(text.utf8)
            self.expected = expected
        }
    }

    static let host = "Host: 127.0.0.1:17472\r\n"
    static let visit = "GET /v1/nav?c=x HTTP/1.1\r\n" + host
    static let page = "POST /v1/attest HTTP/1.1\r\n" + host + "Origin: https://auth.corp.example\r\n"

    /// A head of exactly this many bytes, its empty line included, in fields of 1,000 bytes and less.
    static func head(bytes count: Int) -> String {
        var text = visit
        while text.utf8.count < count - 2 {
            let left = count - 2 - text.utf8.count
            // What would leave too little for another field is taken now.
            let line = left <= 1_000 ? left : min(1_000, left - 5)
            text += "X: " + String(repeating: "x", count: line - 5) + "\r\n"
        }
        return text + "\r\n"
    }

    static let table: [HeadCase] = [
        .init("a visit", visit + "\r\n", .head),
        .init(
            "the page's question", page + "Content-Type: application/json\r\nContent-Length: 2\r\n\r\n{}",
            .head),
        .init("a head that lacks its empty line", visit, .needMore),
        .init("a head of exactly 8,192 bytes", head(bytes: 8_192), .head),
        .init("a head of 8,193 bytes", head(bytes: 8_193), .refused),
        .init("a field that never ends", visit + "X: " + String(repeating: "x", count: 9_000), .refused),
        .init("no request line", "nonsense\r\n\r\n", .refused),
        .init("no Host", "GET /v1/nav HTTP/1.1\r\n\r\n", .refused),
        .init("two of Host", visit + host + "\r\n", .refused),
        .init(
            "two lengths", page + "Content-Length: 1\r\nContent-Length: 2\r\n\r\n", .refused),
        .init(
            "a length and chunks", page + "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", .refused),
        .init("a length that is no number", page + "Content-Length: 1x\r\n\r\n", .refused),
        .init("a folded field", visit + "X-A: b\r\n c\r\n\r\n", .refused),
        .init("a zero byte in a field", visit + "X-A: b\0c\r\n\r\n", .refused),
        .init("a carriage return alone in a field", visit + "X-A: b\rc\r\n\r\n", .refused),
        .init("a blank before the colon", visit + "X-A : b\r\n\r\n", .refused),
        .init("a line without a colon", visit + "X-A\r\n\r\n", .refused),
        .init("another version", "GET /v1/nav HTTP/3.7\r\n" + host + "\r\n", .refused),
        .init("a tunnel", "CONNECT 127.0.0.1:22 HTTP/1.1\r\n" + host + "\r\n", .refused),
        .init("an upgrade", visit + "Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n", .refused),
        .init(
            "an expectation", page + "Content-Length: 1\r\nExpect: 100-continue\r\n\r\n", .refused),
        .init(
            "a target of 4,200 bytes",
            "GET /" + String(repeating: "a", count: 4_200) + " HTTP/1.1\r\n" + host + "\r\n", .refused),
        .init("65 fields", visit + String(repeating: "X-A: b\r\n", count: 64) + "\r\n", .refused),
    ]

    /// What one look says: the head with where it ends, or which of the others.
    static func look(_ reader: inout HeadReader, _ bytes: [UInt8]) -> (expected: Expected, read: String) {
        switch reader.read(bytes) {
        case .needMore: (.needMore, "")
        case .refused: (.refused, "")
        case .head(let request, let headBytes): (.head, "\(headBytes) \(request)")
        }
    }

    /// Where bytes are cut: everywhere, but in long ones only now and then before the limit and the end.
    static func places(in bytes: [UInt8]) -> [Int] {
        (0..<bytes.count).filter { place in
            bytes.count <= 600 || place % 61 == 0 || abs(place - HeadReader.headBytesMax) < 8
                || bytes.count - place < 40
        }
    }

    @Test("whole, as the table says", arguments: table) func whole(_ row: HeadCase) {
        var reader = HeadReader()
        #expect(Self.look(&reader, row.bytes).expected == row.expected)
    }

    @Test("byte by byte nothing is decided but what the whole says", arguments: table)
    func dripped(_ row: HeadCase) {
        var fresh = HeadReader()
        let whole = Self.look(&fresh, row.bytes)
        var reader = HeadReader()
        for count in Self.places(in: row.bytes) + [row.bytes.count] {
            let found = Self.look(&reader, Array(row.bytes[..<count]))
            guard found.expected != .needMore else { continue }
            #expect(found.expected == whole.expected && found.read == whole.read, "after \(count) bytes")
            // The connection ends with a refusal, and the body begins behind a head.
            return
        }
        #expect(whole.expected == .needMore)
    }

    @Test("in two pieces, wherever it is cut, it is what it is whole", arguments: table)
    func split(_ row: HeadCase) { Self.expectTheSameInTwo(row.bytes, row.name) }

    static func expectTheSameInTwo(_ bytes: [UInt8], _ name: String) {
        var fresh = HeadReader()
        let whole = look(&fresh, bytes)
        for count in places(in: bytes) {
            var reader = HeadReader()
            let first = look(&reader, Array(bytes[..<count]))
            let found = first.expected == .needMore ? look(&reader, bytes) : first
            #expect(found.expected == whole.expected && found.read == whole.read, "\(name), cut at \(count)")
        }
    }

    @Test("so are the heads that the fuzzer keeps because each goes its own way") func corpus() throws {
        let folder = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .appending(path: "Fuzz/Corpus/agent")
        var heads = 0
        for file in try FileManager.default.contentsOfDirectory(
            at: folder, includingPropertiesForKeys: nil)
        {
            let input = Array(try Data(contentsOf: file))
            // The first byte chooses what the rest is (Tests/Fuzz/AgentInput.swift): a head, or a whole request.
            guard let kind = input.first, [0, 3].contains(kind % 7) else { continue }
            heads += 1
            Self.expectTheSameInTwo(Array(input.dropFirst()), file.lastPathComponent)
        }
        #expect(heads >= 20)
    }
}
