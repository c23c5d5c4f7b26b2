import Fetch
import Testing

@Suite("What must not be sent twice")
struct SentOnceTests {
    private func post(_ server: LoopbackServer, _ body: String, once: Bool) -> FetchRequest {
        var request = FetchRequest(
            // Nothing here is about time: whatever the machine does meanwhile, the server says when it is over.
            method: "POST", url: server.url, body: Array(body.utf8), timeoutMilliseconds: 60_000,
            allowsPlainHTTP: true)
        request.isSentOnce = once
        return request
    }

    @Test(
        "a request over a kept connection that ends without an answer is sent again; one that says so, never")
    func keptConnection() async throws {
        let server = LoopbackServer(.answerOnce)
        let fetcher = CurlFetcher()
        #expect(try await fetcher.fetch(post(server, "first", once: false)).status == 200)
        #expect(try await fetcher.fetch(post(server, "plain", once: false)).status == 200)
        #expect(server.requests.filter { $0.hasSuffix("plain") }.count == 2, "what this is about")
        #expect(try await fetcher.fetch(post(server, "single", once: true)).status == 200)
        #expect(server.requests.filter { $0.hasSuffix("single") }.count == 1)
    }

    @Test("a new connection that ends without an answer is an error, after one request") func hangUp() async {
        let server = LoopbackServer(.hangUp)
        await #expect(throws: FetchError.self) {
            try await CurlFetcher().fetch(post(server, "x", once: true))
        }
        #expect(server.requests.filter { $0.hasSuffix("x") }.count == 1)
    }
}
