/// The demo application: shows what arrived behind the gateway, and exercises streams.

import Foundation
import JSON

final class EchoApplication: Site {
    let name: String
    static let bytesMax: Int64 = 1 << 40
    private static let block = [UInt8]((0..<ByteStream.chunkBytes).map { UInt8(truncatingIfNeeded: $0) })

    init(name: String = "echo") { self.name = name }

    func answer(_ exchange: Exchange) throws {
        let path = exchange.head.path
        switch path {
        case "/sse": try sendEvents(exchange)
        case "/ws": try WebSocketEcho(exchange: exchange).run()
        case "/upload": try countUpload(exchange)
        case "/healthy": try exchange.send(.text("ok\n"))
        case "/answer": try say(exchange)
        case _ where path.hasPrefix("/bytes/"): try sendBytes(exchange, String(path.dropFirst(7)))
        case _ where path.hasPrefix("/status/"): try sendStatus(exchange, String(path.dropFirst(8)))
        default: try show(exchange)
        }
    }

    /// Method, path, fields and the body's length; JSON for whoever asks for it, a page for everybody else.
    private func show(_ exchange: Exchange) throws {
        let length = try drain(exchange)
        let head = exchange.head
        let fields = head.fields.map {
            JSONValue.object(["name": .string($0.name), "value": .string($0.value)])
        }
        if head.field("accept")?.contains("application/json") == true {
            return try exchange.send(
                .json([
                    "application": .string(name), "method": .string(head.method), "path": .string(head.path),
                    "query": .string(head.query), "fields": .array(fields), "bodyBytes": .integer(length),
                ]))
        }
        try exchange.send(.html(EchoPage.render(head, bodyBytes: length, nowSeconds: exchange.nowSeconds)))
    }

    private func drain(_ exchange: Exchange) throws -> Int64 {
        var count: Int64 = 0
        while let piece = try exchange.readBodyPiece() { count += Int64(piece.count) }
        return count
    }

    private func countUpload(_ exchange: Exchange) throws {
        guard exchange.head.method == "POST" || exchange.head.method == "PUT" else {
            return try exchange.send(.text("POST or PUT a body here.\n", status: 405))
        }
        try exchange.send(.json(["bytes": .integer(try drain(exchange))]))
    }

    private func sendBytes(_ exchange: Exchange, _ text: String) throws {
        _ = try drain(exchange)
        guard let count = Int64(text), (0...Self.bytesMax).contains(count) else {
            return try exchange.send(.text("The path names a number of bytes.\n", status: 400))
        }
        let pause = Parameters(parsing: exchange.head.query)?["pause"].flatMap { Int64($0) } ?? 0
        try exchange.sendBytes(
            count: count, fields: [("Content-Type", "application/octet-stream")], piece: Self.block,
            pauseMilliseconds: min(max(pause, 0), 60_000))
    }

    private func sendStatus(_ exchange: Exchange, _ text: String) throws {
        _ = try drain(exchange)
        guard let status = Int(text), (200...599).contains(status) else {
            return try exchange.send(.text("The path names a status from 200 to 599.\n", status: 400))
        }
        try exchange.send(.text("status \(status)\n", status: status))
    }

    /// Fields and body as the query names them: an application that says whatever a test wants to hear.
    private func say(_ exchange: Exchange) throws {
        _ = try drain(exchange)
        let isPrintable = { (text: String) in text.utf8.allSatisfy { $0 >= 0x20 && $0 != 0x7f } }
        guard let named = Parameters(parsing: exchange.head.query)?.pairs,
            named.allSatisfy({ isPrintable($0.name) && isPrintable($0.value) })
        else { return try exchange.send(.text("The query names fields, and the body.\n", status: 400)) }
        let body = named.first { $0.name == "body" }?.value ?? "ok"
        let fields = named.filter { $0.name != "body" }
        try exchange.send(
            Response(status: 200, fields: fields.map { ($0.name, $0.value) }, body: Array(body.utf8)))
    }

    /// One event at once and then one a second, for an hour at most or until the reader is gone.
    private func sendEvents(_ exchange: Exchange) throws {
        _ = try drain(exchange)
        let fields = [("Content-Type", "text/event-stream"), ("Cache-Control", "no-store")]
        try exchange.sendStream(fields) { write in
            for tick in 0..<3600 {
                let at = Timestamp.rfc3339(exchange.nowSeconds + Int64(tick))
                try write(
                    Array("id: \(tick)\nevent: tick\ndata: {\"tick\":\(tick),\"at\":\"\(at)\"}\n\n".utf8))
                Thread.sleep(forTimeInterval: 1)
            }
        }
    }
}
