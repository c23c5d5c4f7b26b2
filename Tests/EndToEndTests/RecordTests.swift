import Foundation
import Testing

extension EndToEnd {
    @Suite("What the gateway did can be decided again")
    struct RecordTests {
        @Test("002.1 every request of the access log and every decision comes out the same, bit for bit")
        func replay() throws {
            let stack = try Stack.current()
            let client = Client(stack)
            let callback = try #require(try client.answerForm(of: "people").location)
            #expect(try client.follow(try client.get(callback)).answer.status == 200)
            for path in ["/", "/a/b", "/a%20b?secret=1"] {
                #expect(try client.fetch("https://people.corp.test" + path).status == 200)
            }
            #expect(try Client(stack).fetch("https://people.corp.test/nobody").status == 401)
            try MachineStage.with(stack) { stage in
                let shown = try stage.certificate(serial: "7e5701")
                #expect(try stage.status(shown) == 200)
                let token = try stage.token("create", "scanner", "--days", "1")
                defer { _ = try? stack.gatepost("service-token", "revoke", "scanner") }
                #expect(try stage.status(token) == 200)
            }
            let lines = try poll("the access log") {
                let requests = try stack.accessLog().filter { $0["request_id"] != nil }
                let machines = requests.count {
                    $0["application"] as? String == "robots" && $0["status"] as? Int == 200
                }
                let isWhole = machines >= 2 && requests.contains { $0["path"] as? String == "/nobody" }
                return isWhole ? requests : nil
            }
            let log = stack.path("requests.jsonl")
            try lines.map { String(decoding: try JSONSerialization.data(withJSONObject: $0), as: UTF8.self) }
                .joined(separator: "\n").appending("\n").write(
                    toFile: log, atomically: true, encoding: .utf8)
            let answer = try stack.gatepost("replay", "--requests", log, "--json")
            let result = try #require(
                try JSONSerialization.jsonObject(with: Data(answer.utf8)) as? [String: Any])
            #expect(result["equal"] as? Bool == true, "\(answer)")
            #expect(result["requests_unknown"] as? Int == 0, "\(answer)")
            // A line does not say which client certificate was shown: docs/decisions.md.
            let open = result["requests_not_replayable"] as? [String: Int]
            #expect((open?["client-certificate-not-logged"] ?? 0) > 0, "\(answer)")
            #expect((result["decisions"] as? Int ?? 0) > 0 && (result["requests"] as? Int ?? 0) >= 4)
            let last = try #require(lines.last { $0["path"] as? String == "/a/b" }?["decision"] as? String)
            let explained = try stack.gatepost("explain", "--decision", last)
            #expect(
                explained.contains("at people: forward, when the request itself fits (policy-allows)"),
                "\(explained)")
            #expect(try stack.gatepost("events", "--application", "people").contains(last))
        }
    }
}
