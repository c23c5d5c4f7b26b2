import Access
import Foundation
import JSON
import Signatures
import Store
import Synchronization
import Testing

@testable import Posture
@testable import gatepost_lab

@Suite("The lab's management server signs what the gateway's verifier takes")
struct ManagementServerTests {
    @Test("a statement of the lab verifies, under the current and under the next certificate, and only then")
    func statement() throws {
        let clock = LabClock(base: { 1_770_000_000 })
        let server = ManagementServer(issuer: "https://management.test", clock: clock)
        let certificates = try server.certificatesPEM.map { try Certificate(pem: $0) }
        let verifier = StatementVerifier(
            trust: try StatementTrust(certificates: certificates, issuer: "https://management.test"))
        let old = StatementVerifier(
            trust: try StatementTrust(certificates: [certificates[0]], issuer: "https://management.test"))
        let key = SigningKey.generateP256()
        #expect(server.statement(of: "d1") == nil)
        server.state.withLock {
            $0.records["d1"] = .init(
                thumbprint: key.publicKey.thumbprint, ownerEmail: "ada@corp.example", isManaged: false)
        }
        let first = try #require(server.statement(of: "d1"))
        let read = try verifier.verify(first, nowSeconds: clock.nowSeconds)
        #expect(read.subject == "d1" && !read.isManaged && read.owner == .email("ada@corp.example"))
        #expect(read.lastSeenSeconds == clock.nowSeconds)
        server.state.withLock { $0.signsWithNext = true }
        let second = try #require(server.statement(of: "d1"))
        _ = try verifier.verify(second, nowSeconds: clock.nowSeconds)
        _ = try old.verify(first, nowSeconds: clock.nowSeconds)
        #expect(throws: PostureRefusal.self) { try old.verify(second, nowSeconds: clock.nowSeconds) }
        clock.setOffset(seconds: 86_400)
        #expect(throws: PostureRefusal.self) { try verifier.verify(first, nowSeconds: clock.nowSeconds) }
    }
}
