import Foundation
import JSON
import Signatures
import Synchronization
import Testing

@testable import gatepost_lab

/// A relying party that keeps what it is sent.
private final class Receiver: Site {
    let name = "receiver"
    private let bodies = Mutex<[[UInt8]]>([])
    private let news: AsyncStream<[UInt8]>.Continuation
    let arrived: AsyncStream<[UInt8]>

    init() { (arrived, news) = AsyncStream.makeStream() }

    func answer(_ exchange: Exchange) throws {
        let body = try exchange.readBody()
        try exchange.send(Response(status: 200))
        news.yield(body)
    }
}

@Suite("The lab's provider tells relying parties who signed out", .timeLimit(.minutes(10)))
struct LogoutTests {
    private let server: SiteServer
    private let receiver = Receiver()
    private let lab: Lab
    private let client: LabClient

    init() throws {
        let clock = LabClock(base: { LabFixture.startSeconds })
        server = try SiteServer(port: 0)
        server.start(receiver, clock: clock, log: LabLog(isSilent: true))
        var clients = Client.demo(origins: ["https://auth.lab.example"])
        clients[0].backchannelURI = "http://127.0.0.1:\(server.port)/logout"
        lab = try Lab(
            ports: (0, 0, 0), clients: clients, devices: [], clock: clock, log: LabLog(isSilent: true))
        client = LabClient(port: lab.servers[0].port)
    }

    private func claims(_ body: [UInt8]) throws -> JSONObject {
        let token = try #require(Parameters(parsing: body)?["logout_token"])
        let jws = try JWS(compact: token)
        let key = try #require(lab.provider.state.withLock { $0.keys.last })
        #expect(jws.verify(with: key.publicKey))
        #expect(jws.header["typ"] == "logout+jwt")
        return try jws.payloadObject
    }

    @Test("signing out sends a token with the sid that the id token had")
    func signOut() async throws {
        let page = try client.send("GET", LabFixture.authorization())
        let text = String(decoding: page.body, as: UTF8.self)
        let start = try #require(text.firstRange(of: "name=\"transaction\" value=\"")).upperBound
        let form = Parameters.encode([
            ("transaction", String(text[start...].prefix { $0 != "\"" })), ("user", "alice"),
            ("password", "alice-demo"),
        ])
        let type = [("Content-Type", "application/x-www-form-urlencoded")]
        let signedIn = try client.send("POST", "/sign-in", fields: type, body: Array(form.utf8))
        let code = try #require(LabFixture.location(signedIn)?["code"])
        let redeem = Parameters.encode([
            ("grant_type", "authorization_code"), ("code", code), ("redirect_uri", LabFixture.redirectURI),
            ("code_verifier", LabFixture.verifier), ("client_id", "gatepost"),
            ("client_secret", "gatepost-demo-secret"),
        ])
        let answer = try client.send("POST", "/token", fields: type, body: Array(redeem.utf8))
        let token = try #require(try JSONValue(parsing: answer.body)["id_token"]?.string)
        let sid = try #require(try JWS(compact: token).payloadObject["sid"]?.string)
        let cookie = try #require(signedIn.fields.first { $0.name == "set-cookie" }?.value)
        _ = try client.send(
            "GET", "/sign-out?client_id=gatepost",
            fields: [("Cookie", String(cookie.prefix { $0 != ";" }))])
        var arrived = receiver.arrived.makeAsyncIterator()
        let claims = try claims(try #require(await arrived.next()))
        #expect(claims["sid"]?.string == sid)
        #expect(claims["sub"] == "lab-0001")
        #expect(claims["aud"] == "gatepost")
    }

    @Test("the control path sends what it is told and says what came back")
    func control() async throws {
        // On a thread of its own: the lab's sender needs one of the few that tests run on.
        func post(_ body: JSONValue) async throws -> (status: Int, body: JSONValue) {
            let client = client
            let answer = try await withCheckedThrowingContinuation {
                (waiter: CheckedContinuation<(status: Int, body: [UInt8]), any Error>) in
                Thread.detachNewThread {
                    waiter.resume(
                        with: Result {
                            let answer = try client.send("POST", "/lab/logout", body: body.serialized())
                            return (answer.status, answer.body)
                        })
                }
            }
            return (answer.status, try JSONValue(parsing: answer.body))
        }
        let sent = try await post(["client": "gatepost", "sid": "s-1", "jti": "j-1"])
        #expect(sent.status == 200)
        #expect(sent.body["status"] == 200)
        var arrived = receiver.arrived.makeAsyncIterator()
        let claims = try claims(try #require(await arrived.next()))
        #expect(claims["sid"] == "s-1" && claims["jti"] == "j-1" && claims["sub"] == nil)
        #expect(try await post(["client": "gatepost", "fault": "nonsense"]).status == 400)
        #expect(try await post(["client": "nobody"]).status == 400)
    }
}
