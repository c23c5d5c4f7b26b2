import Foundation
import Testing

extension EndToEnd {
    @Suite("Logout that the provider begins, with Chromium and the lab's provider")
    struct ProviderLogoutTests {
        /// From the token's arrival to the last byte of what is open.

        private static func open(_ browser: Chromium) throws {
            _ = try browser.script(
                """
                window.delivered = {}; window.ends = {};
                const deliver = kind => { window.delivered[kind] = 1; };
                const end = kind => { window.ends[kind] ||= Date.now(); };
                const stream = new EventSource('/sse');
                stream.addEventListener('tick', () => deliver('events'));
                stream.onerror = () => { end('events'); stream.close(); };
                const socket = new WebSocket('wss://' + location.host + '/ws');
                socket.onopen = () => socket.send('hello');
                socket.onmessage = () => deliver('socket');
                socket.onclose = () => end('socket');
                """)
            try browser.wait(for: "open streams") {
                try ["events", "socket"].allSatisfy { try browser.number("window.delivered.\($0)") == 1 }
            }
        }

        private static func cuts(_ stack: Stack) throws -> [Int] {
            try stack.child("gateway").output.split(separator: "\n").compactMap { line in
                guard line.contains("streams-cut"),
                    let object = try? JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any]
                else { return nil }
                return object["microseconds"] as? Int
            }
        }

        @Test("a logout token cuts what its person has open, and nobody else's")
        func backchannel() throws {
            let stack = try Stack.current()
            let browser = try Chromium(stack)
            try browser.open("https://people.corp.test/")
            try browser.signInAtLab("alice")
            try browser.waitForApplication("people")
            let bystander = try Chromium(stack)
            try bystander.open("https://people.corp.test/")
            try bystander.signInAtLab("bob")
            try bystander.waitForApplication("people")
            try Self.open(browser)
            try Self.open(bystander)
            let before = try Self.cuts(stack).count
            let answer = try stack.logout(#"{"client":"gatepost-hr","sub":"lab-0001"}"#)
            #expect(answer.contains("\"status\":200"), "\(answer)")
            try browser.wait(for: "the streams' end") {
                try ["events", "socket"].allSatisfy { try browser.number("window.ends.\($0)") != nil }
            }
            try browser.wait(for: "the cut's record") { try Self.cuts(stack).count > before }
            let slowest = try #require(try Self.cuts(stack).dropFirst(before).max())
            let milliseconds = Double(slowest) / 1_000
            print("measured: logout token: what was open is cut \(milliseconds) ms after it (promise 50)")
            #expect(try bystander.number("window.ends.events") == nil, "somebody else lost a stream")
            #expect(try bystander.number("window.ends.socket") == nil, "somebody else lost a stream")
            let again = try browser.script("return fetch('/api').then(r => r.status)")
            #expect(again as? Int == 401)
        }

        @Test(
            "a wrong logout token is refused by the gateway, and nothing ends",
            arguments: ["wrong-aud", "nonce"])
        func refused(_ fault: String) throws {
            let stack = try Stack.current()
            let client = try Chromium(stack)
            try client.open("https://people.corp.test/")
            try client.signInAtLab("bob")
            try client.waitForApplication("people")
            let answer = try stack.logout(
                #"{"client":"gatepost-hr","sub":"lab-0002","fault":"\#(fault)"}"#)
            #expect(answer.contains("\"status\":400"), "\(answer)")
            let still = try client.script("return fetch('/api').then(r => r.status)")
            #expect(still as? Int == 200)
        }
    }
}

extension Stack {
    /// Has the lab's provider send a logout token.
    ///
    /// - Returns: what the gateway answered, as the lab tells it.
    func logout(_ body: String) throws -> String {
        try run(
            "/usr/bin/curl",
            [
                "-sS", "--max-time", "10", "--data-binary", body,
                "http://127.0.0.1:\(Self.openidPort)/lab/logout",
            ])
    }
}
