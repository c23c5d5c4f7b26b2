import Access
import Border
import Foundation
import Synchronization
import Testing

@testable import DataPlane

/// A request as a client sends it to an application where nobody is signed in.
struct AskedBy: Sendable, CustomTestStringConvertible {
    enum Answer: Sendable {
        /// The control plane's: a redirect to the sign-in.
        case signIn
        /// The control plane's page about a form that was not delivered.
        case formPage
        /// 401 and JSON.
        case refusal
    }
    var who: String
    var method: String
    var fields: [String]
    var answer: Answer

    init(_ who: String, _ method: String, _ fields: [String], _ answer: Answer) {
        (self.who, self.method, self.fields, self.answer) = (who, method, fields, answer)
    }
    init(_ who: String, _ fields: [String], _ answer: Answer) { self.init(who, "GET", fields, answer) }
    var testDescription: String { who }

    static let html = "Accept: text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8"
    private static func browser(
        _ mode: String, _ dest: String, _ site: String, accept: String = "Accept: */*", _ more: String...
    ) -> [String] {
        ["Sec-Fetch-Site: \(site)", "Sec-Fetch-Mode: \(mode)", "Sec-Fetch-Dest: \(dest)", accept] + more
    }
    private static func document(_ more: String...) -> [String] {
        browser("navigate", "document", "none", accept: html, "Sec-Fetch-User: ?1") + more
    }
    private static func socket(_ more: [String]) -> [String] {
        [
            "Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13",
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
        ] + more
    }

    static let navigations: [AskedBy] = [
        .init("Chromium, typed address", document("Upgrade-Insecure-Requests: 1"), .signIn),
        .init(
            "Firefox, link of another site", browser("navigate", "document", "cross-site", accept: html),
            .signIn),
        .init("WebKit, reload", browser("navigate", "document", "same-origin", accept: html), .signIn),
        .init(
            "Chromium through a service worker", document("Service-Worker-Navigation-Preload: true"), .signIn),
        .init("a frame of the application's own page", browser("navigate", "iframe", "same-origin"), .signIn),
        .init("a frame of a sibling host's page", browser("navigate", "iframe", "same-site"), .signIn),
        .init("an old frameset", browser("navigate", "frame", "same-origin"), .signIn),
        .init(
            "a download link that a person follows", browser("navigate", "document", "same-origin"), .signIn),
        .init("Safari 15, which says nothing of itself", [html], .signIn),
        .init("Firefox 78", [html, "Upgrade-Insecure-Requests: 1", "DNT: 1"], .signIn),
        .init("curl that asks for a page by hand", ["User-Agent: curl/8", "Accept: text/html"], .signIn),
        .init("a browser with a field that only programs send", document("X-Requested-With: a.b.c"), .signIn),
        .init("a form of the page itself", "POST", document("Origin: https://wiki.test:8443"), .formPage),
        .init("a form of another site", "POST", document("Origin: https://evil.test"), .formPage),
        .init("a form in a frame", "POST", browser("navigate", "iframe", "same-origin"), .formPage),
    ]

    static let scripts: [AskedBy] = [
        .init("fetch of the own page", browser("cors", "empty", "same-origin"), .refusal),
        .init(
            "fetch that asks for HTML", browser("cors", "empty", "same-origin", accept: "Accept: text/html"),
            .refusal),
        .init("fetch without CORS", browser("no-cors", "empty", "cross-site"), .refusal),
        .init("fetch of a worker", browser("same-origin", "empty", "same-origin"), .refusal),
        .init("fetch that posts", "POST", browser("cors", "empty", "same-origin"), .refusal),
        .init("sendBeacon", "POST", browser("no-cors", "empty", "same-origin"), .refusal),
        .init(
            "XMLHttpRequest", browser("cors", "empty", "same-origin", "X-Requested-With: XMLHttpRequest"),
            .refusal),
        .init(
            "EventSource", browser("cors", "empty", "same-origin", accept: "Accept: text/event-stream"),
            .refusal),
        .init(
            "an image", browser("no-cors", "image", "same-origin", accept: "Accept: image/avif,*/*;q=0.8"),
            .refusal),
        .init("a script", browser("no-cors", "script", "same-origin"), .refusal),
        .init("a module", browser("cors", "script", "same-origin"), .refusal),
        .init(
            "a style sheet", browser("no-cors", "style", "same-origin", accept: "Accept: text/css,*/*;q=0.1"),
            .refusal),
        .init("a font", browser("cors", "font", "same-origin"), .refusal),
        .init("a video", browser("no-cors", "video", "same-origin", "Range: bytes=0-"), .refusal),
        .init("a manifest", browser("cors", "manifest", "same-origin"), .refusal),
        .init(
            "a service worker's script",
            browser("same-origin", "serviceworker", "same-origin", "Service-Worker: script"), .refusal),
        .init("a worker's script", browser("same-origin", "worker", "same-origin"), .refusal),
        .init("a worklet", browser("cors", "audioworklet", "same-origin"), .refusal),
        .init("a plug-in's object", browser("navigate", "object", "same-origin", accept: html), .refusal),
        .init("an embed", browser("navigate", "embed", "same-origin", accept: html), .refusal),
        .init(
            "a frame in another site's page", browser("navigate", "iframe", "cross-site", accept: html),
            .refusal),
        .init(
            "a form in another site's frame", "POST", browser("navigate", "iframe", "cross-site"), .refusal),
        .init("a report of a policy", "POST", browser("no-cors", "report", "same-origin"), .refusal),
        .init("HEAD of a navigation", "HEAD", document(), .refusal),
        .init("PUT that says it navigates", "PUT", document(), .refusal),
        .init(
            "a link prefetch", browser("no-cors", "empty", "same-origin", "Sec-Purpose: prefetch"), .refusal),
        .init("a speculative page", document("Sec-Purpose: prefetch"), .refusal),
        .init("a prerendered page", document("Sec-Purpose: prefetch;prerender"), .refusal),
        .init("an old Chromium's prefetch", document("Purpose: prefetch"), .refusal),
        .init("an old Firefox's prefetch", [html, "X-Moz: prefetch"], .refusal),
        .init("an old WebKit's preview", [html, "X-Purpose: preview"], .refusal),
        .init(
            "old jQuery asking for HTML",
            ["Accept: text/html, */*; q=0.01", "X-Requested-With: XMLHttpRequest"], .refusal),
        .init("an old browser's call of another origin", [html, "Origin: https://portal.test"], .refusal),
        .init("axios in an old browser", ["Accept: application/json, text/plain, */*"], .refusal),
        .init("curl", ["User-Agent: curl/8", "Accept: */*"], .refusal),
        .init(
            "curl that posts a form", "POST",
            ["Accept: */*", "Content-Type: application/x-www-form-urlencoded"], .refusal),
        .init("an API client that takes both", ["Accept: application/json, text/html;q=0.5"], .refusal),
        .init("git", ["User-Agent: git/2", "Accept: */*", "Git-Protocol: version=2"], .refusal),
        .init("nothing at all", [], .refusal),
        .init("two modes", ["Sec-Fetch-Mode: navigate", "Sec-Fetch-Mode: cors", html], .refusal),
        .init(
            "twice the same mode", ["Sec-Fetch-Mode: navigate", "Sec-Fetch-Mode: navigate", html], .refusal),
        .init("two destinations", document("Sec-Fetch-Dest: empty"), .refusal),
        .init("two Accept fields", [html, "Accept: application/json"], .refusal),
        .init("a mode that nobody knows", ["Sec-Fetch-Mode: navigate2", html], .refusal),
        .init("an empty mode", ["Sec-Fetch-Mode:", html], .refusal),
        .init("a destination without a mode", ["Sec-Fetch-Dest: image", html], .refusal),
        .init("WebSocket of Firefox", socket(browser("websocket", "empty", "same-origin")), .refusal),
        .init("WebSocket of Chromium", socket(["Origin: https://wiki.test:8443"]), .refusal),
        .init("WebSocket that says it navigates", socket(document()), .refusal),
    ]
}

@Suite("Who gets a redirect and who a reason, where nobody is signed in")
struct NavigationTests {
    /// Says what it was asked, and would set a cookie.
    private static func gateway() throws -> Gateway {
        try Gateway([Facts.closed(1)]) { message, gateway in
            guard case .request(let request) = message else { return }
            gateway.send(
                .response(
                    ControlResponse(
                        ticket: request.ticket, status: 303,
                        fields: [
                            Field("Location", "https://auth.test/"),
                            Field("Set-Cookie", "__Host-gatepost-login-0=x"),
                        ], body: Array("\(request.purpose) \(request.isNavigation)".utf8))))
        }
    }

    private func ask(_ row: AskedBy) throws -> (TestResponse, asked: Int) {
        let gateway = try Self.gateway()
        let client = try gateway.client()
        let framing = row.method == "POST" || row.method == "PUT" ? "Content-Length: 0\r\n" : ""
        client.send(
            "\(row.method) /a HTTP/1.1\r\nHost: wiki.test\r\n"
                + row.fields.map { $0 + "\r\n" }.joined() + framing + "\r\n")
        let answer = try #require(client.receive(isHead: row.method == "HEAD"), "\(row.who)")
        return (answer, gateway.received.withLock { $0.count })
    }

    @Test(arguments: AskedBy.navigations)
    func `what a person looks at is answered by the control plane`(_ row: AskedBy) throws {
        let (answer, asked) = try ask(row)
        #expect(asked == 1)
        #expect(answer.status == 303)
        #expect(
            answer.text
                == (row.answer == .signIn ? "signIn true" : "refused(Access.Reason.signInRequired) false"))
    }

    @Test(arguments: AskedBy.scripts)
    func `everything else gets 401 with a reason, never a redirect and never a cookie`(_ row: AskedBy) throws
    {
        let (answer, asked) = try ask(row)
        #expect(asked == 0)
        #expect(answer.status == 401)
        #expect(answer.field("Location") == nil && answer.field("Set-Cookie") == nil)
        #expect(answer.field("Cache-Control") == "no-store")
        #expect(answer.field("Content-Type") == "application/json")
        #expect(answer.field("WWW-Authenticate") == "Gatepost realm=\"gatepost\"")
        #expect(answer.field("Gatepost-Reason") == "sign-in-required")
        let vary = Set((answer.field("Vary") ?? "").components(separatedBy: ", "))
        #expect(vary.isSuperset(of: ["Origin", "Accept", "Cookie", "Sec-Fetch-Mode", "Sec-Fetch-Dest"]))
        guard row.method != "HEAD" else { return }
        let requestID = try #require(answer.field("Gatepost-Request-Id"))
        #expect(
            answer.text == """
                {"reason":"sign-in-required","open_url":"https://wiki.test:8443/.gatepost/sign-in",\
                "request_id":"\(requestID)"}
                """)
    }

    @Test func `the control plane is told of each reserved request whether a person looks at it`() throws {
        let gateway = try Self.gateway()
        let client = try gateway.client()
        for row in AskedBy.navigations + AskedBy.scripts where row.method == "GET" {
            client.send(
                "GET /.gatepost/sign-in HTTP/1.1\r\nHost: wiki.test\r\n"
                    + row.fields.map { $0 + "\r\n" }.joined() + "\r\n")
            #expect(client.receive()?.text == "reserved \(row.answer == .signIn)", "\(row.who)")
        }
    }
}
