import Border
import ChildPrograms
import Foundation
import Testing

@testable import DataPlane

@Suite("TLS towards clients and upstreams")
struct TLSTests {
    @Test func `a connection that rests gives its TLS buffers back and takes the next request all the same`()
        throws
    {
        let origin = TestOrigin.echo()
        let gateway = try Gateway([Facts.open(origin.port)])
        let client = try gateway.client()
        for _ in 0..<2 {
            #expect(client.get()?.status == 200)
            for holders in [UInt64(1), 0] {
                let isSo: Bool? = gateway.waitUntil {
                    gateway.engine.metrics().sum("buffer_holders") == holders ? true : nil
                }
                #expect(isSo == true, "\(holders) holders")
            }
        }
        // Half a record is no rest: its first bytes must not be lost.
        let head = "GET / HTTP/1.1\r\nHost: wiki.test\r\n\r\n"
        client.sendRecord(head, cutAt: 20) { _ = turns(gateway, later: 3) }
        #expect(client.receive()?.status == 200)
    }

    /// true when this many more turns are over: a sweep wakes the reactor once per second.
    private func turns(_ gateway: Gateway, later count: UInt64) -> Bool? {
        let first = gateway.engine.metrics().sum("turns")
        return gateway.waitUntil { gateway.engine.metrics().sum("turns") >= first + count ? true : nil }
    }

    /// What `openssl s_client` prints.
    static func openssl(_ gateway: Gateway, _ arguments: [String]) throws -> String {
        let words = ["s_client", "-connect", "127.0.0.1:\(gateway.port)"] + arguments
        return try ChildProgram("/usr/bin/openssl", words, output: .kept, errors: .kept).outcome().text
    }

    @Test func `the server speaks right after the handshake, so a client with Nagle's algorithm never waits`()
        throws
    {
        let gateway = try Gateway([Facts.open(1)])
        let client = try gateway.client()
        // The session ticket. Without it the first request would wait for the delayed ACK of the Finished.
        #expect(client.hasMore(withinMilliseconds: TestSocket.patienceMilliseconds))
    }

    @Test(arguments: ["-tls1_2", "-tls1_3"])
    func `a ticket resumes the session`(_ version: String) throws {
        let gateway = try Gateway([Facts.open(1)])
        let file = FileManager.default.temporaryDirectory.appendingPathComponent(UUID().uuidString).path
        defer { try? FileManager.default.removeItem(atPath: file) }
        let flags = [version, "-ign_eof", "-sess_out", file]
        var limits = Limits()
        limits.idleMilliseconds = 300
        try gateway.engine.broadcast(
            configuration: Gateway.snapshot([Facts.open(1)], limits: limits, revision: 2))
        #expect(try Self.openssl(gateway, flags).contains("New, "))
        #expect(try Self.openssl(gateway, [version, "-sess_in", file]).contains("Reused, "))
        #expect(gateway.engine.metrics().sum("handshakes_resumed") == 1)
    }

    @Test func `a ticket of a key that rotated out makes a full handshake, not an error`() throws {
        let gateway = try Gateway([Facts.open(1)])
        let file = FileManager.default.temporaryDirectory.appendingPathComponent(UUID().uuidString).path
        defer { try? FileManager.default.removeItem(atPath: file) }
        _ = try Self.openssl(gateway, ["-tls1_2", "-sess_out", file])
        var rotated = Gateway.snapshot([Facts.open(1)], revision: 2)
        rotated.ticketKeys = [[UInt8](repeating: 9, count: 80)]
        try gateway.engine.broadcast(configuration: rotated)
        #expect(try Self.openssl(gateway, ["-tls1_2", "-sess_in", file]).contains("New, "))
    }

    @Test func `ALPN chooses h2 before http 1.1, and refuses who offers neither`() throws {
        let gateway = try Gateway([Facts.open(1)])
        #expect(try Self.openssl(gateway, ["-alpn", "h2,http/1.1"]).contains("ALPN protocol: h2"))
        #expect(try Self.openssl(gateway, ["-alpn", "http/1.1,h2"]).contains("ALPN protocol: h2"))
        #expect(try Self.openssl(gateway, ["-alpn", "http/1.1"]).contains("ALPN protocol: http/1.1"))
        #expect(try Self.openssl(gateway, ["-alpn", "h3,spdy/3"]).contains("no application protocol"))
    }

    @Test func `a listener without HTTP 2 chooses http 1.1, and refuses who offers h2 alone`() throws {
        var snapshot = Gateway.snapshot([Facts.open(1)], revision: 2)
        snapshot.listenersWithoutHTTP2 = [0]
        let gateway = try Gateway([Facts.open(1)])
        try gateway.engine.broadcast(configuration: snapshot)
        _ = gateway.waitUntil { (try? Self.openssl(gateway, ["-alpn", "h2"]))?.contains("no application") }
        #expect(try Self.openssl(gateway, ["-alpn", "h2,http/1.1"]).contains("ALPN protocol: http/1.1"))
        #expect(try Self.openssl(gateway, ["-alpn", "h2"]).contains("no application protocol"))
    }

    @Test func `each of hundreds of listeners is asked by its own number`() throws {
        let gateway = try Gateway([Facts.open(1)], listeners: 300)
        var snapshot = Gateway.snapshot([Facts.open(1)], revision: 2)
        snapshot.listenersWithoutHTTP2 = [255, 298]
        try gateway.engine.broadcast(configuration: snapshot)
        func speaksHTTP2(_ listener: Int) throws -> Bool {
            try TestClient(port: gateway.engine.boundPorts[listener], protocols: "h2") != nil
        }
        #expect(gateway.waitUntil { (try? speaksHTTP2(255)) == false ? true : nil } == true)
        for listener in [0, 254, 256, 297, 299] { #expect(try speaksHTTP2(listener), "\(listener)") }
        #expect(try !speaksHTTP2(298))
    }

    @Test func `a version before TLS 1.2 is refused`() throws {
        let gateway = try Gateway([Facts.open(1)])
        let text = try Self.openssl(gateway, ["-tls1_1", "-cipher", "ALL:@SECLEVEL=0"])
        #expect(text.contains("alert protocol version") || text.contains("no protocols available"))
        #expect(try Self.openssl(gateway, ["-tls1_2"]).contains("New, "))
    }

    @Test func `a server name chooses its certificate, an unknown one the default`() throws {
        let gateway = try Gateway([Facts.open(1)])
        #expect(try Self.openssl(gateway, ["-servername", "other.example"]).contains("CN = other"))
        #expect(try Self.openssl(gateway, ["-servername", "nobody.example"]).contains("CN = leaf"))
        #expect(try Self.openssl(gateway, ["-noservername"]).contains("CN = leaf"))
    }

    /// Gateway in front of a gateway: the inner one is a TLS upstream.
    private func chain(
        _ serverName: String, _ origin: TestOrigin, trusted: Bool = true
    ) throws -> (Gateway, Gateway) {
        let inner = try Gateway([Facts.open(origin.port)])
        var route = Facts.open(inner.port)
        let authority = trusted ? TestCertificates.shared.authorityPEM : TestCertificates.shared.otherChainPEM
        route.upstreams = [
            UpstreamAddress(
                address: "127.0.0.1", port: inner.port, serverName: serverName, authoritiesPEM: authority)
        ]
        return (inner, try Gateway([route]))
    }

    @Test func `an upstream over TLS is used when its certificate carries the configured name`() throws {
        let origin = TestOrigin { while $0.readHead() != nil { $0.answer("inner") } }
        let (inner, outer) = try chain("wiki.test", origin)
        let client = try outer.client()
        for _ in 0..<3 { #expect(client.get()?.text == "inner") }
        #expect(inner.engine.metrics().sum("handshakes") == 1)
    }

    @Test func `an upstream with another name or an unknown authority gets no byte of a request`() throws {
        let origin = TestOrigin.echo()
        for (name, trusted) in [("stranger.example", true), ("wiki.test", false)] {
            let (inner, outer) = try chain(name, origin, trusted: trusted)
            #expect(try outer.client().get()?.status == 502)
            #expect(inner.engine.metrics().sum("requests") == 0)
        }
    }
}
