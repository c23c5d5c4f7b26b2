import Foundation
import Testing

extension EndToEnd {
    @Suite("Sign-ins that are lost, replayed, stolen or forged")
    struct ForgeryTests {
        private static let people = "https://people.corp.test"

        @Test("the answer of the provider is worth nothing in another browser: that one must sign in itself")
        func anotherBrowser() throws {
            let stack = try Stack.current()
            let victim = Client(stack)
            let callback = try #require(try victim.answerForm(of: "people").location)
            let thief = Client(stack)
            let end = try thief.follow(try thief.get(callback))
            #expect(end.answer.input("transaction") != nil, "\(end.visited) \(end.answer.status)")
            #expect(try thief.fetch(Self.people + "/").status == 401)
            // And the one whom it belongs to is none the worse for it.
            let own = try victim.follow(try victim.get(callback)).answer
            #expect(own.status == 200 && own.says("This page comes from the protected application"))
        }

        @Test("the callback works once: a second use lets nobody in")
        func callbackTwice() throws {
            let stack = try Stack.current()
            let first = Client(stack)
            let callback = try #require(try first.answerForm(of: "people").location)
            let second = try first.copy()
            try second.changeCookies { $0.contains("127.0.0.1") ? nil : $0 }
            #expect(try first.follow(try first.get(callback)).answer.status == 200)
            let end = try second.follow(try second.get(callback)).answer
            #expect(end.input("transaction") != nil, "\(end.status) \(end.body.prefix(200))")
            #expect(try second.fetch(Self.people + "/").status == 401)
        }

        @Test("the code for the application host works once: a second use lets nobody in")
        func handoffTwice() throws {
            let stack = try Stack.current()
            let first = Client(stack)
            let callback = try #require(try first.answerForm(of: "people").location)
            let handoff = try #require(try first.get(callback).location)
            #expect(handoff.hasPrefix(Self.people + "/.gatepost/handoff?code="))
            let second = try first.copy()
            // What a thief at the application host has: its login cookie and the code, no session.
            try second.changeCookies { $0.contains("people.corp.test") || $0.hasPrefix("# ") ? $0 : nil }
            #expect(try first.follow(try first.get(handoff)).answer.status == 200)
            let end = try second.follow(try second.get(handoff)).answer
            #expect(end.input("transaction") != nil, "\(end.status) \(end.body.prefix(200))")
            #expect(try second.fetch(Self.people + "/").status == 401)
        }

        @Test("a forged or cut state is answered by a page with reason and request id, and leads nowhere")
        func forgedState() throws {
            let stack = try Stack.current()
            let client = Client(stack)
            let callback = try #require(try client.answerForm(of: "people").location)
            let cut = callback.replacingOccurrences(of: "state=", with: "state=A")
            for url in [
                cut, "https://auth.corp.test/.gatepost/callback/hr-staff?code=x&state=", cut + "&state=x",
            ] {
                let answer = try client.get(url)
                #expect((400...403).contains(answer.status), "\(url): \(answer.status)")
                #expect(answer.location == nil, "\(url)")
                let reason = try #require(answer.field("gatepost-reason"))
                #expect(["login-state-lost", "request-malformed"].contains(reason), "\(url): \(reason)")
                #expect(answer.says("Reason <code>\(reason)</code>"))
                #expect(answer.says("Request <code>"))
            }
            #expect(try client.fetch(Self.people + "/").status == 401)
        }

        @Test(
            "a session cookie of whose secret any one character was changed is no session",
            arguments: [3, 10, 30, 44])
        func tamperedCookie(at position: Int) throws {
            let stack = try Stack.current()
            let client = try Client.signedIn(stack, application: "people")
            try client.changeCookies { line in
                guard line.contains("people.corp.test"), line.contains("__Host-gatepost\t") else {
                    return line
                }
                var parts = line.components(separatedBy: "\t")
                var value = Array(parts[parts.count - 1])
                value[position] = value[position] == "A" ? "B" : "A"
                parts[parts.count - 1] = String(value)
                return parts.joined(separator: "\t")
            }
            let answer = try client.fetch(Self.people + "/")
            #expect(answer.status == 401)
            #expect(answer.says("\"reason\":\"sign-in-required\""))
            #expect(answer.says("\"request_id\""))
            let page = try client.get(Self.people + "/")
            #expect(
                [302, 303].contains(page.status)
                    && page.location?.hasPrefix("https://auth.corp.test/") == true)
        }

        @Test("who somebody is comes from the gateway alone: the client's own identity fields never arrive")
        func forgedIdentity() throws {
            let stack = try Stack.current()
            let client = try Client.signedIn(stack, application: "people")
            let forged = [
                "Gatepost-Assertion", "gatepost_assertion", "X-Remote-User", "x_remote_user", "X-Remote.User",
            ]
            let options = forged.flatMap { ["-H", "\($0): root@evil.example"] }
            let answer = try client.fetch(Self.people + "/", options)
            #expect(answer.status == 200)
            #expect(!answer.says("evil.example"))
            #expect(answer.says("{\"name\":\"x-remote-user\",\"value\":\"alice@corp.example\"}"))
            #expect(answer.says("\"name\":\"gatepost-assertion\""))
            #expect(!answer.says("__Host-gatepost"))
            // A field that Connection names would be removed on the way: ours, for the upstream to miss.
            let named = try client.fetch(Self.people + "/", ["-H", "Connection: close, X-Remote-User"])
            #expect(named.status == 400 || named.says("\"value\":\"alice@corp.example\""))
        }

        @Test("a session cookie is good at its own host only")
        func cookieOfAnotherHost() throws {
            let stack = try Stack.current()
            let client = try Client.signedIn(stack, application: "people")
            let jar = try String(contentsOfFile: client.jar, encoding: .utf8)
            let line = jar.split(separator: "\n").first {
                $0.contains("people.corp.test") && $0.contains("__Host-gatepost\t")
            }
            let value = try #require(line?.split(separator: "\t").last)
            for host in ["wiki", "desk", "vault"] {
                let answer = try Client(stack).fetch(
                    "https://\(host).corp.test/", ["-H", "Cookie: __Host-gatepost=\(value)"])
                #expect(answer.status == 401, "\(host)")
            }
        }

        @Test(
            "a callback counts without a Referer and wherever the browser says that it comes from",
            arguments: ["none", "cross-site", "same-origin"])
        func callbackFromNowhere(_ site: String) throws {
            let stack = try Stack.current()
            let client = Client(stack)
            let callback = try #require(try client.answerForm(of: "people").location)
            let answer = try client.get(callback, ["-H", "Sec-Fetch-Site: \(site)", "-H", "Referer:"])
            #expect(try client.follow(answer).answer.status == 200)
        }

        @Test("a code for one application's host is nothing at another one, nor in another browser")
        func handoffElsewhere() throws {
            let stack = try Stack.current()
            let client = Client(stack)
            let callback = try #require(try client.answerForm(of: "people").location)
            let handoff = try #require(try client.get(callback).location)
            let elsewhere = handoff.replacingOccurrences(of: "people.corp.test", with: "wiki.corp.test")
            let answer = try client.get(elsewhere)
            #expect(answer.status == 400)
            #expect(answer.field("gatepost-reason") == "login-state-lost")
            #expect(try client.fetch("https://wiki.corp.test/").status == 401)
            let thief = Client(stack)
            #expect(try thief.follow(try thief.get(handoff)).answer.input("transaction") != nil)
            #expect(try thief.fetch(Self.people + "/").status == 401)
            #expect(try client.follow(try client.get(handoff)).answer.status == 200)
        }

        @Test(
            "a provider that lies is answered by a page with its reason, and lets nobody in",
            arguments: [
                ("unknown-crit", 403, "identity-provider-refused"),
                ("wrong-c-hash", 403, "identity-provider-refused"),
                ("replayed-code", 403, "identity-provider-refused"),
                ("token-307", 503, "identity-provider-unavailable"),
                ("token-doubled-member", 503, "identity-provider-unavailable"),
                ("token-huge-chunked", 503, "identity-provider-unavailable"),
                ("doubled-state", 400, "request-malformed"),
                ("wicked-error", 403, "identity-provider-refused"),
            ])
        func lyingProvider(_ fault: String, _ status: Int, _ reason: String) throws {
            let stack = try Stack.current()
            _ = try Client.signedIn(stack, application: "people")
            try stack.fault("openid", fault)
            defer { try? stack.fault("openid", "none") }
            let client = Client(stack)
            let end = try client.follow(try client.answerForm(of: "people")).answer
            #expect(end.status == status, "\(end.status)")
            #expect(end.field("gatepost-reason") == reason)
            #expect(!end.says("<img src") && !end.says("<script>alert"), "what a provider says is text")
            #expect(try client.fetch(Self.people + "/").status == 401)
            try stack.fault("openid", "none")
            // The provider remembers the person, and the gateway holds nothing against them.
            #expect(try client.follow(try client.get(Self.people + "/")).answer.status == 200)
        }

        @Test(
            "no parameter of a reserved path leads away",
            arguments: [
                "https://evil.test/", "%2F%2Fevil.test/", "%2F%5Cevil.test", "javascript:alert(1)//evil.test",
            ])
        func openRedirects(_ lure: String) throws {
            let stack = try Stack.current()
            let client = try Client.signedIn(stack, application: "people")
            let names = [
                "next", "url", "rd", "return_to", "redirect_uri", "target", "request", "restart", "state",
                "code", "error", "step-up", "tx", "path", "post_logout_redirect_uri",
            ]
            let query = names.map { "\($0)=\(lure)" }.joined(separator: "&")
            for host in [Self.people, "https://auth.corp.test"] {
                for path in [
                    "sign-in", "sign-out", "handoff", "callback/hr-staff", "posture/start", "events",
                    "connect/intune", "jwks.json",
                ] {
                    let answer = try client.get("\(host)/.gatepost/\(path)?\(query)")
                    #expect((200...499).contains(answer.status), "\(path): \(answer.status)")
                    #expect(answer.location?.contains("evil.test") != true, "\(path)")
                    #expect(!answer.says("=\"https://evil.test") && !answer.says("=\"//evil.test"), "\(path)")
                }
            }
            for page in ["//evil.test/", "/%2F/evil.test", "/\\evil.test"] {
                let answer = try Client(stack).get(Self.people + page, ["--path-as-is"])
                let isOurs = answer.location?.hasPrefix("https://auth.corp.test/.gatepost/sign-in?") ?? true
                #expect(isOurs && (answer.status == 400 || answer.status == 303), "\(page): \(answer.status)")
            }
        }
    }
}
