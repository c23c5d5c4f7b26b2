import Access
import Border
import CLinux
import ChildPrograms
import Foundation
import Testing

@testable import DataPlane

/// A program that speaks with a gateway; killed when it is no longer needed.
final class ForeignClient {
    private let program: ChildProgram
    private let authority: Authority

    /// The authority's certificate as a file.
    private final class Authority {
        let path = FileManager.default.temporaryDirectory.appending(
            path: "authority-\(UUID().uuidString).pem"
        ).path

        init() throws { try Data(TestCertificates.shared.authorityPEM).write(to: URL(filePath: path)) }

        deinit { try? FileManager.default.removeItem(atPath: path) }
    }

    static let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent()

    init(_ program: String, _ arguments: (_ authority: String) -> [String]) throws {
        authority = try Authority()
        self.program = try ChildProgram(program, arguments(authority.path), output: .kept, errors: .kept)
    }

    /// `scripts/lib/http-clients.py`, in the environment that scripts/bootstrap makes.
    static func python(_ what: String, _ gateway: Gateway, session: UInt8 = 1) throws -> ForeignClient {
        let named = ProcessInfo.processInfo.environment["GATEPOST_HTTP_CLIENTS"]
        let folder = named ?? root.appending(path: ".build/http-clients").path
        let cookie = Facts.cookie(session).dropFirst("Cookie: ".count).trimmingCharacters(in: .newlines)
        let script = root.appending(path: "scripts/lib/http-clients.py").path
        return try ForeignClient("\(folder)/bin/python") { authority in
            ["-B", script, what, "\(gateway.port)", authority, cookie]
        }
    }

    /// The next line.
    func line() -> String? { program.line() }

    /// All that it still says.
    func rest() -> String { program.outcome().text.trimmingCharacters(in: .newlines) }
}

@Suite("Clients that nobody here wrote: httpx, h2, websockets, curl, nghttp, h2load")
struct ForeignClientTests {
    /// `/echo`, `/count`, `/stream`, `/events`, and a WebSocket that repeats what it hears.
    private static func origin() -> TestOrigin {
        TestOrigin { connection in
            while let head = connection.readHead() {
                let folded = head.lowercased()
                if let key = folded.range(of: "sec-websocket-key: ") {
                    let at = folded.utf8.distance(from: folded.startIndex, to: key.upperBound)
                    let text = Array(head.utf8.dropFirst(at).prefix(24))
                    echoFrames(connection, WebSocketAccept.value(of: text.span))
                    return
                }
                if head.contains(" /count ") {
                    guard let count = countBody(folded, connection) else { return }
                    connection.answer("\(count)")
                } else if head.contains(" /stream ") {
                    connection.socket.write("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
                    for _ in 0..<16 {
                        connection.socket.write("10000\r\n")
                        connection.socket.write([UInt8](repeating: 121, count: 65_536))
                        connection.socket.write("\r\n")
                    }
                    connection.socket.write("0\r\n\r\n")
                } else if head.contains(" /events ") {
                    connection.socket.write(
                        "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: 1\n\n")
                    while connection.readSome() != nil {}
                    return
                } else if head.hasPrefix("HEAD") {
                    connection.socket.write("HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\n")
                } else {
                    connection.answer(head)
                }
            }
        }
    }

    private static func countBody(_ head: String, _ connection: OriginConnection) -> Int? {
        guard head.contains("transfer-encoding: chunked") else {
            guard let range = head.range(of: "content-length: ") else { return 0 }
            let count = Int(head[range.upperBound...].prefix { $0.isNumber }) ?? 0
            return count == 0 ? 0 : connection.read(count)?.count
        }
        var count = 0
        while let line = connection.readUntil("\r\n") {
            guard let size = Int(line.dropLast(1), radix: 16) else { return nil }
            guard connection.read(size + 2) != nil else { return nil }
            if size == 0 { return count }
            count += size
        }
        return nil
    }

    /// Short frames, unmasked on their way back (RFC 6455 §5.2).
    private static func echoFrames(_ connection: OriginConnection, _ accept: [UInt8]) {
        connection.socket.write(
            "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
                + "Sec-WebSocket-Accept: \(String(decoding: accept, as: UTF8.self))\r\n\r\n")
        while let start = connection.read(2) {
            let count = Int(start[1] & 0x7f)
            guard let mask = connection.read(4) else { return }
            let masked = count == 0 ? [] : connection.read(count) ?? []
            let bytes = masked.enumerated().map { $1 ^ mask[$0 % 4] }
            connection.socket.write([start[0], UInt8(count)] + bytes)
            if start[0] == 0x88 { return }
        }
    }

    private static func gateway(_ origin: TestOrigin, isOpen: Bool = false) throws -> Gateway {
        try Gateway(
            [isOpen ? Facts.open(origin.port) : Facts.closed(origin.port)], answer: RevocationTests.control)
    }

    @Test(arguments: ["requests1", "requests2", "websocket1", "websocket2", "invalid-fields"])
    func `Python's clients get what they ask for`(_ what: String) throws {
        let origin = Self.origin()
        let gateway = try Self.gateway(origin)
        let client = try ForeignClient.python(what, gateway)
        #expect(client.rest() == "ok")
    }

    @Test(arguments: ["cut1", "cut2"])
    func `whose device is lost sees its WebSocket closed with 1008 and the reason`(_ what: String) throws {
        let origin = Self.origin()
        let gateway = try Self.gateway(origin)
        let client = try ForeignClient.python(what, gateway)
        #expect(client.line() == "open")
        gateway.engine.revoke(RevocationTests.revocation(1, .endDevice("device-1")))
        #expect(client.line() == "closed 1008 session-ended")
        #expect(client.line() == "ok")
    }

    @Test(arguments: ["--http1.1", "--http2"])
    func `curl asks, sends and waits for 100`(_ version: String) throws {
        let origin = Self.origin()
        let gateway = try Self.gateway(origin, isOpen: true)
        let client = try ForeignClient("/usr/bin/curl") { authority in
            [
                "-sS", version, "--max-time", "20", "--cacert", authority, "--resolve",
                "wiki.test:\(gateway.port):127.0.0.1", "-H", "Expect: 100-continue", "-d",
                String(repeating: "z", count: 5_000), "-w", " %{http_version}",
                "https://wiki.test:\(gateway.port)/count",
            ]
        }
        #expect(client.rest() == "5000 \(version == "--http2" ? "2" : "1.1")")
    }

    @Test func `nghttp and h2load are served without an error`() throws {
        let origin = Self.origin()
        let gateway = try Self.gateway(origin, isOpen: true)
        let one = try ForeignClient("/usr/bin/nghttp") { _ in
            ["-H", ":authority: wiki.test", "https://127.0.0.1:\(gateway.port)/echo"]
        }
        #expect(one.rest().contains("GET /echo HTTP/1.1"))
        let many = try ForeignClient("/usr/bin/h2load") { _ in
            [
                "-n", "400", "-c", "4", "-m", "25", "--connect-to", "127.0.0.1:\(gateway.port)",
                "https://wiki.test:\(gateway.port)/echo",
            ]
        }
        let said = many.rest()
        #expect(said.contains("400 succeeded, 0 failed, 0 errored"), "\(said)")
        #expect(gateway.engine.metrics().sum("http2_streams") == 401)
    }
}
