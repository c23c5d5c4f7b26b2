import Access
import Border
import Foundation
import Testing

@testable import DataPlane

@Suite("uploads: block, in both protocols")
struct UploadLimitTests {
    struct Row: Sendable, CustomTestStringConvertible {
        let request: String
        let isRefused: Bool
        init(_ request: String, refused: Bool) { (self.request, isRefused) = (request, refused) }
        var testDescription: String { String(request.prefix(90)) }
    }

    private static func post(_ fields: String, _ body: String = "", method: String = "POST") -> String {
        "\(method) /f HTTP/1.1\r\nHost: wiki.test\r\n\(fields)\r\n\(body)"
    }

    private static func sized(_ bytes: Int, _ type: String) -> String {
        post("Content-Type: \(type)\r\nContent-Length: \(bytes)\r\n", String(repeating: "x", count: bytes))
    }

    static let rows: [Row] = [
        Row(
            post("Content-Type: multipart/form-data; boundary=b\r\nContent-Length: 3\r\n", "abc"),
            refused: true),
        Row(post("Content-Type: application/octet-stream\r\nContent-Length: 3\r\n", "abc"), refused: true),
        Row(post("Content-Length: 3\r\n", "abc"), refused: true),
        Row(post("Content-Type: image/png\r\nContent-Length: 1\r\n", "a", method: "PUT"), refused: true),
        Row(post("Content-Type: image/png\r\nContent-Length: 1\r\n", "a", method: "PATCH"), refused: true),
        Row(post("Content-Type: image/png\r\nContent-Length: 1\r\n", "a", method: "GET"), refused: true),
        Row(post("Content-Type: image/png\r\nContent-Length: 1\r\n", "a", method: "LOCK"), refused: true),
        // How long it will be is not said, so it may be anything.
        Row(
            post("Content-Type: text/plain\r\nTransfer-Encoding: chunked\r\n", "1\r\na\r\n0\r\n\r\n"),
            refused: true),
        Row(
            post("Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n"),
            refused: true),
        // Of two types either may be the one that is read; a coding hides the size.
        Row(
            post("Content-Type: text/plain\r\nContent-Type: image/png\r\nContent-Length: 1\r\n", "a"),
            refused: true),
        Row(
            post("Content-Type: application/json\r\nContent-Encoding: gzip\r\nContent-Length: 1\r\n", "a"),
            refused: true),
        Row(sized(65_537, "application/json"), refused: true),
        Row(sized(65_536, "application/json"), refused: false),
        Row(sized(10, "application/x-www-form-urlencoded"), refused: false),
        Row(sized(10, "TEXT/PLAIN; charset=utf-8"), refused: false),
        Row(post("Content-Type: image/png\r\nContent-Length: 0\r\n"), refused: false),
        Row("GET /f HTTP/1.1\r\nHost: wiki.test\r\n\r\n", refused: false),
        Row("DELETE /f HTTP/1.1\r\nHost: wiki.test\r\n\r\n", refused: false),
    ]

    static func origin() -> TestOrigin {
        TestOrigin { connection in
            while let head = connection.readHead() {
                let length = head.lowercased().split(separator: "\r\n").first {
                    $0.hasPrefix("content-length: ")
                }
                _ = connection.read(length.flatMap { Int($0.dropFirst(16)) } ?? 0)
                connection.answer("taken")
            }
        }
    }

    @Test(arguments: rows, ClientVersion.allCases)
    func `a request that carries a file is refused before a byte goes upstream, messages go on`(
        _ row: Row, _ version: ClientVersion
    ) throws {
        let origin = Self.origin()
        let gateway = try Gateway([Facts.open(origin.port, limits: [.blocksUploads])])
        let client = try EitherClient(gateway, version)
        client.send(row.request)
        let response = try #require(client.receive())
        #expect(response.status == (row.isRefused ? 403 : 200))
        #expect(response.field("Gatepost-Reason") == (row.isRefused ? "restricted-upload" : nil))
        if row.isRefused { #expect(response.text.contains("\"reason\":\"restricted-upload\"")) }
        #expect(origin.connectionCount == (row.isRefused ? 0 : 1))
    }

    @Test(arguments: ClientVersion.allCases)
    func `who waits for 100 is refused without being asked for the body`(_ version: ClientVersion) throws {
        let origin = Self.origin()
        let gateway = try Gateway([Facts.open(origin.port, limits: [.blocksUploads])])
        let client = try EitherClient(gateway, version)
        client.send(Self.post("Content-Type: image/png\r\nContent-Length: 9\r\nExpect: 100-continue\r\n"))
        #expect(client.receive()?.status == 403)
        Self.expectEnd(client, version)
        #expect(origin.connectionCount == 0)
    }

    /// What was not read of a body is never taken for a request: over HTTP/1.1 the connection ends with it,
    /// over HTTP/2 its stream alone.
    private static func expectEnd(_ client: EitherClient, _ version: ClientVersion) {
        switch version {
        case .http1: #expect(client.receive() == nil)
        case .http2:
            client.send(sized(1, "image/png"))
            #expect(client.receive()?.status == 403)
        }
    }

    @Test(arguments: ClientVersion.allCases)
    func `a refusal whose body was read leaves the connection, one whose body was not ends it`(
        _ version: ClientVersion
    ) throws {
        let origin = Self.origin()
        let gateway = try Gateway([Facts.open(origin.port, limits: [.blocksUploads])])
        let client = try EitherClient(gateway, version)
        client.send(
            Self.post(
                "Content-Type: image/png\r\nContent-Length: 48\r\n",
                "GET /smuggled HTTP/1.1\r\nHost: wiki.test\r\n\r\n")
        )
        #expect(client.receive()?.status == 403)
        Self.expectEnd(client, version)
        #expect(origin.connectionCount == 0)
    }

    @Test(
        arguments: [
            ([.blocksUploads], "restricted-upload"), ([.blocksDownloads], "restricted-download"),
            ([.blocksDownloads, .blocksUploads], "restricted-upload"), ([.banner("b")], nil),
        ] as [([AccessLimit], String?)], ClientVersion.allCases)
    func `a WebSocket is a way for files in both directions`(
        _ row: ([AccessLimit], String?), _ version: ClientVersion
    ) throws {
        let (limits, reason) = row
        let origin = HTTP2StreamTests.origin()
        let gateway = try Gateway([Facts.open(origin.port, limits: limits)])
        let client = try EitherClient(gateway, version)
        client.send(RevocationTests.webSocket(1).replacing(Facts.cookie(1), with: ""))
        let response = try #require(client.receive())
        #expect(response.status == (reason == nil ? version.opened : 403))
        #expect(response.field("Gatepost-Reason") == reason)
        #expect(origin.connectionCount == (reason == nil ? 1 : 0))
    }

    @Test(arguments: ClientVersion.allCases)
    func `the log line says why`(_ version: ClientVersion) throws {
        let gateway = try Gateway([Facts.open(1, limits: [.blocksUploads])], accessLog: true)
        let client = try EitherClient(gateway, version)
        client.send(Self.sized(1, "image/png"))
        #expect(client.receive()?.status == 403)
        #expect(gateway.logLine()?.contains("\"status\":403,\"reason\":\"restricted-upload\"") == true)
    }
}
