import Access
import Fetch
import Foundation
import JSON
import Signatures
import Store
import Synchronization
import Testing

@testable import Identity
@testable import gatepost_lab

/// Real handshakes: the provider's alias for mutual TLS (RFC 8705 §5) asks for a certificate, and takes the one that is
/// registered and no other.
@Suite("tls_client_auth at a provider that checks the certificate in the handshake")
struct ClientCertificateTests {
    let stage: Stage

    init() throws { stage = try Stage() }

    private func make() throws -> ClientCertificate {
        let made = try EnrollmentAuthority.generateSelfSigned(
            commonName: "gatepost", nowSeconds: Int64(Date().timeIntervalSince1970))
        return try ClientCertificate(chainPEM: made.certificatePEM, keyPEM: made.keyPEM)
    }

    private func register(_ certificate: ClientCertificate) throws {
        let body: JSONObject = [
            "client": "gatepost", "pem": .string(String(decoding: certificate.chainPEM, as: UTF8.self)),
        ]
        let answer = try LabClient(port: stage.port).send(
            "POST", "/lab/client-key", body: JSONValue.object(body).serialized())
        try #require(answer.status == 200)
    }

    private var trust: [UInt8] { stage.certificateTLS.authoritiesPEM }

    /// Requests for the token endpoint, and those of them with a certificate.
    private var asked: [Int] {
        stage.provider.evidence.withLock { [$0.tokenRequests, $0.certifiedTokenRequests] }
    }

    private func enter() async throws -> Ending { try await Visitor(stage).go("https://wiki.corp.example/") }

    private func expectRefusal(
        _ ending: Ending, _ reason: Reason, _ what: String,
        _ location: SourceLocation = #_sourceLocation
    ) async throws {
        #expect(ending.refusal?.reason == reason, "\(ending)", sourceLocation: location)
        let detail = ending.refusal?.detail ?? ""
        #expect(detail.contains(what), "\(detail)", sourceLocation: location)
        #expect(!detail.contains("PRIVATE KEY"), sourceLocation: location)
        #expect(try await stage.sessions.isEmpty, sourceLocation: location)
    }

    @Test("the registered certificate signs people in, and no secret is sent beside it")
    func registered() async throws {
        let own = try make()
        try register(own)
        await stage.prove(.certificate(own), authorities: trust)
        for _ in 0..<2 { #expect(try await enter().session?.email == "alice@corp.example") }
        #expect(asked == [2, 2])
        let requests = stage.fetcher.asked.filter { $0.url.hasSuffix("/token") }
        #expect(requests.count == 2)
        for request in requests {
            #expect(request.url.hasPrefix("https://"), "\(request.url)")
            #expect(!String(decoding: request.body ?? [], as: UTF8.self).contains("secret"))
            #expect(!request.fields.contains { $0.0.lowercased() == "authorization" })
        }
        let others = stage.fetcher.asked.filter { !$0.url.hasSuffix("/token") }
        #expect(others.allSatisfy { $0.clientCertificatePEM == nil }, "shown where nobody asked for it")
    }

    @Test("another certificate of the same name is refused, and nobody is signed in")
    func another() async throws {
        try register(try make())
        await stage.prove(.certificate(try make()), authorities: trust)
        try await expectRefusal(try await enter(), .identityProviderRefused, "token endpoint: status 401")
        #expect(asked == [1, 1], "the handshake was made, and the certificate seen")
    }

    @Test("a certificate that is registered for nobody is refused")
    func unregistered() async throws {
        await stage.prove(.certificate(try make()), authorities: trust)
        try await expectRefusal(try await enter(), .identityProviderRefused, "token endpoint: status 401")
        #expect(asked == [1, 1])
    }

    @Test(
        "a secret does not stand in for a registered certificate, and none is shown without being configured")
    func secret() async throws {
        try register(try make())
        await stage.prove(.announced, authorities: trust)
        try await expectRefusal(try await enter(), .identityProviderRefused, "token endpoint: status 401")
        #expect(asked == [1, 0])
    }

    @Test("a server that is not the provider's gets neither code nor certificate")
    func wrongServer() async throws {
        let own = try make()
        try register(own)
        await stage.prove(.certificate(own), authorities: ServerTLS { nil }.authoritiesPEM)
        try await expectRefusal(
            try await enter(), .identityProviderUnavailable, FetchError.Kind.tlsFailed.rawValue)
        #expect(asked == [0, 0])
    }

    @Test(
        "a token endpoint that sends us elsewhere is not followed, with the certificate or without",
        arguments: [301, 302, 303, 307, 308])
    func redirected(_ status: Int) async throws {
        let own = try make()
        try register(own)
        await stage.prove(.certificate(own), authorities: trust)
        try stage.fault("token-\(status)")
        try await expectRefusal(
            try await enter(), .identityProviderUnavailable, "token endpoint: status \(status)")
        #expect(asked == [1, 1])
        #expect(stage.provider.evidence.withLock { $0.trapped } == 0, "a redirect was followed")
        try stage.fault("none")
        stage.advance(61)
        #expect(try await enter().session?.email == "alice@corp.example")
    }

    @Test("after a reload with another certificate the one before is shown no more")
    func changed() async throws {
        let (first, second) = (try make(), try make())
        try register(first)
        await stage.prove(.certificate(first), authorities: trust)
        #expect(try await enter().session != nil)
        try register(second)
        #expect(try await enter().refusal?.reason == .identityProviderRefused)
        await stage.prove(.certificate(second), authorities: trust)
        #expect(try await enter().session != nil)
        #expect(asked == [3, 3])
    }
}
