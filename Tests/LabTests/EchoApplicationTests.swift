import JSON
import Signatures
import Testing

@testable import gatepost_lab

@Suite("The demo application")
struct EchoApplicationTests {
    let fixture: LabFixture
    init() throws { fixture = try LabFixture() }

    @Test("shows method, path and fields as JSON to whoever asks for it")
    func json() throws {
        let answer = try fixture.echo.send(
            "POST", "/a/b?c=d", fields: [("Accept", "application/json"), ("X-Test", "1")],
            body: Array("hello".utf8))
        let body = try JSONValue(parsing: answer.body)
        #expect(body["method"] == "POST")
        #expect(body["path"] == "/a/b")
        #expect(body["query"] == "c=d")
        #expect(body["bodyBytes"] == 5)
        #expect(body["fields"]?.array?.contains(["name": "x-test", "value": "1"]) == true)
    }

    @Test("shows a page to everybody else, with what came escaped")
    func page() throws {
        let answer = try fixture.echo.send("GET", "/", fields: [("X-Test", "<script>")])
        let text = String(decoding: answer.body, as: UTF8.self)
        #expect(text.contains("&lt;script&gt;"))
        #expect(!text.contains("<script>"))
    }

    @Test("sends as many bytes as the path names", arguments: [0, 1, 65535, 65536, 65537, 1_000_000])
    func bytes(_ count: Int) throws {
        #expect(try fixture.echo.send("GET", "/bytes/\(count)").body.count == count)
    }

    @Test("a download that is asked to take its time pauses before each piece, and is whole")
    func slowBytes() throws {
        let began = ContinuousClock.now
        #expect(try fixture.echo.send("GET", "/bytes/200000?pause=20").body.count == 200_000)
        #expect(ContinuousClock.now - began >= .milliseconds(80), "four pieces")
    }

    @Test("refuses byte counts that are none", arguments: ["-1", "x", "", "99999999999999999999"])
    func noBytes(_ text: String) throws {
        #expect(try fixture.echo.send("GET", "/bytes/\(text)").status == 400)
    }

    @Test("counts an upload of 3 MiB")
    func upload() throws {
        let answer = try fixture.echo.send("POST", "/upload", body: [UInt8](repeating: 7, count: 3 << 20))
        #expect(try JSONValue(parsing: answer.body)["bytes"]?.integer == 3 << 20)
    }

    @Test("SHA-1 gives the digests of FIPS 180, at each padding boundary")
    func sha1() {
        func hex(_ text: String) -> String {
            SHA1.digest(Array(text.utf8)).map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
        }
        #expect(hex("abc") == "a9993e364706816aba3e25717850c26c9cd0d89d")
        #expect(hex("") == "da39a3ee5e6b4b0d3255bfef95601890afd80709")
        #expect(
            hex("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq")
                == "84983e441c3bd26ebaae4aa1f95129e5e54670f1")
    }

    @Test("RFC 6455 1.3 the accept value of the specification's own example")
    func acceptValue() {
        #expect(WebSocketEcho.accept("dGhlIHNhbXBsZSBub25jZQ==") == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=")
    }

    @Test("a WebSocket sends back a masked text, answers a ping, and closes on an unmasked frame")
    func webSocket() throws {
        let upgrade = [
            ("Upgrade", "websocket"), ("Sec-WebSocket-Version", "13"),
            ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="), ("Connection", "Upgrade"),
        ]
        let masked: [UInt8] = [0x81, 0x82, 1, 2, 3, 4, UInt8(ascii: "h") ^ 1, UInt8(ascii: "i") ^ 2]
        let ping: [UInt8] = [0x89, 0x80, 0, 0, 0, 0]
        let answer = try fixture.echo.send(
            "GET", "/ws", fields: upgrade, trailing: masked + ping + [0x81, 0x01, 0x41])
        #expect(answer.status == 101)
        #expect(answer.body == [0x81, 2] + Array("hi".utf8) + [0x8a, 0, 0x88, 2, 0x03, 0xea])
    }

    @Test("a WebSocket path without a handshake is a 426")
    func noHandshake() throws { #expect(try fixture.echo.send("GET", "/ws").status == 426) }
}
