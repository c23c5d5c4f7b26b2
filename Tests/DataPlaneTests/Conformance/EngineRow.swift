import Border
import CLinux
import Foundation
import Synchronization
import Testing

@testable import DataPlane

/// One row of a conformance table: clause, what a client and an application say, what each of them hears.
struct EngineRow: Sendable, CustomTestStringConvertible {
    /// When the application answers.
    enum Reply: Sendable {
        /// To whole requests.
        case whole(String)
        /// To their heads; then it reads no more.
        case early(String)
        /// To whole requests, and then it ends its side.
        case last(String)
    }

    /// What comes after the answers.
    enum After: Sendable {
        /// Another request of the connection is served.
        case open
        case closed
        /// The last answer breaks off.
        case broken
    }

    static let ok = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

    let clause: String
    /// Each but the first is sent once another answer is there.
    var parts: [String]
    var reply = Reply.whole(ok)
    /// Statuses, interim ones too.
    let answers: [Int]
    var after = After.open
    /// What stands in the requests that arrive, one after the other, in lower case.
    var arrives: [[String]] = []
    /// And in none of them.
    var lacks: [String] = []
    /// What no answer has.
    var answersLack: [String] = []
    /// The client ends its side behind what it sent.
    var endsSide = false
    /// False where the outcome depends on what arrives together.
    var drips = true

    var testDescription: String { clause }

    /// A request head with `fields`, each with its line end.
    static func head(_ line: String = "GET / HTTP/1.1", _ fields: String = "") -> String {
        "\(line)\r\nHost: wiki.test\r\n\(fields)\r\n"
    }

    /// A request that the gateway refuses by itself: nothing arrives, and the connection ends.
    static func refused(_ clause: String, _ request: String, _ status: Int) -> EngineRow {
        EngineRow(clause: clause, parts: [request], answers: [status], after: .closed)
    }

    /// A request that arrives with `arrives` and without `lacks`.
    static func served(
        _ clause: String, _ request: String, arrives: [String] = [], lacks: [String] = [],
        after: After = .open
    ) -> EngineRow {
        EngineRow(
            clause: clause, parts: [request], answers: [200], after: after, arrives: [arrives], lacks: lacks)
    }

    /// An answer of the application that goes on with this status.
    static func answered(
        _ clause: String, _ reply: Reply, _ answers: [Int], line: String = "GET / HTTP/1.1",
        after: After = .open, lacks: [String] = []
    ) -> EngineRow {
        EngineRow(
            clause: clause, parts: [head(line)], reply: reply, answers: answers, after: after,
            arrives: [[line.lowercased().split(separator: " ")[0] + " / "]], answersLack: lacks)
    }
}

/// Plays rows against a gateway and an application of their own.
struct EnginePlay {
    private final class Heard: Sendable {
        let requests = Mutex<[String]>([])
        func add(_ request: String) { requests.withLock { $0.append(request.lowercased()) } }
        func taken() -> [String] {
            requests.withLock { requests in
                defer { requests = [] }
                return requests
            }
        }
    }

    private let row: EngineRow
    private let heard = Heard()
    private let origin: TestOrigin
    private let gateway: Gateway

    init(_ row: EngineRow) throws {
        self.row = row
        let heard = heard
        origin = TestOrigin { connection in
            while let head = connection.readHead() {
                if head.contains(" /next ") {
                    connection.answer("next")
                    continue
                }
                if case .early(let text) = row.reply {
                    heard.add(head)
                    connection.socket.write(text)
                    while connection.readSome() != nil {}
                    return
                }
                guard let body = Self.body(head.lowercased(), connection) else { return }
                heard.add(head + body)
                switch row.reply {
                case .whole(let text), .early(let text): connection.socket.write(text)
                case .last(let text):
                    connection.socket.write(text)
                    connection.socket.shutdownWrite()
                    while connection.readSome() != nil {}
                    return
                }
            }
        }
        gateway = try Gateway([Facts.open(origin.port)])
    }

    private static func body(_ head: String, _ connection: OriginConnection) -> String? {
        if head.contains("transfer-encoding: chunked") { return chunks(connection) }
        guard let range = head.range(of: "content-length: ") else { return "" }
        let count = Int(head[range.upperBound...].prefix { $0.isNumber }) ?? 0
        return count == 0 ? "" : connection.read(count).map { String(decoding: $0, as: UTF8.self) }
    }

    /// The data alone: what arrived in one piece may leave in several.
    private static func chunks(_ connection: OriginConnection) -> String? {
        var data: [UInt8] = []
        while let line = connection.readUntil("\r\n"), let size = Int(line.dropLast(1), radix: 16) {
            guard let bytes = connection.read(size + 2) else { return nil }
            data += bytes.dropLast(2)
            if size == 0 { return String(decoding: data, as: UTF8.self) }
        }
        return nil
    }

    /// - Parameter drips: every byte in a TLS record of its own.
    func play(drips: Bool) throws {
        let how: Comment = drips ? "byte by byte" : "whole"
        let client = try gateway.client()
        var parts = row.parts[...]
        Self.send(parts.removeFirst(), client, drips)
        if row.endsSide, parts.isEmpty { shutdown(client.descriptor, Int32(SHUT_WR)) }
        var answers: [TestResponse] = []
        for _ in row.answers {
            let isHead = row.parts[0].hasPrefix("HEAD")
            guard let answer = client.receive(isHead: isHead) else { break }
            answers.append(answer)
            if let part = parts.popFirst() {
                Self.send(part, client, drips)
                if row.endsSide, parts.isEmpty { shutdown(client.descriptor, Int32(SHUT_WR)) }
            }
        }
        #expect(answers.map(\.status) == row.answers, how)
        let isBroken = if case .broken = row.after { true } else { false }
        for (index, answer) in answers.enumerated() {
            #expect(answer.isComplete == !(isBroken && index == answers.count - 1), how)
            // RFC 9110 §6.6.1: whoever answers says when, in its own name or in an application's that does not.
            if answer.status >= 200 { #expect(answer.field("Date")?.hasSuffix(" GMT") == true, how) }
            for text in row.answersLack {
                #expect(!answer.head.lowercased().contains(text), "\(how): \(answer.head)")
            }
        }
        switch row.after {
        case .open: #expect(client.get("/next")?.text == "next", how)
        case .closed, .broken: #expect(client.receive() == nil, how)
        }
        let requests = heard.taken()
        #expect(requests.count == row.arrives.count, "\(how): \(requests)")
        for (request, wanted) in zip(requests, row.arrives) {
            for text in wanted { #expect(request.contains(text), "\(how): \(request)") }
            for text in row.lacks { #expect(!request.contains(text), "\(how): \(request)") }
        }
    }

    private static func send(_ text: String, _ client: TestClient, _ drips: Bool) {
        let bytes = text.unicodeScalars.map { UInt8(truncatingIfNeeded: $0.value) }
        guard drips else {
            client.send(bytes)
            return
        }
        // It may have been refused by its first offending byte.
        for byte in bytes { guard client.send([byte]) else { return } }
    }
}
