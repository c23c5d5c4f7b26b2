import Foundation
import Glibc
import JSON
import Signatures
import Synchronization
import Testing

@testable import gatepost_agent

/// A folder that is gone when the test is.
final class TemporaryFolder: Sendable {
    let path: String

    init() throws {
        path = "\(NSTemporaryDirectory())agent-" + Base64URL.encode(Random.bytes(9))
        try FileManager.default.createDirectory(
            atPath: path, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
    }

    deinit { try? FileManager.default.removeItem(atPath: path) }

    /// Writes a file of a fixture machine, folders included.
    func put(_ file: String, _ text: String) throws { try put(file, bytes: Array(text.utf8)) }

    func put(_ file: String, bytes: [UInt8]) throws {
        let full = path + file
        try FileManager.default.createDirectory(
            atPath: (full as NSString).deletingLastPathComponent, withIntermediateDirectories: true)
        try Data(bytes).write(to: URL(filePath: full))
    }
}

/// An enrolled agent on a machine that is a folder, and the gateway's key to sign challenges with.
final class AgentSetting: Sendable {
    static let origin = "https://auth.corp.example"
    static let now: Int64 = 1_900_000_000
    static let peer = Peer(address: 127 << 24 | 1, port: 40_000, localPort: 17472)

    let folder: TemporaryFolder
    let ring = KeyRing.ephemeral()
    let gateway: SigningKey
    let identity: DeviceIdentity
    let gate: AttestGate

    init() throws {
        let folder = try TemporaryFolder()
        self.folder = folder
        let key = SigningKey.generateP256()
        let authority = try EnrollmentAuthority.generateSelfSigned(
            commonName: "Devices", nowSeconds: Self.now - 60)
        let csr = try CertificateRequest.make(key: key, commonName: "x")
        let issuer = try EnrollmentAuthority(
            certificatePEM: authority.certificatePEM, keyPEM: authority.keyPEM)
        self.authority = issuer
        let leaf = try issuer.issue(
            csrDER: csr, deviceID: "device-1", validSeconds: 86_400, nowSeconds: Self.now)
        // Without its name: a header without "kid" stays without.
        gateway = try SigningKey(pem: ring.signingKey(.challenge).key.pem)
        let answer = Self.answer(leaf, ring)
        certificate = leaf
        let state = StateFolder(path: folder.path)
        let enrolment = try Enrolment(
            answer: answer, following: nil, nowSeconds: Self.now, users: [1000], authoritiesPEM: nil)
        identity = DeviceIdentity(folder: state, key: key, enrolment: enrolment)
        try folder.put("/machine/etc/os-release", "ID=debian\nVERSION_ID=\"12\"\n")
        let root = HostRoot(folder.path + "/machine")
        let maker = AssertionMaker(
            identity: identity,
            collector: FactCollector(
                root: root, probes: FactProbes.all(deviceIDsPath: "/none", machineIDKey: [1])),
            counter: try StatementCounter(folder: state))
        let found = PeerBox()
        peerBox = found
        gate = AttestGate(
            identity: identity, maker: maker, users: [1000],
            peerUser: { _ in found.user.withLock { $0 } })
    }

    let certificate: Certificate
    let authority: EnrollmentAuthority

    /// Writes this enrolment as an agent of one gateway left it, all in the state folder itself.
    func write(into state: StateFolder) throws {
        try state.prepare()
        let key = try #require(identity.key as? SigningKey)
        try state.write(DeviceIdentity.keyFileName, key.pem)
        try state.write(StatementCounter.fileName, Array("65".utf8))
        try state.write(Enrolment.fileName, identity.enrolment.stored)
    }

    /// What the gateway answers to `enroll` and `renew`.
    static func answer(_ leaf: Certificate, _ ring: KeyRing) -> JSONValue {
        let keys = KeyAnnouncement.signed(by: ring, issuer: origin, audience: "urn:gatepost:agents:agents")
        return [
            "device_id": "device-1", "auth_origin": .string(origin),
            "audience": "urn:gatepost:agents:agents",
            "port": 17472, "renew_after_seconds": 86_400, "not_after": .integer(now + 86_400),
            "certificates": [.string(Base64.encode(leaf.der))],
            "gateway_keys": .array(keys.map { .string($0) }),
        ]
    }

    /// Who the kernel says is asking.
    final class PeerBox: Sendable { let user = Mutex<UInt32?>(1000) }
    let peerBox: PeerBox

    /// A challenge as the gateway makes it, changed by the test.
    func challenge(
        signer: SigningKey? = nil, header change: (inout JSONObject) -> Void = { _ in },
        payload edit: (inout JSONObject) -> Void = { _ in }
    ) -> String {
        var header = JSONObject([
            ("typ", "posture-challenge+jwt"), ("kid", .string(ring.signingKey(.challenge).kid)),
        ])
        var payload = JSONObject([
            ("iss", .string(Self.origin)), ("aud", "urn:gatepost:agents:agents"), ("iat", .integer(Self.now)),
            ("nbf", .integer(Self.now)), ("exp", .integer(Self.now + 60)),
            ("jti", .string(Base64URL.encode(Random.bytes(16)))),
            ("nonce", .string(Base64URL.encode(Random.bytes(32)))), ("origin", .string(Self.origin)),
            ("app", "wiki"),
            ("txh", "x"), ("rtn", .string(Self.origin + "/.gatepost/posture/return")),
            ("req", ["os-name", "platform"]), ("profiles", ["x5c"]), ("versions", ["min": 1, "max": 1]),
        ])
        change(&header)
        edit(&payload)
        return JWS.sign(header: header, payload: payload, with: signer ?? gateway)
    }

    static func post() -> AttestRequest {
        var request = AttestRequest(method: "POST", path: "/v1/attest", host: "127.0.0.1", port: 17472)
        request.origin = origin
        request.contentType = "application/json"
        request.bodyLength = 1000
        return request
    }

    /// Head, then body: as a connection does it.
    func ask(
        _ request: AttestRequest, _ challenge: String, peer: Peer = AgentSetting.peer,
        now: Int64 = AgentSetting.now
    ) -> AttestAnswer {
        if let answer = gate.judgeHead(request, peer: peer) { return answer }
        let body = JSONValue.object(JSONObject([("challenge", .string(challenge))])).serialized()
        return gate.attest(request, body: body, peer: peer, nowSeconds: now, nowMilliseconds: 0)
    }

    func ask(_ challenge: String, now: Int64 = AgentSetting.now) -> AttestAnswer {
        ask(AgentSetting.post(), challenge, now: now)
    }

    /// What the assertion in an answer says.
    static func payload(_ answer: AttestAnswer) throws -> JSONObject {
        let text = try JSONValue(parsing: answer.body)["assertion"]?.string ?? ""
        return try JWS(compact: text).payloadObject
    }

    static func word(_ answer: AttestAnswer) -> String? {
        (try? JSONValue(parsing: answer.body))?["error"]?.string
    }
}
