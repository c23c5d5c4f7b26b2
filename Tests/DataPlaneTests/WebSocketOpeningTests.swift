import Border
import Testing

@testable import DataPlane

@Suite("A WebSocket is opened by a real 101 alone (RFC 6455)")
struct WebSocketOpeningTests {
    private static let accept = "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"
    private static let upgrade = "Connection: Upgrade\r\nUpgrade: websocket\r\n"

    static let refused: [(String, String)] = [
        ("§4.1-4 no Accept", upgrade), ("§4.1-4 an empty one", upgrade + "Sec-WebSocket-Accept:\r\n"),
        ("§4.1-4 of another key", upgrade + "Sec-WebSocket-Accept: HSmrc0sMlYUkAGmm5OPpG2HaGWk=\r\n"),
        ("§4.1-4 the key itself", upgrade + "Sec-WebSocket-Accept: dGhlIHNhbXBsZSBub25jZQ==\r\n"),
        ("§4.1-4 in another case", upgrade + "Sec-WebSocket-Accept: S3PPLMBITXAQ9KYGZZHZRBK+XOO=\r\n"),
        ("§4.1-4 one byte short", upgrade + "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo\r\n"),
        ("§4.1-4 twice", upgrade + accept + accept),
        ("§4.1-2 no Upgrade", "Connection: Upgrade\r\n" + accept),
        ("§4.1-2 to something else", "Connection: Upgrade\r\nUpgrade: h2c\r\n" + accept),
        ("§4.1-2 to two things", "Connection: Upgrade\r\nUpgrade: websocket, h2c\r\n" + accept),
        ("§4.1-3 no Connection", "Upgrade: websocket\r\n" + accept),
        ("§4.1-3 another Connection", "Connection: keep-alive\r\nUpgrade: websocket\r\n" + accept),
    ]

    @Test(arguments: refused)
    func `anything else is 502, the connection is closed, and no byte passes`(_ row: (String, String)) throws
    {
        for bytewise in [false, true] {
            let ended = Finish()
            let origin = TestOrigin { connection in
                guard connection.readHead() != nil else { return }
                let answer = "HTTP/1.1 101 Switching Protocols\r\n\(row.1)\r\nsecret"
                if bytewise {
                    for byte in answer.utf8 { connection.socket.write([byte]) }
                } else {
                    connection.socket.write(answer)
                }
                while connection.readSome() != nil {}
                ended.signal()
            }
            let gateway = try Gateway([Facts.closed(origin.port)], answer: RevocationTests.control)
            let client = try gateway.client()
            client.send(RevocationTests.webSocket(1))
            let response = try #require(client.receive(), "\(row.0)")
            #expect(response.status == 502 && response.field("Gatepost-Reason") == "upstream-malformed")
            #expect(!response.text.contains("secret"))
            ended.wait()
            #expect(gateway.engine.metrics().sum("tunnels") == 0)
        }
    }

    static let keys = [
        "", "Sec-WebSocket-Key: \r\n", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=\r\n",
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=\u{3d}x\r\n",
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZ!==\r\n",
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n",
    ]

    @Test(arguments: keys)
    func `§4.2.1-5 a request without one key of 16 bytes goes nowhere`(_ key: String) throws {
        let origin = RevocationTests.origin()
        let gateway = try Gateway([Facts.open(origin.port)])
        let response = try gateway.client().get(
            "/ws", fields: "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n" + key)
        #expect(response?.status == 400 && origin.connectionCount == 0)
    }

    @Test func `§4.1 an application that refuses the upgrade is heard`() throws {
        let origin = TestOrigin { connection in
            while connection.readHead() != nil { connection.answer("no", status: "403 Forbidden") }
        }
        let gateway = try Gateway([Facts.closed(origin.port)], answer: RevocationTests.control)
        let client = try gateway.client()
        client.send(RevocationTests.webSocket(1))
        #expect(client.receive()?.status == 403)
    }

    @Test func `§1.3 the answer to the key of the RFC's example`() {
        let key = Array("dGhlIHNhbXBsZSBub25jZQ==".utf8)
        #expect(WebSocketAccept.value(of: key.span) == Array("s3pPLMBiTxaQ9kYGzzhZRbK+xOo=".utf8))
    }
}
