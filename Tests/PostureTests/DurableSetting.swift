import Access
import Fetch
import Foundation
import JSON
import Signatures
import Store

@testable import Posture

/// A folder that is gone with the test.
final class TemporaryFolder: Sendable {
    let path: String

    init() throws {
        var template = Array("\(NSTemporaryDirectory())gatepost-posture-XXXXXX".utf8CString)
        guard let made = mkdtemp(&template) else { throw POSIXError(.EIO) }
        path = String(cString: made)
    }

    deinit { try? FileManager.default.removeItem(atPath: path) }
}

/// A service over the real store, its keys and its store in folders, able to start again on them.
final class DurableSetting {
    let folder: TemporaryFolder
    let clock = TestClock(Setting.start)
    let authority: EnrollmentAuthority
    let fetcher: any Fetcher
    let intune: [IntuneConnection]
    private(set) var store: SQLiteStore
    private(set) var service: PostureService

    init(intune: [IntuneConnection] = [], fetcher: any Fetcher = NoFetcher()) async throws {
        folder = try TemporaryFolder()
        let pair = try EnrollmentAuthority.generateSelfSigned(
            commonName: "Devices", nowSeconds: Setting.start - 86_400)
        authority = try EnrollmentAuthority(certificatePEM: pair.certificatePEM, keyPEM: pair.keyPEM)
        self.fetcher = fetcher
        self.intune = intune
        (store, service) = try Self.start(folder, authority, intune, fetcher, clock)
        try await service.load()
    }

    /// A new process on the same folders.
    func restart() async throws {
        await store.close()
        (store, service) = try Self.start(folder, authority, intune, fetcher, clock)
        try await service.load()
    }

    private static func start(
        _ folder: TemporaryFolder, _ authority: EnrollmentAuthority, _ intune: [IntuneConnection],
        _ fetcher: any Fetcher, _ clock: TestClock
    ) throws -> (SQLiteStore, PostureService) {
        let store = try SQLiteStore(folder: folder.path + "/store")
        let ring = try KeyRing(folder: folder.path + "/keys")
        let handshake = HandshakeSettings(integration: "agents", authOrigin: Setting.origin)
        let service = PostureService(
            agents: [AgentIntegration(handshake: handshake, authority: authority)], intune: intune,
            ring: ring,
            store: store, fetcher: fetcher, clock: clock.clock, random: { 0.5 })
        return (store, service)
    }

    func token(subject: String = Setting.person.subject) async throws -> String {
        try await service.createEnrollmentToken(issuer: Setting.person.issuer, subject: subject, email: nil)
    }

    func enroll(_ ids: JSONObject = JSONObject()) async throws -> FakeAgent {
        let key = SigningKey.generateP256()
        let csr = try CertificateRequest.make(key: key, commonName: "laptop")
        let answer = try await service.enroll([
            "token": .string(try await token()), "csr": .string(Base64.encode(csr)),
            "facts": ["platform": "linux", "device_ids": .object(ids)],
        ])
        let chain = (answer["certificates"]?.array ?? []).compactMap { $0.string.flatMap(Base64.decode) }
        return FakeAgent(key: key, deviceID: answer["device_id"]?.string ?? "", chain: chain)
    }

    func challenge() async throws -> (transaction: String, challenge: String) {
        let transaction = try await service.start(
            globalSession: "session-a", application: "wiki", returnPath: "/x")
        let value = try await service.challenge(transaction: transaction, globalSession: "session-a")
        return (transaction, value["challenge"]?.string ?? "")
    }

    /// The refusal of one assertion, nil when it passed.
    func refusal(_ transaction: String, _ assertion: String) async -> Reason? {
        do throws(PostureRefusal) {
            _ = try await service.assert(
                transaction: transaction, assertion: assertion, globalSession: "session-a",
                issuer: Setting.person.issuer, subject: Setting.person.subject)
            return nil
        } catch {
            return error.reason
        }
    }

    /// One whole handshake with this counter.
    func handshake(_ agent: FakeAgent, counter: Int64) async throws -> Reason? {
        let (transaction, challenge) = try await challenge()
        let assertion = try agent.assertion(for: challenge, now: clock.now, counter: counter)
        return await refusal(transaction, assertion)
    }
}
