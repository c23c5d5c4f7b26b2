import Testing

@testable import Fetch

private func failure(_ fetcher: CurlFetcher, _ request: FetchRequest) async -> FetchError.Kind? {
    do throws(FetchError) {
        _ = try await fetcher.fetch(request)
        return nil
    } catch {
        return error.kind
    }
}

private func ok(_ body: String, _ fields: String = "") -> String {
    "HTTP/1.1 200 OK\r\nContent-Length: \(body.utf8.count)\r\nConnection: close\r\n\(fields)\r\n\(body)"
}

@Suite("Fetching over plain HTTP from loopback")
struct FetcherTests {
    let fetcher = CurlFetcher()

    private func request(_ server: LoopbackServer, bodyBytesMax: Int = 1000) -> FetchRequest {
        FetchRequest(
            url: server.url, timeoutMilliseconds: 5_000, bodyBytesMax: bodyBytesMax, allowsPlainHTTP: true)
    }

    @Test func `an answer arrives with status, lower-cased fields and content`() async throws {
        let server = LoopbackServer(.answer(ok("hello", "X-Name:  a value \r\nX-Name: b\r\n")))
        let response = try await fetcher.fetch(request(server))
        #expect(response.status == 200)
        #expect(response.body == Array("hello".utf8))
        #expect(response.field("X-NAME") == "a value")
        #expect(response.fields.filter { $0.name == "x-name" }.count == 2)
    }

    @Test func `method, fields and content are sent as given, and nothing is invented`() async throws {
        let server = LoopbackServer(.answer(ok("")))
        var post = request(server)
        post.method = "POST"
        post.fields = [("Content-Type", "application/x-www-form-urlencoded"), ("X-Empty", "")]
        post.body = Array("a=1&b=2".utf8)
        _ = try await fetcher.fetch(post)
        let seen = try #require(server.requests.first)
        #expect(seen.hasPrefix("POST / HTTP/1.1\r\n"))
        #expect(seen.hasSuffix("\r\n\r\na=1&b=2"))
        #expect(seen.contains("X-Empty:\r\n"))
        #expect(!seen.lowercased().contains("expect:"))
        #expect(!seen.lowercased().contains("accept-encoding:"))
        #expect(!seen.lowercased().contains("cookie:"))
    }

    @Test(arguments: ["PUT", "PATCH", "DELETE", "POST", "HEAD", "GET"])
    func `a method without content is sent as it is named`(_ method: String) async throws {
        let server = LoopbackServer(.answer("HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n"))
        var bare = request(server)
        bare.method = method
        #expect(try await fetcher.fetch(bare).status == 204)
        #expect(server.requests.first?.hasPrefix("\(method) / ") == true)
    }

    @Test(arguments: [301, 302, 303, 307, 308])
    func `a redirect is an answer and is not followed`(_ status: Int) async throws {
        let target = LoopbackServer(.answer(ok("followed")))
        let server = LoopbackServer(
            .answer(
                "HTTP/1.1 \(status) Moved\r\nLocation: \(target.url)\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
            ))
        let response = try await fetcher.fetch(request(server))
        #expect(response.status == status)
        #expect(response.field("location") == target.url)
        #expect(target.requests.isEmpty)
    }

    @Test func `cookies that a server sets are not sent back`() async throws {
        let server = LoopbackServer(.answer(ok("", "Set-Cookie: a=b\r\n")))
        _ = try await fetcher.fetch(request(server))
        _ = try await fetcher.fetch(request(server))
        #expect(server.requests.count == 2)
        #expect(!server.requests.joined().lowercased().contains("cookie:"))
    }

    @Test func `content exactly at the bound is taken, one byte more is refused`() async throws {
        let exact = LoopbackServer(.answer(ok(String(repeating: "x", count: 1000))))
        #expect(try await fetcher.fetch(request(exact)).body.count == 1000)
        let declared = LoopbackServer(.answer(ok(String(repeating: "x", count: 1001))))
        #expect(await failure(fetcher, request(declared)) == .tooLarge)
        let chunked = LoopbackServer(
            .answer(
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3e9\r\n\(String(repeating: "x", count: 1001))\r\n0\r\n\r\n"
            ))
        #expect(await failure(fetcher, request(chunked)) == .tooLarge)
    }

    @Test func `content without end is cut at the bound and not at the timeout`() async {
        let server = LoopbackServer(.endless)
        #expect(await failure(fetcher, request(server)) == .tooLarge)
    }

    @Test func `a head without measure is refused`() async {
        let line = "X-Many: \(String(repeating: "y", count: 990))\r\n"
        let server = LoopbackServer(.answer(ok("", String(repeating: line, count: 70))))
        #expect(await failure(fetcher, request(server)) == .tooLarge)
    }

    @Test func `fields of an interim answer and of the trailer section are not the answer's`() async throws {
        let server = LoopbackServer(
            .answer(
                "HTTP/1.1 103 Early Hints\r\nX-Early: 1\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
                    + "2\r\nok\r\n0\r\nX-Late: 1\r\n\r\n"))
        let response = try await fetcher.fetch(request(server))
        #expect(response.field("x-early") == nil)
        #expect(response.field("x-late") == nil)
        #expect(response.body == Array("ok".utf8))
    }

    @Test func `an answer that has not begun by its deadline is given up, one that has begun is waited for`()
        async throws
    {
        let silent = LoopbackServer(.silence)
        var request = request(silent)
        request.firstByteTimeoutMilliseconds = 150
        do throws(FetchError) {
            _ = try await fetcher.fetch(request)
            Issue.record("answered")
        } catch {
            #expect(error.kind == .timedOut && error.what == "no answer began within 150 ms")
        }
        let slow = LoopbackServer(.headOnly)
        var begun = self.request(slow)
        begun.firstByteTimeoutMilliseconds = 150
        begun.timeoutMilliseconds = 600
        do throws(FetchError) {
            _ = try await fetcher.fetch(begun)
            Issue.record("ended")
        } catch {
            #expect(error.kind == .timedOut && !error.what.contains("began"))
        }
    }

    @Test(arguments: [0, 600_001]) func `bounds of a part of a call are checked like the whole's`(
        _ milliseconds: Int
    ) async {
        var connecting = FetchRequest(url: "http://127.0.0.1:1/", allowsPlainHTTP: true)
        connecting.connectTimeoutMilliseconds = milliseconds
        #expect(await failure(fetcher, connecting) == .refusedURL)
        var waiting = FetchRequest(url: "http://127.0.0.1:1/", allowsPlainHTTP: true)
        waiting.firstByteTimeoutMilliseconds = milliseconds
        #expect(await failure(fetcher, waiting) == .refusedURL)
    }

    @Test func `a silent server is given up after the timeout`() async {
        let server = LoopbackServer(.silence)
        var slow = request(server)
        slow.timeoutMilliseconds = 150
        #expect(await failure(fetcher, slow) == .timedOut)
    }

    @Test(arguments: [
        "not http at all\r\n\r\n", "HTTP/9.9 200 OK\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nshort",
        "HTTP/1.1 099 Low\r\nContent-Length: 0\r\n\r\n",
    ])
    func `what is not HTTP or ends early is malformed`(_ answer: String) async {
        let server = LoopbackServer(.answer(answer))
        #expect(await failure(fetcher, request(server)) == .malformed)
    }

    @Test func `a chunk size that is none fails the transfer`() async {
        let server = LoopbackServer(.answer("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"))
        // libcurl has one word for this and for a lost connection.
        #expect(await failure(fetcher, request(server)) == .unreachable)
    }

    @Test func `a connection closed without an answer is unreachable, and so is a closed port`() async {
        let server = LoopbackServer(.hangUp)
        #expect(await failure(fetcher, request(server)) == .unreachable)
        let url = LoopbackServer(.hangUp)
        url.end()
        #expect(await failure(fetcher, request(url)) == .unreachable)
    }

    @Test func `cancelling the task ends the transfer at once`() async throws {
        let server = LoopbackServer(.silence)
        var slow = request(server)
        slow.timeoutMilliseconds = 600_000
        let fetcher = fetcher
        let task = Task { [slow] in await failure(fetcher, slow) }
        while server.requests.isEmpty { await Task.yield() }
        task.cancel()
        let outcome = await task.value
        // Asked once more, because a server that nobody holds any longer hangs up, which ends a transfer as well.
        #expect(outcome == .cancelled && server.requests.count == 1)
    }

    @Test func `a task cancelled before it asks sends nothing`() async {
        let server = LoopbackServer(.answer(ok("")))
        let fetcher = fetcher
        let request = request(server)
        let task = Task {
            while !Task.isCancelled { await Task.yield() }
            return await failure(fetcher, request)
        }
        task.cancel()
        #expect(await task.value == .cancelled)
        #expect(server.requests.isEmpty)
    }

    @Test func `a hundred requests at once are all answered over a few connections`() async throws {
        let server = LoopbackServer(.answer(ok("x")))
        let few = CurlFetcher(connectionsMax: 4)
        let request = request(server)
        let count = try await withThrowingTaskGroup(of: Int.self) { group in
            for _ in 0..<100 { group.addTask { try await few.fetch(request).body.count } }
            return try await group.reduce(0, +)
        }
        #expect(count == 100)
    }

    @Test func `a name override replaces the look-up`() async {
        let overridden = CurlFetcher(resolve: ["idp.invalid:1:127.0.0.1"])
        // Port 1 is closed: "unreachable" by refusal of the connection, quickly, and without any resolver.
        #expect(await failure(overridden, FetchRequest(url: "https://idp.invalid:1/")) == .unreachable)
    }
}

@Suite("Requests that are refused before a byte is sent")
struct RefusalTests {
    let fetcher = CurlFetcher()

    static let urls = [
        "", "idp.example", "/path", "//idp.example/", "ftp://127.0.0.1/", "file:///etc/passwd",
        "gopher://127.0.0.1/",
        "http://192.0.2.1/", "http://128.0.0.1/", "http://localhost.evil.example/",
        "http://127.0.0.1.evil.example/",
        "http://[::2]/", "http://10.0.0.1/", "http://user@127.0.0.1/", "https://idp.example@evil.example/",
        "https://idp.example:pass@evil.example/", "https://idp.example/a b",
        "https://idp.example/\r\nHost: x",
        "https://idp.example/\u{e9}", "https://idp.example:99999/", "https:///nothing",
    ]

    @Test(arguments: urls) func `an URL that is not plainly https is refused`(_ url: String) async {
        #expect(await failure(fetcher, FetchRequest(url: url, allowsPlainHTTP: true)) == .refusedURL)
    }

    @Test func `plain HTTP is refused on loopback too, unless it was allowed`() async {
        let server = LoopbackServer(.answer(ok("")))
        #expect(await failure(fetcher, FetchRequest(url: server.url)) == .refusedURL)
        #expect(server.requests.isEmpty)
    }

    @Test(arguments: ["127.0.0.1", "127.255.255.254", "localhost", "LOCALHOST", "[::1]"])
    func `loopback is what it is`(_ host: String) { #expect(CheckedURL.isLoopback(host)) }

    @Test(arguments: [
        "127.0.0.1.example", "127.0.0", "127.0.0.256", "126.0.0.1", "[::]", "local", "127.0.0.1.",
    ])
    func `nothing else is loopback`(_ host: String) { #expect(!CheckedURL.isLoopback(host)) }

    @Test func `an URL of 8 KiB is looked at, one byte more is refused`() throws {
        let start = "https://idp.example/"
        let exact = start + String(repeating: "a", count: 8192 - start.utf8.count)
        _ = try CheckedURL(exact, allowsPlainHTTP: false)
        #expect(throws: FetchError.self) { try CheckedURL(exact + "a", allowsPlainHTTP: false) }
    }

    @Test(arguments: [
        ("X-A", "a\r\nX-B: b"), ("X-A", "a\nb"), ("X-A", "a\u{0}b"), ("X A", "b"), ("", "b"), ("X-A:", "b"),
    ])
    func `a field that would split the request is refused`(_ field: (String, String)) async {
        let server = LoopbackServer(.answer(ok("")))
        let request = FetchRequest(url: server.url, fields: [field], allowsPlainHTTP: true)
        #expect(await failure(fetcher, request) == .refusedURL)
        #expect(server.requests.isEmpty)
    }

    @Test(arguments: ["", "get", "GET /x", "G\r\nT"]) func `a method that is none is refused`(
        _ method: String
    ) async {
        let request = FetchRequest(method: method, url: "http://127.0.0.1:1/", allowsPlainHTTP: true)
        #expect(await failure(fetcher, request) == .refusedURL)
    }

    @Test(arguments: [0, -1, 600_001]) func `a timeout out of range is refused`(_ milliseconds: Int) async {
        let request = FetchRequest(
            url: "http://127.0.0.1:1/", timeoutMilliseconds: milliseconds, allowsPlainHTTP: true)
        #expect(await failure(fetcher, request) == .refusedURL)
    }

    @Test func `a client certificate without its key is refused`() async {
        let request = FetchRequest(url: "https://127.0.0.1:1/", clientCertificatePEM: [1])
        #expect(await failure(fetcher, request) == .refusedURL)
    }

    @Test func `an unusable authority file fails instead of trusting somebody else`() async {
        let empty = FetchRequest(url: "https://127.0.0.1:1/", authoritiesPEM: [])
        #expect(await failure(fetcher, empty) == .tlsFailed)
    }
}
