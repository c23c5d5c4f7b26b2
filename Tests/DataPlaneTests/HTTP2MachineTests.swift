import Access
import Border
import Testing

@testable import DataPlane

/// What belongs to the connection belongs to each of its streams: certificate, server name, memory of who it is.
@Suite("HTTP/2 streams are whoever their connection is")
struct HTTP2MachineTests {
    typealias Workshop = CertificateWorkshop

    private func status(_ client: HTTP2Client, _ stream: UInt32, host: String) -> Int? {
        client.send(HTTP2Client.headers(stream, HTTP2Client.request(host: host)))
        return client.receive(stream)?.status
    }

    @Test func `a client certificate lets in every stream to the host that asked for it, and no other host`()
        throws
    {
        let origin = TestOrigin.echo()
        let gateway = try Gateway(
            [
                ClientCertificateTests.route(origin.port),
                ClientCertificateTests.route(origin.port, host: "docs.test", name: "docs"),
                Facts.open(origin.port, host: "localhost", name: "plain"),
            ], clients: ClientCertificateTests.clients())
        let known = try #require(
            try? HTTP2Client(
                gateway, identity: Workshop.client("scanner-7", under: ClientCertificateTests.root).identity))
        for stream in [UInt32(1), 3, 5] { #expect(status(known, stream, host: "wiki.test") == 200) }
        // Coalesced, but proven to another host.
        #expect(status(known, 7, host: "docs.test") == 421)
        #expect(status(known, 9, host: "localhost") == 200)
        let other = try HTTP2Client(
            gateway, identity: Workshop.client("scanner-8", under: ClientCertificateTests.root).identity)
        #expect(status(other, 1, host: "wiki.test") == 401)
        let nobody = try HTTP2Client(gateway)
        #expect(status(nobody, 1, host: "wiki.test") == 401)
    }

    @Test func `a page that the control plane answers comes whole, and its small body goes there`() throws {
        let gateway = try Gateway([Facts.closed(1)]) { message, gateway in
            guard case .request(let request) = message else { return }
            let body = Array(
                "\(request.method) \(request.path) \(String(decoding: request.body, as: UTF8.self))".utf8)
            gateway.send(
                .response(ControlResponse(ticket: request.ticket, status: 200, fields: [], body: body)))
        }
        let client = try HTTP2Client(gateway)
        #expect(client.get(1, "/.gatepost/status")?.text == "GET /.gatepost/status ")
        let head = HTTP2Client.headers(
            3, HTTP2Client.request("/.gatepost/form", method: "POST"), ends: false)
        client.send(head)
        client.send(HTTP2Client.data(3, Array("first ".utf8)))
        client.send(HTTP2Client.data(3, Array("second".utf8), ends: true))
        #expect(client.receive(3)?.text == "POST /.gatepost/form first second")
        // One byte beyond what such a request may bring.
        let large = [UInt8](repeating: 120, count: 16_384)
        client.send(
            HTTP2Client.headers(5, HTTP2Client.request("/.gatepost/form", method: "POST"), ends: false))
        for _ in 0..<3 { client.send(HTTP2Client.data(5, large)) }
        #expect(client.readUntil { ($0.window[5] ?? 0) > 0 })
        client.send(HTTP2Client.data(5, large))
        client.send(HTTP2Client.data(5, [1], ends: true))
        let refused = try #require(client.receive(5))
        #expect(refused.status == 400 || refused.status == 413)
        #expect(client.get(7, "/.gatepost/status")?.status == 200)
    }
}
