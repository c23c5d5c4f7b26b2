import Border
import Foundation
import Synchronization
import Testing

@testable import DataPlane

@Suite("HTTP/2 towards upstreams")
struct HTTP2UpstreamTests {
    @Test func `an HTTP/1.1 client is answered by an h2c upstream, and the next one on the same connection`()
        throws
    {
        let origin = HTTP2Origin.echo()
        let gateway = try Gateway([HTTP2Origin.route(origin.port)])
        for number in 0..<3 {
            let answer = try #require(try gateway.client().get("/a/\(number)?b=c", fields: "X-Mine: 1\r\n"))
            #expect(answer.status == 200 && answer.isComplete)
            #expect(
                answer.text.hasPrefix(
                    ":method: GET\r\n:scheme: http\r\n:path: /a/\(number)?b=c\r\n:authority: wiki.test\r\n"))
            #expect(answer.text.contains("\r\nx-mine: 1\r\n"))
            #expect(answer.text.contains("\r\ngatepost-request-id: "))
            for name in ["host", "connection", "transfer-encoding", "upgrade"] {
                #expect(!answer.text.contains("\r\n\(name): "))
            }
        }
        #expect(origin.connectionCount == 1)
    }

    @Test func `an HTTP/2 client and its streams share one connection to the upstream`() throws {
        let origin = HTTP2Origin.echo()
        let gateway = try Gateway([HTTP2Origin.route(origin.port)])
        let client = try HTTP2Client(gateway)
        let streams = stride(from: UInt32(1), to: 101, by: 2)
        for stream in streams { client.send(HTTP2Client.headers(stream, HTTP2Client.request("/\(stream)"))) }
        for stream in streams {
            let answer = try #require(client.receive(stream))
            #expect(answer.status == 200 && answer.text.contains(":path: /\(stream)\r\n"))
        }
        #expect(origin.connectionCount == 1)
        #expect(
            gateway.waitUntil { gateway.engine.metrics().sum("open_upstreams") == 1 ? true : nil } == true)
    }

    @Test func `bodies of a length and in chunks arrive whole, far beyond any window`() throws {
        let origin = HTTP2Origin.echo()
        let gateway = try Gateway([HTTP2Origin.route(origin.port)])
        let body = String(repeating: "0123456789abcdef", count: 60_000)
        let client = try gateway.client()
        client.send(
            "POST /up HTTP/1.1\r\nHost: wiki.test\r\nContent-Length: \(body.utf8.count)\r\n\r\n\(body)")
        let answer = try #require(client.receive())
        #expect(answer.text.contains("\r\ncontent-length: \(body.utf8.count)\r\n"))
        #expect(answer.text.hasSuffix("\r\n\r\n960000 bytes"))
        client.send("POST /up HTTP/1.1\r\nHost: wiki.test\r\nTransfer-Encoding: chunked\r\n\r\n")
        for _ in 0..<60 {
            let part = body.prefix(16_000)
            client.send("\(String(part.utf8.count, radix: 16))\r\n\(part)\r\n")
        }
        client.send("0\r\n\r\n")
        let second = try #require(client.receive())
        #expect(!second.text.contains("content-length: "))
        #expect(second.text.hasSuffix("\r\n\r\n960000 bytes") && second.isComplete)
        #expect(origin.connectionCount == 1)
    }

    @Test func `HEAD, 204, 304, an empty answer, and a length keep their meaning`() throws {
        let origin = HTTP2Origin.serving { origin in
            while let id = origin.nextRequest() {
                switch origin.requests[id]?.field(":path") {
                case "/204": origin.send(HTTP2Origin.head(id, 204, ends: true))
                case "/304": origin.send(HTTP2Origin.head(id, 304, [("content-length", "7")], ends: true))
                case "/head": origin.send(HTTP2Origin.head(id, 200, [("content-length", "7")], ends: true))
                case "/empty": origin.send(HTTP2Origin.head(id, 200, ends: true))
                case "/length":
                    // END_STREAM in a frame of its own, as many servers send it.
                    origin.send(
                        HTTP2Origin.head(id, 200, [("content-length", "5")]),
                        HTTP2Client.data(id, Array("hello".utf8)), HTTP2Client.data(id, [], ends: true))
                case _: origin.answer(id)
                }
            }
        }
        let gateway = try Gateway([HTTP2Origin.route(origin.port)])
        let client = try gateway.client()
        #expect(client.get("/204")?.status == 204)
        let unchanged = client.get("/304")
        #expect(unchanged?.status == 304 && unchanged?.field("content-length") == "7")
        client.send("HEAD /head HTTP/1.1\r\nHost: wiki.test\r\n\r\n")
        #expect(client.receive(isHead: true)?.field("content-length") == "7")
        #expect(client.get("/empty")?.field("content-length") == "0")
        for _ in 0..<20 {
            let answer = client.get("/length")
            #expect(answer?.text == "hello" && answer?.field("content-length") == "5")
        }
        #expect(client.get("/chunks")?.field("transfer-encoding") == "chunked")
        #expect(origin.connectionCount == 1)
    }

    @Test func `interim answers go on, and an answer before the request's end ends the request`() throws {
        let origin = HTTP2Origin.serving { origin in
            while let id = origin.nextRequest() {
                origin.send(
                    HTTP2Origin.head(id, 103, [("link", "</a.css>; rel=preload")]),
                    HTTP2Origin.head(id, 413, [("content-length", "3")]),
                    HTTP2Client.data(id, Array("too".utf8), ends: true), HTTP2Client.reset(id, 0))
            }
        }
        let gateway = try Gateway([HTTP2Origin.route(origin.port)])
        for _ in 0..<2 {
            let client = try gateway.client()
            client.send("POST / HTTP/1.1\r\nHost: wiki.test\r\nContent-Length: 1000000\r\n\r\nbegin")
            #expect(client.receive()?.status == 103)
            let answer = client.receive()
            #expect(answer?.status == 413 && answer?.text == "too")
        }
        #expect(origin.connectionCount == 1)
    }

    @Test func `both directions of one request go on side by side`() throws {
        let origin = HTTP2Origin.serving { origin in
            guard let id = origin.nextRequest() else { return }
            origin.send(HTTP2Origin.head(id))
            var seen = 0
            while origin.requests[id]?.isEnded == false, origin.next() != nil {
                let body = origin.requests[id]?.body ?? []
                if body.count > seen { origin.send(HTTP2Client.data(id, Array(body[seen...]))) }
                seen = body.count
            }
            origin.send(HTTP2Client.headers(id, [("grpc-status", "0")]))
            origin.readToEnd()
        }
        let gateway = try Gateway([HTTP2Origin.route(origin.port)])
        let client = try HTTP2Client(gateway)
        client.send(HTTP2Client.headers(1, HTTP2Client.request("/talk", method: "POST"), ends: false))
        #expect(client.readUntil { $0.responses[1]?.status == 200 })
        for number in 1...20 {
            client.send(HTTP2Client.data(1, [UInt8(number)]))
            #expect(client.readUntil { $0.responses[1]?.body.count == number })
        }
        client.send(HTTP2Client.data(1, [], ends: true))
        let answer = client.receive(1)
        #expect(answer?.body == (1...20).map { UInt8($0) })
        #expect(answer?.trailers.map(\.0) == ["grpc-status"])
    }

    // MARK: Flow control

    private static let size = 24 << 20

    @Test func `a client that does not read stops its own stream, and no other`() throws {
        let sent = Mutex(0)
        let origin = HTTP2Origin.serving { origin in
            var big: UInt32?
            var answered: Set<UInt32> = []
            while origin.next() != nil {
                for (id, asked) in origin.requests where asked.isEnded && answered.insert(id).inserted {
                    if asked.field(":path") == "/big" {
                        origin.send(HTTP2Origin.head(id))
                        big = id
                    } else {
                        origin.answer(id, body: "small")
                    }
                }
                guard let id = big else { continue }
                let window = 65_535 + (origin.window[id] ?? 0)
                while sent.withLock({ $0 }) < Self.size, sent.withLock({ $0 }) + 16_384 <= window {
                    let now = sent.withLock { sent in
                        sent += 16_384
                        return sent
                    }
                    let isLast = now >= Self.size
                    origin.send(
                        HTTP2Client.data(id, [UInt8](repeating: 120, count: 16_384), ends: isLast))
                }
            }
        }
        let gateway = try Gateway([HTTP2Origin.route(origin.port)])
        let slow = try gateway.client()
        slow.send("GET /big HTTP/1.1\r\nHost: wiki.test\r\n\r\n")
        #expect(gateway.waitUntil { sent.withLock { $0 } > 65_536 ? true : nil } == true)
        let client = try gateway.client()
        for _ in 0..<50 { #expect(client.get("/small")?.text == "small") }
        #expect(sent.withLock { $0 } < Self.size)
        #expect(origin.connectionCount == 1)
        let answer = slow.receive()
        #expect(answer?.body.count == Self.size)
        #expect(answer?.isComplete == true)
    }

    @Test func `an upload waits for the upstream's window, and holds no more than a little of it`() throws {
        let finish = Finish()
        let received = Mutex(0)
        let origin = HTTP2Origin.serving { origin in
            origin.givesWindow = false
            guard let id = origin.nextRequest() else { return }
            _ = origin.readUntil { $0.requests[id]?.body.count == 65_535 }
            finish.wait()
            origin.send(
                HTTP2Frame.bytes(.windowUpdate, 0, 0, HTTP2Frame.big(8 << 20)),
                HTTP2Frame.bytes(.windowUpdate, 0, id, HTTP2Frame.big(8 << 20)))
            _ = origin.readUntil { $0.requests[id]?.isEnded == true }
            received.withLock { $0 = origin.requests[id]?.body.count ?? 0 }
            origin.answer(id)
            origin.readToEnd()
        }
        let gateway = try Gateway([HTTP2Origin.route(origin.port)])
        let client = try HTTP2Client(gateway)
        client.send(HTTP2Client.headers(1, HTTP2Client.request("/up", method: "POST"), ends: false))
        #expect(client.readUntil { $0.acknowledgedSettings > 0 })
        var sent = 0
        var (isOpened, held) = (false, 0)
        let size = 4 << 20
        while sent < size {
            // As much as the gateway gives.
            let most = 65_535 + min(client.window[1] ?? 0, client.window[0] ?? 0) - sent
            if most >= 16_384 {
                client.send(
                    HTTP2Client.data(1, [UInt8](repeating: 1, count: 16_384), ends: sent + 16_384 >= size))
                sent += 16_384
            } else {
                if !isOpened { held = sent }
                isOpened = true
                finish.signal()
                guard client.next() != nil else { break }
            }
        }
        #expect(held < 1 << 20)
        finish.signal()
        #expect(client.receive(1)?.status == 200)
        #expect(received.withLock { $0 } == size)
    }
}
