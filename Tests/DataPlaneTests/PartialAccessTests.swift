import Access
import Border
import Foundation
import Testing

@testable import DataPlane

@Suite("Partial access in both protocols: what a session may do, and what ends when its limits change")
struct PartialAccessTests {
    private static let quarantine: [AccessLimit] = [
        .blocksUploads, .blocksDownloads, .upstreamField(name: "X-Access", value: "partial"),
        .responseField(name: "X-Robots-Tag", value: "none"), .banner("Partial."),
    ]

    /// `/file` streams without end, `/events` and WebSockets as elsewhere; everything else is a page with its
    /// own head.
    private static func origin() -> TestOrigin {
        TestOrigin { connection in
            while let head = connection.readHead() {
                if head.contains(" /file") || head.contains(" /events") {
                    let type = head.contains(" /file") ? "application/zip" : "text/event-stream"
                    connection.socket.write("HTTP/1.1 200 OK\r\nContent-Type: \(type)\r\n\r\nsome")
                    while connection.readSome() != nil {}
                    return
                }
                if let switching = HTTP2StreamTests.switching(head) {
                    connection.socket.write(switching)
                    while let bytes = connection.socket.read() { connection.socket.write(bytes) }
                    return
                }
                if head.lowercased().contains("content-length: 4\r\n") { _ = connection.read(4) }
                connection.answer("<body>" + head, fields: "Content-Type: text/html\r\n")
            }
        }
    }

    /// Session 1 has full access, 2 is in quarantine, 3 may nothing; 4 is the one that the device of session
    /// 2 has at the other application, which does not ask for so much.
    private static let control: Gateway.Answer = { message, gateway in
        guard case .pullSession(let ticket, let digest, let application) = message else { return }
        for number in UInt8(1)...4 where digest == Facts.digest(number) {
            let record =
                number == 3
                ? Facts.record(3, allowed: false)
                : Facts.record(number, application: application, limits: number == 2 ? quarantine : [])
            return gateway.send(.session(ticket, record))
        }
        gateway.send(.session(ticket, nil))
    }

    private static func gateway(_ origin: TestOrigin) throws -> Gateway {
        var wiki = Facts.closed(origin.port)
        wiki.identityFieldNames = ["X-Access"]
        let hr = Facts.closed(origin.port, host: "hr.test", name: "hr")
        return try Gateway([wiki, hr], answer: control)
    }

    /// What one session gets: status of a page, an upload, a download and a WebSocket.
    private static func outcome(
        _ gateway: Gateway, _ number: UInt8, host: String = "wiki.test", _ version: ClientVersion
    ) throws -> [Int] {
        let client = try EitherClient(gateway, version)
        let page = client.get(host: host, fields: Facts.cookie(number))?.status ?? 0
        client.send(
            "POST /up HTTP/1.1\r\nHost: \(host)\r\nContent-Length: 4\r\n\(Facts.cookie(number))\r\nfile")
        let upload = client.receive()?.status ?? 0
        let second = try EitherClient(gateway, version)
        second.send("GET /file HTTP/1.1\r\nHost: \(host)\r\n\(Facts.cookie(number))\r\n")
        let download = second.receiveHead()?.status ?? 0
        let third = try EitherClient(gateway, version)
        third.send(
            RevocationTests.webSocket(number, origin: "https://\(host):8443")
                .replacing("Host: wiki.test", with: "Host: \(host)"))
        return [page, upload, download, third.receive()?.status ?? 0]
    }

    @Test(
        "003.14 a compliant device gets everything, one that is not gets the restricted set",
        arguments: ClientVersion.allCases)
    func row003_14(_ version: ClientVersion) throws {
        let origin = Self.origin()
        let gateway = try Self.gateway(origin)
        #expect(try Self.outcome(gateway, 1, version) == [200, 200, 200, version.opened])
        #expect(try Self.outcome(gateway, 2, version) == [200, 403, 403, 403])
        let client = try EitherClient(gateway, version)
        let navigation = "Sec-Fetch-Mode: navigate\r\n"
        let full = try #require(client.get(fields: navigation + Facts.cookie(1)))
        #expect(!full.text.contains("gatepost-banner") && !full.text.contains("X-Access"))
        #expect(full.field("X-Robots-Tag") == nil)
        let part = try #require(client.get(fields: navigation + Facts.cookie(2)))
        #expect(part.text.contains(">Partial.</div>GET /") && part.text.contains("X-Access: partial\r\n"))
        #expect(part.field("X-Robots-Tag") == "none")
        // And nothing of it stays for whoever is next on the same connection.
        let again = try #require(client.get(fields: navigation + Facts.cookie(1)))
        #expect(!again.text.contains("gatepost-banner") && again.field("X-Robots-Tag") == nil)
    }

    @Test(
        "000.4 full access, partial access and none are three different things",
        arguments: ClientVersion.allCases)
    func row000_4(_ version: ClientVersion) throws {
        let gateway = try Self.gateway(Self.origin())
        #expect(try Self.outcome(gateway, 3, version) == [403, 403, 403, 403])
        let origin = Self.origin()
        let other = try Self.gateway(origin)
        #expect(try Self.outcome(other, 1, version) != Self.outcome(other, 2, version))
    }

    @Test(
        "001.13 an unmanaged device gets less, application by application", arguments: ClientVersion.allCases)
    func row001_13(_ version: ClientVersion) throws {
        let origin = Self.origin()
        let gateway = try Self.gateway(origin)
        #expect(try Self.outcome(gateway, 2, version) == [200, 403, 403, 403])
        #expect(try Self.outcome(gateway, 4, host: "hr.test", version) == [200, 200, 200, version.opened])
    }

    // MARK: What is open

    struct Row: Sendable {
        let path: String
        let before: [AccessLimit]
        let after: [AccessLimit]
        let ends: Bool
        init(_ path: String, _ after: [AccessLimit], before: [AccessLimit] = [], ends: Bool) {
            (self.path, self.before, self.after, self.ends) = (path, before, after, ends)
        }
    }

    private static let partial = AccessLimit.upstreamField(name: "X-Access", value: "partial")
    static let rows: [Row] = [
        Row("/file", [.blocksDownloads], ends: true),
        Row("/file", [.banner("b"), .blocksDownloads], before: [.banner("b")], ends: true),
        Row("/file", [.blocksUploads], ends: false), Row("/file", [.banner("b")], ends: false),
        Row("/file", [.responseField(name: "A", value: "b")], ends: false), Row("/file", [], ends: false),
        Row("/file", [partial], ends: true),
        Row("/file", [partial, .banner("b")], before: [partial], ends: false),
        Row("/file", [], before: [partial], ends: false),
        Row("/events", [.blocksDownloads], ends: false), Row("/events", [.blocksUploads], ends: false),
        Row("/events", [.blocksDownloads, .blocksUploads], before: [.blocksDownloads], ends: false),
        Row("/events", [partial], ends: true),
        Row("/events", [.upstreamField(name: "X-Access", value: "none")], before: [partial], ends: true),
        Row("/ws", [.blocksDownloads], ends: true), Row("/ws", [.blocksUploads], ends: true),
        Row("/ws", [.banner("b")], ends: false), Row("/ws", [partial], ends: true),
    ]

    @Test(arguments: rows, ClientVersion.allCases)
    func `what is open ends when it could no longer be opened, and only then`(
        _ row: Row, _ version: ClientVersion
    ) throws {
        let origin = Self.origin()
        var route = Facts.closed(origin.port)
        route.identityFieldNames = ["X-Access"]
        let gateway = try Gateway([route], accessLog: true) { message, gateway in
            guard case .pullSession(let ticket, _, _) = message else { return }
            gateway.send(.session(ticket, Facts.record(1, limits: row.before)))
        }
        let client = try EitherClient(gateway, version)
        if row.path == "/ws" {
            client.send(RevocationTests.webSocket(1))
            #expect(client.receive()?.status == version.opened)
        } else {
            client.send("GET \(row.path) HTTP/1.1\r\nHost: wiki.test\r\n\(Facts.cookie(1))\r\n")
            #expect(client.receiveHead()?.status == 200)
            #expect(client.sees("some"))
        }
        gateway.engine.revoke(
            RevocationTests.revocation(1, .replace(Facts.record(1, sequence: 1, limits: row.after))))
        #expect(gateway.waitFor { if case .cut = $0 { true } else { false } } != nil)
        guard row.ends else {
            #expect(gateway.engine.metrics().sum("streams_cut") == 0)
            #expect(gateway.engine.metrics().sum("streams_drained") == 0)
            if row.path == "/ws" { #expect(client.echoes()) }
            return
        }
        let last = client.readToEnd()
        #expect(last != nil, "it went on")
        let reason =
            row.after.contains(.blocksUploads) && row.path == "/ws"
            ? "restricted-upload"
            : row.after.contains(.blocksDownloads) ? "restricted-download" : "session-ended"
        if row.path == "/ws" { #expect(last == WebSocketCloseFrame.of(reason)) }
        #expect(gateway.logLine()?.contains("\"reason\":\"\(reason)\"") == true)
        // The stream alone is over: what the new limits allow is served on the same connection.
        if version == .http2 { #expect(client.get("/page", fields: Facts.cookie(1))?.status == 200) }
    }

    @Test(arguments: ClientVersion.allCases)
    func `an answer that has not begun is judged by the new limits`(_ version: ClientVersion) throws {
        let arrived = Finish()
        let finish = Finish()
        let origin = TestOrigin { connection in
            while connection.readHead() != nil {
                arrived.signal()
                finish.wait()
                connection.answer("abc", fields: "Content-Type: application/zip\r\nX-Robots-Tag: all\r\n")
            }
        }
        let gateway = try Self.gateway(origin)
        let client = try EitherClient(gateway, version)
        client.send("GET /a HTTP/1.1\r\nHost: wiki.test\r\n\(Facts.cookie(1))\r\n")
        arrived.wait()
        gateway.engine.revoke(
            RevocationTests.revocation(1, .replace(Facts.record(1, sequence: 1, limits: [.blocksDownloads]))))
        #expect(gateway.waitFor { if case .cut = $0 { true } else { false } } != nil)
        finish.signal()
        #expect(client.receive()?.field("Gatepost-Reason") == "restricted-download")
        // And back: the next record lets it through again.
        gateway.engine.revoke(RevocationTests.revocation(2, .replace(Facts.record(1, sequence: 2))))
        #expect(gateway.waitForCounter("revocations", atLeast: 2))
        #expect(client.get("/a", fields: Facts.cookie(1))?.text == "abc")
    }

    @Test(arguments: ClientVersion.allCases)
    func `an upload in progress ends with the permission to upload`(_ version: ClientVersion) throws {
        let origin = TestOrigin { connection in
            _ = connection.readHead()
            while connection.readSome() != nil {}
        }
        let gateway = try Self.gateway(origin)
        let client = try EitherClient(gateway, version)
        client.send(
            "POST /a HTTP/1.1\r\nHost: wiki.test\r\nContent-Length: 9999\r\n\(Facts.cookie(1))\r\nbegin")
        #expect(gateway.waitForCounter("bytes_upstream", atLeast: 5))
        gateway.engine.revoke(
            RevocationTests.revocation(1, .replace(Facts.record(1, sequence: 1, limits: [.blocksUploads]))))
        #expect(client.receive() == nil)
        #expect(gateway.engine.metrics().sum("streams_drained") == 1)
    }

    @Test(arguments: ClientVersion.allCases)
    func `a public path's new limits hold for what nobody is signed in for`(_ version: ClientVersion) throws {
        let origin = Self.origin()
        let gateway = try Gateway([Facts.open(origin.port)])
        let client = try EitherClient(gateway, version)
        client.send("GET /file HTTP/1.1\r\nHost: wiki.test\r\n\r\n")
        #expect(client.receiveHead()?.status == 200)
        let snapshot = Gateway.snapshot([Facts.open(origin.port, limits: [.blocksDownloads])], revision: 2)
        #expect(try gateway.engine.broadcast(configuration: snapshot))
        #expect(client.readToEnd() != nil, "it went on")
        #expect(try EitherClient(gateway, version).get("/file")?.status == 403)
    }
}

/// What a browser is told when its WebSocket is cut (RFC 6455 §5.5.1).
private enum WebSocketCloseFrame {
    static func of(_ reason: String) -> [UInt8] {
        [0x88, UInt8(2 + reason.utf8.count), 0x03, 0xf0] + Array(reason.utf8)
    }
}
