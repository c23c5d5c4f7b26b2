import Access
import Border
import Foundation
import Synchronization
import Testing

@testable import DataPlane

@Suite("response-fields and upstream-field")
struct FieldLimitTests {
    private static let policy = AccessLimit.responseField(
        name: "Content-Security-Policy", value: "sandbox allow-scripts")

    private static func lines(_ response: TestResponse, _ name: String) -> [String] {
        response.head.components(separatedBy: "\r\n").filter {
            $0.lowercased().hasPrefix(name.lowercased() + ":")
        }
    }

    @Test(arguments: [
        "", "Content-Security-Policy: default-src *\r\n",
        "content-security-policy: a\r\nX-Other: 1\r\nCONTENT-SECURITY-POLICY:  b\r\nContent-Security-Policy:\r\n",
    ])
    func `the field stands once on every answer, and never the application's own`(_ fields: String) throws {
        let origin = TestOrigin { connection in
            while let head = connection.readHead() {
                let status = String(head.split(separator: " ")[1].dropFirst()).replacing("-", with: " ")
                if status.hasPrefix("103") {
                    connection.socket.write("HTTP/1.1 103 Early Hints\r\n\(fields)\r\n")
                    connection.answer(fields: fields)
                } else if status.hasPrefix("304") || status.hasPrefix("204") {
                    connection.socket.write("HTTP/1.1 \(status)\r\n\(fields)\r\n")
                } else {
                    connection.answer(status: status, fields: fields)
                }
            }
        }
        let gateway = try Gateway([Facts.open(origin.port, limits: [Self.policy])])
        let client = try gateway.client()
        for status in ["200-OK", "404-Not-Found", "304-Not-Modified", "204-No-Content", "103-Early-Hints"] {
            let response = try #require(client.get("/" + status))
            #expect(
                Self.lines(response, "content-security-policy") == [
                    "Content-Security-Policy: sandbox allow-scripts"
                ], "\(status)")
            #expect(Self.lines(response, "x-other").count == (fields.contains("X-Other") ? 1 : 0))
            if response.status == 103 {
                let last = try #require(client.receive())
                #expect(Self.lines(last, "content-security-policy").count == 1 && last.text == "hello")
            }
        }
    }

    @Test func `a name that only begins alike stays, and what the gateway itself answers has its own fields`()
        throws
    {
        let origin = TestOrigin { connection in
            while connection.readHead() != nil {
                connection.answer(
                    fields: "Content-Security-Policy-Report-Only: a\r\nX-Content-Security-Policy: b\r\n")
            }
        }
        let gateway = try Gateway([Facts.open(origin.port, limits: [Self.policy, .blocksUploads])])
        let client = try gateway.client()
        let response = try #require(client.get())
        #expect(response.field("Content-Security-Policy-Report-Only") == "a")
        #expect(response.field("X-Content-Security-Policy") == "b")
        client.send("POST / HTTP/1.1\r\nHost: wiki.test\r\nContent-Length: 1\r\n\r\na")
        let refusal = try #require(client.receive())
        #expect(refusal.status == 403 && refusal.field("Content-Security-Policy") == nil)
    }

    @Test func `fields that are known to the gateway are replaced too, and framing is nobody's to set`()
        throws
    {
        let origin = TestOrigin { connection in
            while connection.readHead() != nil {
                connection.answer(fields: "cache-control: public\r\nServer: a\r\nDate: never\r\n")
            }
        }
        let limits: [AccessLimit] = [
            .responseField(name: "Cache-Control", value: "no-store"),
            .responseField(name: "server", value: "s"),
        ]
        let gateway = try Gateway([Facts.open(origin.port, limits: limits)])
        let response = try #require(try gateway.client().get())
        #expect(Self.lines(response, "cache-control") == ["Cache-Control: no-store"])
        #expect(Self.lines(response, "server") == ["server: s"])
        #expect(response.text == "hello" && response.isComplete)
    }

    private static let access = AccessLimit.upstreamField(name: "X-Access", value: "partial")

    @Test func `the application hears it on every request under the policy, and from nobody else`() throws {
        let origin = TestOrigin.echo()
        let gateway = try Gateway([Facts.open(origin.port, limits: [Self.access])])
        let client = try gateway.client()
        for forged in [
            "", "X-Access: full\r\n",
            "x_access: full\r\nX-ACCESS: full\r\nxaccess: full\r\nX.Access: full\r\n",
        ] {
            for start in ["GET / HTTP/1.1\r\n", "POST / HTTP/1.1\r\nContent-Length: 1\r\n"] {
                client.send("\(start)Host: wiki.test\r\n\(forged)\r\n\(start.hasPrefix("POST") ? "a" : "")")
                let text = try #require(client.receive()).text
                #expect(!text.contains("full"), "\(forged)")
                #expect(text.components(separatedBy: "X-Access: partial\r\n").count == 2)
                if start.hasPrefix("POST") { break }
            }
        }
    }

    @Test func `under another policy of the application a client cannot send it either`() throws {
        let origin = TestOrigin.echo()
        var route = Facts.open(origin.port, limits: [Self.access])
        route.anonymous.policies.insert(Facts.bypass, at: 0)
        let gateway = try Gateway([route])
        let client = try gateway.client()
        for forged in ["X-Access: full", "x_access: partial", "X--Access: partial"] {
            let text = try #require(client.get(fields: forged + "\r\n")).text.lowercased()
            #expect(!text.contains("partial") && !text.contains("full"), "\(forged)")
        }
        #expect(client.get(fields: "Connection: X-Access\r\n")?.status == 400)
    }

    /// How a request of session 1 is answered, whose first records are of a configuration with the field, at
    /// a route of one without it.
    private func answer(foreignRecords: Int) throws -> (TestResponse?, pulls: UInt64, forwarded: Int) {
        let origin = TestOrigin.echo()
        let pulls = BodyTests.Shared(Atomic(0))
        let gateway = try Gateway([Facts.closed(origin.port)]) { message, gateway in
            guard case .pullSession(let ticket, _, _) = message else { return }
            let isForeign = pulls.count.add(1, ordering: .relaxed).oldValue < foreignRecords
            gateway.send(.session(ticket, Facts.record(1, limits: isForeign ? [Self.access] : [])))
        }
        let response = try gateway.client().get(fields: "X-Access: full\r\n" + Facts.cookie(1))
        return (response, gateway.engine.metrics().sum("session_pulls"), origin.connectionCount)
    }

    @Test
    func `a record of another configuration is asked for anew instead of sending what clients could write`()
        throws
    {
        let later = try answer(foreignRecords: 2)
        #expect(later.0?.status == 200 && later.0?.text.contains("partial") == false && later.pulls == 3)
        let never = try answer(foreignRecords: .max)
        #expect(never.0?.status == 503 && never.0?.field("Gatepost-Reason") == "control-plane-unavailable")
        #expect(never.pulls == 3 && never.forwarded == 0)
    }

    @Test func `what identifies a person is told only where no client can write it`() throws {
        for names in [["X-Badge"], ["x_badge"], ["X-Other"], []] {
            let origin = TestOrigin.echo()
            var route = Facts.closed(origin.port)
            route.identityFieldNames = names
            var record = Facts.record(1)
            record.identityFields += Array("X-Badge: ada\r\n".utf8)
            let gateway = try Gateway([route]) { [record] message, gateway in
                guard case .pullSession(let ticket, _, _) = message else { return }
                gateway.send(.session(ticket, record))
            }
            let client = try gateway.client()
            for _ in 0..<2 {
                let response = try #require(client.get(fields: "X-Badge: root\r\n" + Facts.cookie(1)))
                #expect(!response.text.contains("root"), "\(names)")
                let isProtected = names.contains { $0.lowercased().hasSuffix("badge") }
                #expect(response.status == (isProtected ? 200 : 503), "\(names)")
                #expect(response.text.contains("X-Badge: ada\r\n") == isProtected)
            }
        }
    }

    @Test func `of two values for one field the application gets the earlier policy's alone`() throws {
        let origin = TestOrigin.echo()
        let limits = [Self.access, .upstreamField(name: "x_access", value: "wider")]
        let gateway = try Gateway([Facts.open(origin.port, limits: limits)])
        let text = try #require(try gateway.client().get()).text
        #expect(text.contains("X-Access: partial\r\n") && !text.contains("wider"))
    }
}
