import Access
import Border
import Foundation
import Synchronization
import Testing

@testable import DataPlane

@Suite("gRPC is refused and cut in its own way")
struct CallRefusalTests {
    private static func call(
        _ number: UInt8? = nil, type: String = "application/grpc", _ path: String = "/echo.Echo/Talk"
    ) -> [(String, String)] {
        var more = [("content-type", type), ("te", "trailers")]
        if let number {
            let line = Facts.cookie(number)
            more.append(("cookie", String(line.dropFirst("Cookie: ".count).dropLast(2))))
        }
        return HTTP2Client.request(path, method: "POST", more)
    }

    @Test(arguments: ["application/grpc", "application/grpc+proto", "Application/GRPC;x=y"])
    func `who is not signed in is UNAUTHENTICATED, at once and without a page`(type: String) throws {
        let origin = HTTP2Origin.echo()
        let gateway = try Gateway([Facts.closed(origin.port)], answer: RevocationTests.control)
        let client = try HTTP2Client(gateway)
        client.send(HTTP2Client.headers(1, Self.call(type: type)))
        let answer = try #require(client.receive(1))
        #expect(answer.status == 200 && answer.isEnded && answer.body.isEmpty && answer.trailers.isEmpty)
        #expect(answer.field("content-type") == "application/grpc")
        #expect(answer.field("grpc-status") == "16" && answer.field("grpc-message") == "sign-in-required")
        #expect(answer.field("gatepost-reason") == "sign-in-required" && answer.field("location") == nil)
        #expect(origin.connectionCount == 0)
    }

    @Test(arguments: ["application/grpc-web", "application/grpcx", "application/json", "xapplication/grpc"])
    func `what is no gRPC is refused as ever`(type: String) throws {
        let gateway = try Gateway([Facts.closed(TestOrigin.closedPort())], answer: RevocationTests.control)
        let client = try HTTP2Client(gateway)
        client.send(HTTP2Client.headers(1, Self.call(type: type)))
        #expect(client.receive(1)?.status == 401)
    }

    @Test func `a page is never the answer to a call, whatever else it says of itself`() throws {
        let gateway = try Gateway([Facts.closed(TestOrigin.closedPort())], answer: RevocationTests.control)
        let client = try HTTP2Client(gateway)
        let browser = [
            ("sec-fetch-mode", "navigate"), ("sec-fetch-dest", "document"), ("accept", "text/html"),
        ]
        client.send(HTTP2Client.headers(1, Self.call() + browser))
        #expect(client.receive(1)?.field("grpc-status") == "16")
    }

    @Test func `who may not is PERMISSION_DENIED, and an upstream that is away is UNAVAILABLE`() throws {
        let gateway = try Gateway(
            [
                Facts.closed(TestOrigin.closedPort()),
                HTTP2Origin.route(TestOrigin.closedPort()).named("open", host: "localhost"),
            ],
            answer: { message, gateway in
                guard case .pullSession(let ticket, _, _) = message else { return }
                gateway.send(.session(ticket, Facts.record(1, allowed: false)))
            })
        let client = try HTTP2Client(gateway)
        client.send(HTTP2Client.headers(1, Self.call(1)))
        let refused = client.receive(1)
        #expect(refused?.status == 200 && refused?.field("grpc-status") == "7")
        let other = try HTTP2Client(gateway, serverName: "localhost")
        other.send(
            HTTP2Client.headers(
                1,
                HTTP2Client.request(
                    "/a.B/C", method: "POST", host: "localhost", [("content-type", "application/grpc")])))
        let away = other.receive(1)
        #expect(away?.status == 200 && away?.field("grpc-status") == "14")
        #expect(away?.field("grpc-message") == "upstream-unavailable")
    }

    // MARK: Revocation

    /// Answers with a head and one message, and tells how the stream ended.
    private static func streaming(_ code: NotedCode, begins: Bool = true) -> TestOrigin {
        HTTP2Origin.serving { origin in
            guard let id = origin.nextRequest() else { return }
            if begins { origin.send(HTTP2Origin.head(id), HTTP2Client.data(id, [0, 0, 0, 0, 0])) }
            _ = origin.readUntil { $0.requests[id]?.resetCode != nil }
            code.value.withLock { $0 = origin.requests[id]?.resetCode }
            origin.readToEnd()
        }
    }

    private static func gateway(_ port: UInt16) throws -> Gateway {
        var route = Facts.closed(port)
        route.upstreams[0].speaksHTTP2 = true
        return try Gateway([route], answer: RevocationTests.control)
    }

    @Test(arguments: [true, false])
    func `an open call of the revoked ends with a status, below and above`(requestEnded: Bool) throws {
        let code = NotedCode()
        let origin = Self.streaming(code)
        let gateway = try Self.gateway(origin.port)
        let client = try HTTP2Client(gateway)
        client.send(HTTP2Client.headers(1, Self.call(1), ends: requestEnded))
        #expect(client.readUntil { $0.responses[1]?.body.count == 5 })
        client.send(HTTP2Client.headers(3, Self.call(3), ends: requestEnded))
        #expect(gateway.waitForCounter("upstream_reuses", atLeast: 1))
        gateway.engine.revoke(RevocationTests.revocation(1, .endSession("session-1")))
        let cut = gateway.waitFor { if case .cut = $0 { true } else { false } }
        guard case .cut(1, 0, 1, let nanoseconds)? = cut else {
            Issue.record("\(String(describing: cut))")
            return
        }
        #expect(nanoseconds < 2_000_000_000, "at once, not after the time that short requests have")
        let answer = client.receive(1)
        #expect(answer?.isEnded == true)
        #expect(answer?.trailers.first { $0.0 == "grpc-status" }?.1 == "16")
        #expect(answer?.trailers.first { $0.0 == "grpc-message" }?.1 == "session-ended")
        if !requestEnded { #expect(client.readUntil { $0.responses[1]?.resetCode != nil }) }
        #expect(gateway.waitUntil { code.value.withLock { $0 } } == 8)
        #expect(client.responses[3]?.isEnded != true && client.responses[3]?.resetCode == nil)
    }

    @Test func `a call whose answer has not begun is refused, and one that does not read is reset`() throws {
        let code = NotedCode()
        let origin = Self.streaming(code, begins: false)
        let gateway = try Self.gateway(origin.port)
        let client = try HTTP2Client(gateway)
        client.send(HTTP2Client.headers(1, Self.call(1), ends: false))
        #expect(gateway.waitForCounter("upstream_connects", atLeast: 1))
        #expect(gateway.waitUntil { gateway.engine.metrics().sum("session_pulls") == 1 ? true : nil } == true)
        client.send(HTTP2Client.data(1, [1]))
        #expect(gateway.waitForCounter("bytes_upstream", atLeast: 1))
        gateway.engine.revoke(RevocationTests.revocation(1, .endSession("session-1")))
        let answer = client.receive(1)
        #expect(answer?.field("grpc-status") == "16" && answer?.field("grpc-message") == "session-ended")
        #expect(gateway.waitUntil { code.value.withLock { $0 } } == 8)

        let other = NotedCode()
        let stuckOrigin = Self.streaming(other)
        let stuckGateway = try Self.gateway(stuckOrigin.port)
        let stuck = try HTTP2Client(stuckGateway, settings: [(4, 0)])
        stuck.send(HTTP2Client.headers(1, Self.call(1), ends: false))
        #expect(stuck.readUntil { $0.responses[1]?.status == 200 })
        stuckGateway.engine.revoke(RevocationTests.revocation(1, .endSession("session-1")))
        #expect(stuck.receive(1)?.resetCode == 8)
        #expect(stuckGateway.waitUntil { other.value.withLock { $0 } } == 8)
    }
}

/// How a stream ended.
private final class NotedCode: Sendable {
    let value = Mutex<UInt32?>(nil)
}

extension ApplicationRoute {
    fileprivate func named(_ name: String, host: String) -> ApplicationRoute {
        var route = self
        route.name = name
        route.host = host
        return route
    }
}
