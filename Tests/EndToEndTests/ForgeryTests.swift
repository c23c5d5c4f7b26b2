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
    }
}
