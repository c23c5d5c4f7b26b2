import Access
import Fetch
import JSON
import Posture
import Signatures
import Store
import Synchronization

@testable import gatepost_agent

/// The gateway's own posture service over its real store, reached by the agent's own exchange.
final class GatewayInProcess: Fetcher, Sendable {
    static let person = (issuer: "https://idp.example", subject: "ada")

    let folder: TemporaryFolder
    let ring = KeyRing.ephemeral()
    let store: SQLiteStore
    let service: PostureService
    private let time: SharedTime

    /// Seconds of both sides.
    var now: Int64 {
        get { time.now.withLock { $0 } }
        set { time.now.withLock { $0 = newValue } }
    }

    init(minimumVersion: String? = nil, chipAuthorities: EndorsementAuthorities? = nil) throws {
        let folder = try TemporaryFolder()
        self.folder = folder
        store = try SQLiteStore(folder: folder.path + "/store")
        let pair = try EnrollmentAuthority.generateSelfSigned(
            commonName: "Devices", nowSeconds: AgentSetting.now - 86_400)
        let authority = try EnrollmentAuthority(certificatePEM: pair.certificatePEM, keyPEM: pair.keyPEM)
        var handshake = HandshakeSettings(
            integration: "agents", authOrigin: AgentSetting.origin, minimumVersion: minimumVersion)
        handshake.isChipMakerDemanded = chipAuthorities != nil
        let enrollment = EnrollmentSettings(chipAuthorities: chipAuthorities)
        let time = SharedTime()
        self.time = time
        service = try PostureService(
            agents: [AgentIntegration(handshake: handshake, enrollment: enrollment, authority: authority)],
            providers: [], ring: ring,
            store: store, fetcher: NoNetwork(),
            clock: PostureClock(
                nowSeconds: { time.now.withLock { $0 } }, monotonicNanoseconds: { 0 }, sleep: { _ in }))
    }

    func fetch(_ request: FetchRequest) async throws(FetchError) -> FetchResponse {
        guard request.method == "POST", let bytes = request.body, let body = try? JSONValue(parsing: bytes)
        else {
            throw FetchError(.refusedURL, request.url)
        }
        do throws(PostureRefusal) {
            let answer: JSONValue
            if request.url == AgentSetting.origin + "/.gatepost/enroll" {
                answer = try await service.enroll(body)
            } else if request.url == AgentSetting.origin + "/.gatepost/renew" {
                answer = try await service.renew(body)
            } else {
                throw PostureRefusal(.routeNotFound, request.url)
            }
            return FetchResponse(status: 200, fields: [], body: answer.serialized())
        } catch {
            let body = JSONObject([("reason", .string(error.reason.rawValue))])
            return FetchResponse(status: 403, fields: [], body: JSONValue.object(body).serialized())
        }
    }

    func token(subject: String = GatewayInProcess.person.subject) async throws -> String {
        try await service.createEnrollmentToken(issuer: Self.person.issuer, subject: subject, email: nil)
    }

    func challenge() async throws -> (transaction: String, challenge: String) {
        let transaction = try await service.start(
            globalSession: "session-a", application: "wiki", returnPath: "/x")
        let value = try await service.challenge(transaction: transaction, globalSession: "session-a")
        return (transaction, value["challenge"]?.string ?? "")
    }

    func judge(_ transaction: String, _ assertion: String) async throws(PostureRefusal) -> DeviceProof {
        try await service.assert(
            transaction: transaction, assertion: assertion, globalSession: "session-a",
            issuer: Self.person.issuer, subject: Self.person.subject)
    }
}

/// Time that moves only when a test moves it.
final class SharedTime: Sendable {
    let now = Mutex(AgentSetting.now)
}

struct NoNetwork: Fetcher {
    func fetch(_ request: FetchRequest) async throws(FetchError) -> FetchResponse {
        throw FetchError(.unreachable, "no network in this test")
    }
}

/// One machine that is a folder, enrolled with a gateway in this process.
struct EnrolledMachine: Sendable {
    /// Held, because the counter lives in it.
    let folder: TemporaryFolder
    let identity: DeviceIdentity
    let gate: AttestGate

    /// Enrols with a new key; `predecessor` as `enroll --force` reads it from the state folder.
    init(
        _ gateway: GatewayInProcess, folder: TemporaryFolder, ids: String, predecessor: DeviceIdentity? = nil
    ) async throws {
        self.folder = folder
        try folder.put("/machine/etc/os-release", "ID=debian\nVERSION_ID=\"12\"\n")
        try folder.put("/machine/etc/ids.json", ids)
        let state = StateFolder(path: folder.path)
        let probes = FactProbes.all(deviceIDsPath: "/etc/ids.json", machineIDKey: [1])
        let collector = FactCollector(root: HostRoot(folder.path + "/machine"), probes: probes)
        let key = SigningKey.generateP256()
        let enrolment = try await GatewayExchange(fetcher: gateway).enroll(
            url: AgentSetting.origin, token: try await gateway.token(), key: key,
            facts: collector.collect(nowSeconds: gateway.now, patience: 60_000), users: [1000],
            authoritiesPEM: nil,
            predecessor: predecessor, nowSeconds: gateway.now)
        identity = DeviceIdentity(folder: state, key: key, enrolment: enrolment)
        let maker = AssertionMaker(
            identity: identity, collector: collector, counter: try StatementCounter(folder: state))
        gate = AttestGate(
            identity: identity, maker: maker, users: [1000], peerUser: { _ in 1000 })
    }

    /// The gate's answer to a challenge, as the page gets it.
    func attest(_ challenge: String, nowSeconds: Int64) -> AttestAnswer {
        let body = JSONValue.object(JSONObject([("challenge", .string(challenge))])).serialized()
        return gate.attest(
            AgentSetting.post(), body: body, peer: AgentSetting.peer, nowSeconds: nowSeconds,
            nowMilliseconds: 0)
    }
}
