import Access
import Border
import Testing

@testable import DataPlane

@Suite("downloads: block, in both protocols")
struct DownloadLimitTests {
    struct Row: Sendable, CustomTestStringConvertible {
        let answer: String
        let method: String
        /// nil: refused.
        let status: Int?
        init(_ answer: String, _ status: Int?) {
            (self.answer, method, self.status) = (answer, "GET", status)
        }
        init(_ answer: String, head status: Int?) {
            (self.answer, method, self.status) = (answer, "HEAD", status)
        }
        var testDescription: String { "\(method) \(answer.prefix(120))" }
    }

    private static func ok(_ fields: String, _ body: String = "xyz", status: String = "200 OK") -> String {
        "HTTP/1.1 \(status)\r\n\(fields)Content-Length: \(body.utf8.count)\r\n\r\n\(body)"
    }

    static let rows: [Row] = [
        // Types that pages are not made of, dispositions that save.
        Row(ok("Content-Type: application/pdf\r\n"), nil), Row(ok("Content-Type: application/zip\r\n"), nil),
        Row(ok("Content-Type: video/mp4\r\n"), nil), Row(ok(""), nil),
        Row(ok("Content-Type: text/html\r\nContent-Disposition: attachment\r\n"), nil),
        Row(ok("Content-Type: text/html\r\ncontent-disposition: ATTACHMENT; filename=a\r\n"), nil),
        Row(ok("Content-Type: text/html\r\nContent-Disposition: form-data\r\n"), nil),
        Row(ok("Content-Type: application/pdf\r\n", status: "404 Not Found"), nil),
        Row(ok("Content-Type: application/pdf\r\n", status: "206 Partial Content"), nil),
        Row(ok("Content-Type: multipart/byteranges; boundary=b\r\n", status: "206 Partial Content"), nil),
        Row(
            "HTTP/1.1 200 OK\r\nContent-Type: application/zip\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nxyz\r\n0\r\n\r\n",
            nil),
        Row("HTTP/1.1 200 OK\r\nContent-Type: application/zip\r\n\r\nxyz", nil),
        Row("HTTP/1.0 200 OK\r\n\r\nxyz", nil),
        Row("HTTP/1.1 103 Early Hints\r\n\r\n" + ok("Content-Type: application/zip\r\n"), nil),
        // Lying types: of two, either may be heeded.
        Row(ok("Content-Type: text/html\r\nContent-Type: application/zip\r\n"), nil),
        Row(
            ok(
                "Content-Type: text/html\r\nContent-Disposition: inline\r\nContent-Disposition: attachment\r\n"
            ), nil),
        Row("HTTP/1.1 200 OK\r\nContent-Type: application/zip\r\nContent-Length: 3\r\n\r\n", head: nil),
        Row("HTTP/1.1 200 OK\r\nContent-Type: application/zip\r\n\r\n", head: nil),
        Row("HTTP/1.1 200 OK\r\nContent-Disposition: attachment\r\n\r\n", head: nil),
        // What is shown.
        Row(ok("Content-Type: text/html; charset=utf-8\r\n"), 200),
        Row(ok("Content-Type: IMAGE/PNG\r\n"), 200),
        Row(ok("Content-Type: application/json\r\n"), 200),
        Row(ok("Content-Type: text/html\r\nContent-Disposition: inline; filename=a.html\r\n"), 200),
        Row(ok("Content-Type: text/css\r\n", status: "206 Partial Content"), 206),
        Row(ok("Content-Type: application/zip\r\n", "", status: "200 OK"), 200),
        Row(ok("Location: /x\r\n", "", status: "302 Found"), 302),
        Row("HTTP/1.1 304 Not Modified\r\nContent-Type: application/zip\r\nETag: \"a\"\r\n\r\n", 304),
        Row("HTTP/1.1 204 No Content\r\nContent-Disposition: attachment\r\n\r\n", 204),
        Row("HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 3\r\n\r\n", head: 200),
        Row("HTTP/1.1 302 Found\r\nLocation: /x\r\n\r\n", head: 302),
        Row("HTTP/1.1 200 OK\r\nContent-Type: application/zip\r\nContent-Length: 0\r\n\r\n", head: 200),
    ]

    @Test(arguments: rows, ClientVersion.allCases)
    func `what a browser would save is not relayed, what it shows is`(_ row: Row, _ version: ClientVersion)
        throws
    {
        let origin = TestOrigin { connection in
            while connection.readHead() != nil {
                connection.socket.write(row.answer)
                if !row.answer.contains("Content-Length"), !row.answer.contains("chunked"),
                    row.method == "GET",
                    row.status == nil
                {
                    return
                }
            }
        }
        let gateway = try Gateway([Facts.open(origin.port, limits: [.blocksDownloads])])
        let client = try EitherClient(gateway, version)
        // The second one shows that nothing of the first answer was left anywhere.
        for _ in 0..<2 {
            client.send("\(row.method) /f HTTP/1.1\r\nHost: wiki.test\r\n\r\n")
            let response = try #require(client.receive(isHead: row.method == "HEAD"))
            #expect(response.status == row.status ?? 403)
            #expect(response.field("Gatepost-Reason") == (row.status == nil ? "restricted-download" : nil))
            #expect(response.isComplete)
            if row.status == nil, row.method == "GET" {
                #expect(response.text.hasPrefix("{\"reason\":\"restricted-download\""))
                #expect(!response.text.contains("xyz") && response.field("Content-Disposition") == nil)
            } else if response.status == 200, row.method == "GET", row.answer.hasSuffix("xyz") {
                #expect(response.text == "xyz")
            }
        }
    }

    @Test(arguments: [true, false], ClientVersion.allCases)
    func `a refused answer that is here whole leaves its connection in the pool, any other closes it`(
        _ isWhole: Bool, _ version: ClientVersion
    )
        throws
    {
        let origin = TestOrigin { connection in
            while let head = connection.readHead() {
                guard head.hasPrefix("GET /zip") else {
                    connection.answer("page of \(connection.number)", fields: "Content-Type: text/html\r\n")
                    continue
                }
                let start = "HTTP/1.1 200 OK\r\nContent-Type: application/zip\r\nContent-Length: "
                connection.socket.write(isWhole ? start + "3\r\n\r\nxyz" : start + "1000\r\n\r\nxyz")
            }
        }
        let gateway = try Gateway([Facts.open(origin.port, limits: [.blocksDownloads])])
        let client = try EitherClient(gateway, version)
        #expect(client.get("/zip")?.status == 403)
        #expect(client.get("/page")?.text == "page of \(isWhole ? 0 : 1)")
        #expect(gateway.engine.metrics().sum("upstream_connects") == (isWhole ? 1 : 2))
    }

    @Test(arguments: ClientVersion.allCases)
    func `requests behind a refused download are answered as if alone, in order where there is one`(
        _ version: ClientVersion
    ) throws {
        let origin = TestOrigin { connection in
            while let head = connection.readHead() {
                let type = head.hasPrefix("GET /zip") ? "application/zip" : "text/plain"
                connection.answer(String(head.prefix(8)), fields: "Content-Type: \(type)\r\n")
            }
        }
        let gateway = try Gateway([Facts.open(origin.port, limits: [.blocksDownloads])])
        let client = try EitherClient(gateway, version)
        client.send(
            ["/zip", "/a", "/zip", "/zip", "/b"].map { "GET \($0) HTTP/1.1\r\nHost: wiki.test\r\n\r\n" }
                .joined())
        let answers = (0..<5).map { _ in client.receive() }
        #expect(answers.map { $0?.status ?? 0 } == [403, 200, 403, 403, 200])
        #expect(answers[1]?.text == "GET /a H" && answers[4]?.text == "GET /b H")
        // Streams go upstream side by side.
        if version == .http1 { #expect(origin.connectionCount == 1) }
    }

    @Test(arguments: ClientVersion.allCases)
    func `an answer that has more behind it is never taken for the next request's`(_ version: ClientVersion)
        throws
    {
        let origin = TestOrigin { connection in
            while connection.readHead() != nil {
                connection.socket.write(
                    Self.ok("Content-Type: application/zip\r\n")
                        + Self.ok("Content-Type: text/html\r\n", "evil"))
            }
        }
        let gateway = try Gateway([Facts.open(origin.port, limits: [.blocksDownloads])])
        let client = try EitherClient(gateway, version)
        for _ in 0..<3 { #expect(client.get("/zip")?.status == 403) }
        #expect(gateway.engine.metrics().sum("upstream_connects") == 3)
    }

    @Test(arguments: ClientVersion.allCases)
    func `a person gets the page that says why, a program JSON; what was posted is not posted again`(
        _ version: ClientVersion
    )
        throws
    {
        let heads = TestOrigin { connection in
            while let head = connection.readHead() {
                if head.lowercased().contains("content-length: 2") { _ = connection.read(2) }
                connection.answer("xyz", fields: "Content-Type: application/zip\r\n")
            }
        }
        let gateway = try Gateway(
            [Facts.open(heads.port, limits: [.blocksDownloads])], answer: SessionTests.control)
        let client = try EitherClient(gateway, version)
        let page = try #require(client.get("/a", fields: "Sec-Fetch-Mode: navigate\r\n"))
        #expect(page.text == "refused(Access.Reason.restrictedDownload) /a 0")
        #expect(
            client.get("/a", fields: "Sec-Fetch-Mode: cors\r\nOrigin: https://wiki.test:8443\r\n")?.status
                == 403)
        for request in [
            "POST /a HTTP/1.1\r\nHost: wiki.test\r\nContent-Length: 2\r\n\r\nhi",
            "POST /a HTTP/1.1\r\nHost: wiki.test\r\nSec-Fetch-Mode: navigate\r\n\r\n",
        ] {
            client.send(request)
            #expect(client.receive()?.field("Gatepost-Reason") == "restricted-download")
        }
        // Once for each request.
        let metrics = gateway.engine.metrics()
        #expect(metrics.sum("upstream_connects") + metrics.sum("upstream_reuses") == 4)
        #expect(client.get("/a")?.status == 403)
    }

    @Test(arguments: ClientVersion.allCases)
    func `events go on, and a type that lies is shown as what it says`(_ version: ClientVersion) throws {
        let origin = TestOrigin { connection in
            while let head = connection.readHead() {
                guard head.hasPrefix("GET /events") else {
                    connection.answer(
                        "PK\u{3}\u{4}", fields: "Content-Type: text/plain\r\nx-content-type-options: off\r\n")
                    continue
                }
                connection.socket.write(
                    "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: 1\n\n")
                return
            }
        }
        let gateway = try Gateway([Facts.open(origin.port, limits: [.blocksDownloads])])
        let client = try EitherClient(gateway, version)
        let text = try #require(client.get("/text"))
        #expect(text.field("X-Content-Type-Options") == "nosniff")
        #expect(!text.head.lowercased().contains(": off"))
        let events = try #require(client.get("/events"))
        #expect(events.status == 200 && events.text == "data: 1\n\n" && events.isComplete)
    }
}
