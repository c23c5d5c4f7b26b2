import Access
import Border
import Foundation
import Testing

@testable import DataPlane

/// Revoked by its serial number, a certificate is as none: on open connections at once, and in every handshake.
extension ClientCertificateTests {
    private func revoke(_ gateway: Gateway, _ made: CertificateWorkshop.Made, _ sequence: UInt64 = 1) {
        gateway.engine.revoke(
            RevocationTests.revocation(
                sequence, .revokeCertificate(CertificateFacts.number(made.serial.uppercased()))))
    }

    private func stream(_ gateway: Gateway, _ made: CertificateWorkshop.Made) throws -> TestClient {
        let stream = try gateway.client(identity: made.identity)
        stream.send("GET /events HTTP/1.1\r\nHost: wiki.test\r\n\r\n")
        #expect(stream.readSome() != nil)
        return stream
    }

    @Test func `a revoked serial number cuts what its certificate opened, and nothing else`() throws {
        let origin = RevocationTests.origin()
        let lost = Workshop.client("scanner-7", under: Self.root)
        let kept = Workshop.client("scanner-7", under: Self.root)
        let gateway = try Gateway([Self.route(origin.port)], clients: Self.clients())
        let streams = try [lost, kept].map { try stream(gateway, $0) }
        let resting = try gateway.client(identity: lost.identity)
        #expect(resting.get()?.status == 200)
        revoke(gateway, lost)
        guard
            case .cut(1, 0, 1, _)? = gateway.waitFor({
                if case .cut = $0 { true } else { false }
            })
        else {
            Issue.record("one stream was to be cut")
            return
        }
        while streams[0].readSome() != nil {}
        // The connection goes on; its certificate proves nothing any more.
        #expect(resting.get()?.status == 401)
        let after = try gateway.client(identity: lost.identity)
        #expect(after.get()?.status == 401)
        let another = try gateway.client(identity: kept.identity)
        #expect(another.get()?.status == 200)
        // The other one's stream is still open, also after the second in which streams are looked at.
        revoke(gateway, kept, 2)
        while streams[1].readSome() != nil {}
        #expect(another.get()?.status == 401)
    }

    @Test func `a machine's record is not used on a connection whose certificate was revoked`() throws {
        let origin = RevocationTests.origin()
        var route = Self.route(origin.port)
        route.anonymous = Facts.residual(signedIn: false, [], refusal: .signInRequired)
        route.servesMachines = true
        let gateway = try Gateway([route], clients: Self.clients()) { message, gateway in
            guard case .pullMachine(let ticket, let claim, _) = message else { return }
            var record = Facts.record(1, sequence: 0)
            record.tokenDigest = claim.tokenDigest
            record.client = .certificate
            gateway.send(.session(ticket, record))
        }
        let lost = Workshop.client("scanner-7", under: Self.root)
        let open = try stream(gateway, lost)
        revoke(gateway, lost)
        while open.readSome() != nil {}
        let again = try gateway.client(identity: lost.identity)
        #expect(again.get()?.status == 401)
    }

    @Test func `what is revoked before the reactors run counts for whoever waited for them`() throws {
        let origin = TestOrigin.echo()
        let lost = Workshop.client("scanner-7", under: Self.root)
        let kept = Workshop.client("scanner-7", under: Self.root)
        var waiting: [TestSocket] = []
        let gateway = try Gateway(
            [Self.route(origin.port)], clients: Self.clients(),
            ahead: { engine in
                // The kernel connects them; the first turn accepts them.
                waiting = (0..<2).map { _ in TestSocket.connected(engine.boundPorts[0]) }
                engine.revoke(
                    RevocationTests.revocation(
                        1, .revokeCertificate(CertificateFacts.number(lost.serial.uppercased()))))
            })
        for (index, (made, status)) in [(lost, 401), (kept, 200)].enumerated() {
            let client = try #require(
                try TestClient(port: gateway.port, identity: made.identity, over: waiting[index]))
            #expect(client.get()?.status == status)
        }
        #expect(
            gateway.waitFor { if case .cut(1, 0, 0, _) = $0 { true } else { false } } != nil,
            "it is answered as one that cut nothing")
    }

    @Test func `what was revoked before the start is revoked, and no configuration gives it back`() throws {
        let origin = TestOrigin.echo()
        let lost = Workshop.client("scanner-7", under: Self.root)
        var snapshot = Gateway.snapshot([Self.route(origin.port)], clients: Self.clients())
        snapshot.revokedSerials = [CertificateFacts.number(lost.serial)]
        let gateway = try Gateway([Self.route(origin.port)], clients: Self.clients())
        let before = try gateway.client(identity: lost.identity)
        #expect(before.get()?.status == 200)
        snapshot.revision = 2
        try gateway.engine.broadcast(configuration: snapshot)
        #expect(before.get()?.status == 401)
        snapshot.revision = 3
        snapshot.revokedSerials = nil
        try gateway.engine.broadcast(configuration: snapshot)
        let after = try gateway.client(identity: lost.identity)
        #expect(after.get()?.status == 401)
    }
}
