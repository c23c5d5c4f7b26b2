import Foundation
import Testing

extension EndToEnd {
    @Suite("Calls of scripts, forms and cookies, with Chromium and the lab's provider")
    struct CallTests {
        /// Calls and says what came of it.
        private static let call = """
            return fetch(arguments[0], arguments[1]).then(
              async answer => {
                const text = await answer.text();
                let body = {};
                try { body = JSON.parse(text); } catch (e) { body = {text}; }
                return {status: answer.status, url: answer.url, redirected: answer.redirected,
                        reason: answer.headers.get('gatepost-reason'),
                        challenge: answer.headers.get('www-authenticate'), body};
              },
              error => ({failed: String(error)}));
            """

        private static func call(_ browser: Chromium, _ url: String, _ options: [String: Any] = [:]) throws
            -> [String: Any]
        {
            try browser.script(call, [url, options]) as? [String: Any] ?? [:]
        }

        @Test(
            "a page whose call gets 401 opens the address in it, the person signs in, and the call succeeds")
        func singlePage() throws {
            let stack = try Stack.current()
            try CallStage.with(stack) {
                let browser = try Chromium(stack)
                let page = CallStage.page(CallStage.calls, "<h1>A page of one application</h1>")
                try browser.open(page)
                let cookies = "return document.cookie"
                let options: [String: Any] = ["headers": ["accept": "application/json"]]
                let first = try Self.call(browser, "/api/items?x=1", options)
                #expect(first["status"] as? Int == 401 && first["redirected"] as? Bool == false)
                #expect(first["reason"] as? String == "sign-in-required")
                let body = try #require(first["body"] as? [String: Any])
                let address = try #require(body["open_url"] as? String)
                #expect(address == CallStage.calls + "/.gatepost/sign-in")
                #expect((body["request_id"] as? String)?.count == 32)
                #expect(try browser.script(cookies) as? String == "")
                // By a script the address itself is answered in the same way: no redirect into a wall.
                let followed = try Self.call(browser, address, options)
                #expect(followed["status"] as? Int == 401 && followed["redirected"] as? Bool == false)
                let main = try #require(try browser.windows.first)
                _ = try browser.script("window.open(arguments[0])", [address])
                let popup = try #require(try browser.windows.first { $0 != main })
                try browser.enter(window: popup)
                try browser.signInAtLab("alice")
                try browser.wait(for: "the page that opened it") { try browser.url == page }
                try browser.enter(window: main)
                let second = try Self.call(browser, "/api/items?x=1", options)
                #expect(second["status"] as? Int == 200)
                #expect((second["body"] as? [String: Any])?["path"] as? String == "/api/items")
                #expect(try browser.url == page)
            }
        }

        @Test(
            "a page of a listed origin calls after its preflight; pages of others are stopped by the browser")
        func crossOrigin() throws {
            let stack = try Stack.current()
            try CallStage.with(stack) {
                let browser = try Chromium(stack)
                let options: [String: Any] = [
                    "method": "PUT", "credentials": "include", "body": "{}",
                    "headers": ["accept": "application/json", "content-type": "application/json"],
                ]
                try browser.open(CallStage.page(CallStage.lobby, "lobby"))
                let refused = try Self.call(browser, CallStage.calls + "/api", options)
                #expect(refused["status"] as? Int == 401, "\(refused)")
                #expect(refused["challenge"] as? String == "Gatepost realm=\"gatepost\"")
                try browser.open(CallStage.calls + "/")
                try browser.signInAtLab("alice")
                try browser.waitForApplication("calls")
                try browser.open(CallStage.page(CallStage.lobby, "lobby"))
                let answer = try Self.call(browser, CallStage.calls + "/api", options)
                #expect(answer["status"] as? Int == 200, "\(answer)")
                let body = try #require(answer["body"] as? [String: Any])
                #expect(body["method"] as? String == "PUT" && body["bodyBytes"] as? Int == 2)
                // A method that is not listed, an origin that is not, and no cookies asked for.
                var other = options
                other["method"] = "DELETE"
                #expect(try Self.call(browser, CallStage.calls + "/api", other)["failed"] != nil)
                try browser.open("https://auth.corp.test/.gatepost/jwks.json")
                #expect(try Self.call(browser, CallStage.calls + "/api", options)["failed"] != nil)
                #expect(try Self.call(browser, CallStage.calls + "/api")["failed"] != nil)
                let methods = try stack.accessLog().filter {
                    $0["path"] as? String == "/api" && $0["upstream_us"] != nil
                }
                .compactMap { $0["method"] as? String }
                #expect(methods.allSatisfy { $0 == "PUT" || $0 == "GET" }, "\(methods)")
            }
        }

        @Test("a form that is sent without a session waits for the sign-in, and the person sends it, once")
        func form() throws {
            let stack = try Stack.current()
            try CallStage.with(stack) {
                let browser = try Chromium(stack)
                let text =
                    "<form method=post action='/edit?page=1'><input name=title value='H\u{e9} &amp; %'>"
                    + "<textarea name=text>one&#10;two</textarea><button>Save</button></form>"
                try browser.open(
                    CallStage.page(
                        CallStage.calls, "<meta charset=utf-8>" + text, ["Referrer-Policy": "same-origin"]))
                try browser.click("button")
                try browser.signInAtLab("alice")
                try browser.wait(for: "the page of the form") { try browser.title == "Send your form now?" }
                #expect(try !stack.hasReachedUpstream("/edit"))
                try stack.photograph(browser, "kept-form")
                let waiting = try browser.url
                try browser.click("button")
                try browser.waitForApplication("calls")
                #expect(try browser.url == CallStage.calls + "/edit?page=1")
                let sent = "title=H%C3%A9+%26+%25&text=one%0D%0Atwo"
                #expect(try browser.text.contains("\(sent.utf8.count) bytes"))
                #expect(try browser.text.contains("POST"))
                try browser.open(waiting)
                try browser.wait(for: "the page that says it is gone") {
                    try browser.text.contains("form-not-kept")
                }
            }
        }

        @Test("another site's form, and one whose page hides where it comes from, are not kept")
        func foreignForm() throws {
            let stack = try Stack.current()
            try CallStage.with(stack) {
                let browser = try Chromium(stack)
                let form =
                    "<form method=post action='\(CallStage.calls)/foreign'>"
                    + "<input name=a value=b><button>Go</button></form>"
                for (origin, policy) in [(CallStage.lobby, "unsafe-url"), (CallStage.calls, "no-referrer")] {
                    try browser.open(CallStage.page(origin, form, ["Referrer-Policy": policy]))
                    try browser.click("button")
                    try browser.wait(for: "the page of a form that was refused") {
                        try browser.text.contains("What you sent was not delivered.")
                    }
                    #expect(try browser.url == CallStage.calls + "/foreign", "\(origin)")
                }
                #expect(try !stack.hasReachedUpstream("/foreign"))
            }
        }

        @Test("a form waits for the person who was signed in at this browser last, and for nobody else")
        func senderOfForm() throws {
            let stack = try Stack.current()
            try CallStage.with(stack) {
                for (user, status) in [("alice", 200), ("bob", 410)] {
                    let client = Client(stack)
                    _ = try client.follow(try client.answerForm(of: "calls"))
                    #expect(try client.fetch(CallStage.calls + "/api").status == 200)
                    // Both sessions end: at the gateway's hosts and at the provider.
                    try client.changeCookies { line in
                        let isSession = line.contains("__Host-gatepost\t") || line.contains("127.0.0.1")
                        return isSession ? nil : line
                    }
                    let sent = try client.get(
                        CallStage.calls + "/waiting",
                        [
                            "-H", "Sec-Fetch-Dest: document", "-H", "Origin: \(CallStage.calls)", "--data",
                            "a=b",
                        ])
                    #expect(sent.status == 303)
                    let form = try client.follow(sent).answer
                    let end = try client.follow(try client.answer(form, user: user)).answer
                    #expect(end.status == status, "\(user): \(end)")
                    #expect(end.says("<input type=\"hidden\" name=\"a\" value=\"b\">") == (status == 200))
                }
                #expect(try !stack.hasReachedUpstream("/waiting"))
            }
        }

        @Test("an application cannot set, end or shadow the gateway's cookies in a browser")
        func cookies() throws {
            let stack = try Stack.current()
            try CallStage.with(stack) {
                let browser = try Chromium(stack)
                try browser.open(CallStage.calls + "/")
                try browser.signInAtLab("alice")
                try browser.waitForApplication("calls")
                for cookie in [
                    "__Host-gatepost=x; Path=/; Secure", "__Host-gatepost=; Max-Age=0; Path=/; Secure",
                    "__Host-gatepost=x; Path=/deep; Domain=corp.test; Secure",
                    "=__Host-gatepost=x; Secure; Path=/",
                    "__Host-gatepost-form=x; Secure; Path=/", "__host-gatepost=x; Secure; Path=/",
                ] {
                    try browser.open("\(CallStage.calls)/answer?Set-Cookie=\(CallStage.encode(cookie))")
                    try browser.open(CallStage.calls + "/still")
                    try browser.waitForApplication("calls")
                    #expect(try browser.url == CallStage.calls + "/still", "\(cookie)")
                    let received = try browser.receivedFields()["cookie"] ?? ""
                    #expect(!received.lowercased().contains("gatepost"), "\(cookie): \(received)")
                }
                let session = try #require(try browser.cookie("__Host-gatepost"))
                for deletion in ["\"cookies\"", "\"*\"", "\"cache\", \"cookies\""] {
                    try browser.open(
                        "\(CallStage.calls)/answer?Clear-Site-Data=\(CallStage.encode(deletion))")
                    // Both sessions are there: a page whose cookie is gone gets a new one at the auth host.
                    #expect(try browser.cookie("__Host-gatepost") == session, "\(deletion)")
                    try browser.open(CallStage.auth + "/.gatepost/sign-out")
                    #expect(try browser.cookie("__Host-gatepost") != nil, "\(deletion)")
                }
                try browser.open(
                    "\(CallStage.calls)/answer?Set-Cookie=\(CallStage.encode("own=1; Secure; Path=/"))")
                try browser.open(CallStage.calls + "/still")
                #expect(try browser.receivedFields()["cookie"] == "own=1")
            }
        }

        /// What let people pass other gateways (requests as their reports give them).
        static let bypasses: [(String, [String])] = [
            ("/", ["X-Forwarded-Uri: /answer"]),
            ("/", ["X-Original-URL: /answer", "X-Rewrite-URL: /answer"]),
            (
                "/",
                [
                    "X-Forwarded-Uri: /answer", "X-Forwarded-Method: OPTIONS",
                    "X-Forwarded-Host: lobby.corp.test",
                ]
            ),
            ("/?/answer", []), ("/api?x=/answer/", []), ("/api%23/answer", []), ("/api%3F/answer", []),
            ("/answerx", []),
            ("/ANSWER", []), ("/", ["User-Agent: GoogleHC/1.0"]), ("/", ["User-Agent: kube-probe/1.30"]),
            ("/", ["Cookie: __Host-gatepost="]), ("/", ["Cookie: __Host-gatepost=%00; =; ;;"]),
            ("/", ["Cookie: __Host-gatepost=\(String(repeating: "A", count: 56))"]),
            ("/", ["Cookie: _oauth2_proxy=x; authelia_session=x; _pomerium=x"]),
            (
                "/",
                ["X-Forwarded-User: alice", "X-Auth-Request-Email: alice@corp.example", "Remote-User: alice"]
            ),
            ("/", ["Gatepost-Assertion: x", "gatepost_assertion: x"]),
            ("/", ["Authorization: Basic YWxpY2U6eA=="]),
            (
                "/",
                [
                    "X-HTTP-Method-Override: OPTIONS", "Access-Control-Request-Method: GET",
                    "Origin: \(CallStage.lobby)",
                ]
            ),
            (
                "/",
                ["Sec-Fetch-Mode: cors", "X-Requested-With: XMLHttpRequest", "Origin: \(CallStage.lobby)"]
            ),
        ]

        @Test("what let people pass other gateways reaches nothing here")
        func knownBypasses() throws {
            let stack = try Stack.current()
            try CallStage.with(stack) {
                let client = Client(stack)
                for (index, row) in Self.bypasses.enumerated() {
                    let mark = "mark=\(index)-\(UUID().uuidString)"
                    let path = row.0 + (row.0.contains("?") ? "&" : "?") + mark
                    let options = row.1.flatMap { ["-H", $0] } + ["--path-as-is"]
                    let answer = try client.fetch(CallStage.calls + path, options)
                    #expect([400, 401, 403].contains(answer.status), "\(row): \(answer)")
                    #expect(!answer.says("This page comes from") && !answer.says("\"application\""), "\(row)")
                    #expect(answer.location == nil && answer.field("set-cookie") == nil, "\(row)")
                }
                // A preflight that is none, sent by hand, is judged; one that is goes no further than the gateway.
                let preflight = ["-X", "OPTIONS", "-H", "Origin: \(CallStage.lobby)"]
                #expect(try client.fetch(CallStage.calls + "/judged", preflight).status == 401)
                let real = preflight + ["-H", "Access-Control-Request-Method: PUT"]
                let answer = try client.fetch(CallStage.calls + "/only-a-preflight", real)
                #expect(answer.status == 204 && answer.body.isEmpty)
                let withBody = try client.fetch(CallStage.calls + "/judged", real + ["--data", "a=b"])
                #expect(withBody.status == 401)
                for origin in ["https://evil.test", "null", "\(CallStage.lobby).evil.test", "*"] {
                    let other = [
                        "-X", "OPTIONS", "-H", "Origin: \(origin)", "-H",
                        "Access-Control-Request-Method: PUT",
                    ]
                    let refused = try client.fetch(CallStage.calls + "/judged", other)
                    #expect(
                        refused.status == 403 && refused.field("access-control-allow-origin") == nil,
                        "\(origin)")
                }
                #expect(
                    try !stack.hasReachedUpstream("/only-a-preflight") && !stack.hasReachedUpstream("/judged")
                )
            }
        }
    }
}
