import Access
import Border
import Testing

@testable import DataPlane

@Suite("A refused request that a stronger sign-in would open")
struct StepUpTests {
    private static let admin = ResidualPolicy(
        name: "admins", action: .allow, anyOf: [], allOf: [.path(.init(prefixes: ["/admin"], exact: []))],
        noneOf: [], restriction: Restriction(methods: [.get], pathPrefixes: nil), reason: .policyAllows)

    private func gateway(validUntil: Int64 = Facts.farSeconds) throws -> Gateway {
        try Gateway([Facts.closed(1)]) { message, gateway in
            if case .pullSession(let ticket, _, _) = message {
                var record = Facts.record(1, allowed: false)
                record.residual.refusal = .noPolicyMatches
                record.stepUps = [
                    StepUpWay(
                        residual: Facts.residual(signedIn: true, [Self.admin], validUntil: validUntil),
                        challenge: "error=\"insufficient_user_authentication\", acr_values=\"phr\"",
                        query: "step-up=admins")
                ]
                gateway.send(.session(ticket, record))
            }
            SessionTests.answerRequests(message, gateway)
        }
    }

    @Test("002.20 a program gets 401 with what is missing and where to get it (RFC 9470)")
    func program() throws {
        let running = try gateway()
        let client = try running.client()
        let answer = try #require(client.get("/admin/x", fields: Facts.cookie(1)))
        #expect(answer.status == 401)
        #expect(answer.field("Gatepost-Reason") == "authentication-insufficient")
        let challenge = "error=\"insufficient_user_authentication\", acr_values=\"phr\""
        #expect(answer.field("WWW-Authenticate") == "Gatepost realm=\"gatepost\", \(challenge)")
        let id = try #require(answer.field("Gatepost-Request-Id"))
        let url = "https://wiki.test:8443/.gatepost/sign-in?step-up=admins"
        #expect(
            answer.text
                == #"{"reason":"authentication-insufficient","open_url":"\#(url)","request_id":"\#(id)"}"#)
        let own = client.get("/admin", fields: Facts.cookie(1) + "Origin: https://friend.test\r\n")
        #expect(own?.field("Access-Control-Allow-Origin") == "https://friend.test")
    }

    @Test("a navigation and a form are answered by the control plane, and sent nowhere by the reactor")
    func people() throws {
        let running = try gateway()
        let client = try running.client()
        let page = client.get("/admin", fields: Facts.cookie(1) + "Sec-Fetch-Mode: navigate\r\n")
        #expect(page?.text.contains("authenticationInsufficient") == true)
        client.send(
            "POST /admin HTTP/1.1\r\nHost: wiki.test\r\nContent-Length: 0\r\n"
                + "Sec-Fetch-Mode: navigate\r\n\(Facts.cookie(1))\r\n")
        #expect(client.receive()?.text.contains("noPolicyMatches") == true, "no step-up opens this form")
    }

    @Test(
        "what the step-up does not open stays what it is: another path, another method, a stale supposition")
    func others() throws {
        let running = try gateway()
        let client = try running.client()
        for path in ["/", "/administrators"] {
            let answer = try #require(client.get(path, fields: Facts.cookie(1)))
            #expect(answer.status == 403, "\(path)")
            #expect(answer.field("Gatepost-Reason") == "no-policy-matches")
            #expect(answer.field("WWW-Authenticate") == nil)
            #expect(!answer.text.contains("step-up"))
        }
        client.send(
            "POST /admin HTTP/1.1\r\nHost: wiki.test\r\nContent-Length: 0\r\n\(Facts.cookie(1))\r\n")
        #expect(client.receive()?.status == 403)
        let other = try gateway(validUntil: 1)
        let stale = try other.client().get("/admin", fields: Facts.cookie(1))
        #expect(stale?.status == 403)
    }

    @Test("nobody gets it without a session")
    func nobody() throws {
        let running = try gateway()
        let answer = try #require(try running.client().get("/admin"))
        #expect(answer.status == 401)
        #expect(answer.field("Gatepost-Reason") == "sign-in-required")
        #expect(answer.field("WWW-Authenticate") == "Gatepost realm=\"gatepost\"")
    }
}
