import Foundation
import Glibc
import JSON
import Signatures
import Testing

@testable import gatepost_agent

@Suite("Several gateways on one machine: a folder and a key for each")
struct GatewayFoldersTests {
    let folder: TemporaryFolder

    init() throws { folder = try TemporaryFolder() }

    static let wrong = [
        "http://a", "https://", "https://..", "https://../x", "https://.hidden", "https://-x", "https://:1",
        "https://a/b", "https://A.example", "https://a b", "https://" + String(repeating: "a", count: 201),
    ]

    @Test("an address is a folder's name only when it cannot lead elsewhere", arguments: wrong)
    func refused(_ origin: String) throws {
        let folders = try GatewayFolders(preparing: StateFolder(path: folder.path))
        #expect(throws: AgentError.self) { try folders.folder(of: origin) }
    }

    @Test("host and port make the name, and two gateways two folders") func names() throws {
        let folders = try GatewayFolders(preparing: StateFolder(path: folder.path))
        #expect(
            try folders.folder(of: "https://auth.corp.example:8443").path
                == folder.path + "/gateways/auth.corp.example_8443")
        #expect(
            try folders.folder(of: "https://auth.corp.example").path
                != folders.folder(of: "https://auth.corp.example:443").path)
        #expect(try folders.enrolled().isEmpty)
        #expect(throws: AgentError.self) { try folders.enrolledOrFail() }
    }

    @Test("an enrolment of an older agent moves to its gateway's folder, also when that was interrupted")
    func migration() throws {
        let state = StateFolder(path: folder.path)
        try AgentSetting().write(into: state)
        // As a power cut after the first file leaves it.
        let target = folder.path + "/gateways/auth.corp.example"
        try FileManager.default.createDirectory(
            atPath: target, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
        chmod(folder.path + "/gateways", 0o700)
        rename(folder.path + "/device-key.pem", target + "/device-key.pem")
        let folders = try GatewayFolders(preparing: state)
        let enrolled = try folders.enrolledOrFail()
        #expect(enrolled.map(\.path) == [target])
        let identity = try DeviceIdentity(folder: enrolled[0])
        #expect(identity.enrolment.deviceID == "device-1")
        #expect(try StatementCounter(folder: enrolled[0]).take() == 65)
        #expect(try state.read(Enrolment.fileName) == nil)
        #expect(try GatewayFolders(preparing: state).enrolled().count == 1, "once more changes nothing")
    }

    @Test("leaving removes key and certificate of one gateway and touches no other") func leave() throws {
        let machine = try TwoGateways(folder)
        let folders = machine.folders
        let first = try folders.folder(of: machine.settings[0].origin)
        try folders.remove(first)
        #expect(access(first.path, F_OK) != 0)
        #expect(try folders.enrolled().map(\.path) == [folders.folder(of: machine.settings[1].origin).path])
    }

    @Test("a second agent with the same state is refused") func oneAgent() throws {
        let folders = try GatewayFolders(preparing: StateFolder(path: folder.path))
        try folders.state.holdForThisProcess()
        #expect(throws: AgentError.self) { try folders.state.holdForThisProcess() }
    }

    @Test("each gateway is answered with its own key; neither's challenge counts for the other")
    func answers() throws {
        let machine = try TwoGateways(folder)
        let running = machine.running()
        try running.reload()
        defer { running.stop() }
        #expect(running.enrolments.map(\.authOrigin) == machine.settings.map(\.origin))
        var thumbprints: Set<String> = []
        for setting in machine.settings {
            let challenge = setting.challenge()
            let answer = try #require(machine.ask(running.gates, origin: setting.origin, challenge))
            #expect(answer.status == 200)
            let payload = try AgentSetting.payload(answer)
            #expect(payload["aud"] == .string(setting.origin))
            thumbprints.insert(payload["cnf"]?["jkt"]?.string ?? "")
        }
        #expect(thumbprints.count == 2)
        let foreign = machine.settings[1].challenge()
        let mixed = machine.ask(running.gates, origin: machine.settings[0].origin, foreign)
        #expect(mixed.flatMap(AgentSetting.word) == "gateway-not-trusted")
        #expect(machine.ask(running.gates, origin: "https://evil.example", foreign) == .silent)
        #expect(
            running.gates.gate(forChallenge: foreign)?.identity.enrolment.authOrigin
                == machine.settings[1].origin)
        // What comes without an Origin finds its gateway by the challenge that it brings.
        for path in ["/v1/nav", "/v1/popup", "/v1/p.gif"] {
            var visit = AgentSetting.post()
            (visit.method, visit.path, visit.query) = ("GET", path, "c=" + foreign)
            (visit.origin, visit.hasOrigin, visit.bodyLength) = (nil, false, 0)
            let gate = running.gates.gate(for: visit)
            #expect(gate?.identity.enrolment.authOrigin == machine.settings[1].origin, "\(path)")
        }
        #expect(running.gates.gate(forChallenge: "x.y.z") != nil, "somebody refuses it")
    }

    @Test("one gateway's page that asks too often takes nothing from the other's") func rates() throws {
        let machine = try TwoGateways(folder)
        let running = machine.running()
        try running.reload()
        defer { running.stop() }
        for _ in 0..<10 { _ = machine.ask(running.gates, origin: machine.settings[0].origin, "x.y.z") }
        let over = machine.ask(
            running.gates, origin: machine.settings[0].origin, machine.settings[0].challenge())
        #expect(over.flatMap(AgentSetting.word) == "rate-limited")
        let other = machine.ask(
            running.gates, origin: machine.settings[1].origin, machine.settings[1].challenge())
        #expect(other?.status == 200)
    }

    @Test("what enroll and leave change counts in the running agent, and one damaged gateway stops no other")
    func reloads() throws {
        let machine = try TwoGateways(folder)
        let running = machine.running()
        #expect(try running.reload())
        defer { running.stop() }
        #expect(!(try running.reload()), "nothing changed")
        let first = try machine.folders.folder(of: machine.settings[0].origin)
        try machine.folders.remove(first)
        #expect(try running.reload())
        #expect(running.enrolments.map(\.authOrigin) == [machine.settings[1].origin])
        let gone = machine.ask(
            running.gates, origin: machine.settings[0].origin, machine.settings[0].challenge())
        #expect(gone == .silent, "a gateway that was left is a stranger")
        try machine.settings[0].enrol(in: machine.folders)
        #expect(try running.reload())
        #expect(running.enrolments.count == 2)
        let second = try machine.folders.folder(of: machine.settings[1].origin)
        try second.write(Enrolment.fileName, Array("{".utf8))
        #expect(try running.reload())
        #expect(running.enrolments.map(\.authOrigin) == [machine.settings[0].origin])
        try machine.folders.remove(first)
        try running.reload()
        #expect(machine.ask(running.gates, origin: machine.settings[0].origin, "x") == nil, "nobody is left")
    }
}

/// A gateway without a network: its keys, and what it gave to a device.
struct GatewaySetting {
    let origin: String
    var port = 17_472
    let ring = KeyRing.ephemeral()
    var deviceID: String { "device-of-" + origin.dropFirst("https://".count) }

    /// Enrols a device of its own key.
    func enrol(in folders: GatewayFolders, now: Int64 = AgentSetting.now) throws {
        let key = SigningKey.generateP256()
        let pair = try EnrollmentAuthority.generateSelfSigned(commonName: "Devices", nowSeconds: now - 60)
        let csr = try CertificateRequest.make(key: key, commonName: "x")
        let leaf = try EnrollmentAuthority(certificatePEM: pair.certificatePEM, keyPEM: pair.keyPEM)
            .issue(csrDER: csr, deviceID: deviceID, validSeconds: 86_400, nowSeconds: now)
        let keys = KeyAnnouncement.signed(by: ring, issuer: origin, audience: "urn:gatepost:agents:agents")
        let answer: JSONValue = [
            "device_id": .string(deviceID), "auth_origin": .string(origin),
            "audience": "urn:gatepost:agents:agents", "port": .integer(Int64(port)),
            "renew_after_seconds": 86_400,
            "not_after": .integer(now + 864_000), "certificates": [.string(Base64.encode(leaf.der))],
            "gateway_keys": .array(keys.map { .string($0) }),
        ]
        let enrolment = try Enrolment(
            answer: answer, following: nil, nowSeconds: now, users: [1000], authoritiesPEM: nil)
        let folder = try folders.folder(of: origin)
        try folder.prepare()
        try folder.write(DeviceIdentity.keyFileName, key.pem)
        try folder.write(Enrolment.fileName, enrolment.stored)
    }

    func challenge(now: Int64 = AgentSetting.now) -> String {
        let signer = ring.signingKey(.challenge)
        let header = JSONObject([("typ", "posture-challenge+jwt"), ("kid", .string(signer.kid))])
        let payload = JSONObject([
            ("iss", .string(origin)), ("aud", "urn:gatepost:agents:agents"), ("iat", .integer(now)),
            ("nbf", .integer(now)), ("exp", .integer(now + 60)),
            ("jti", .string(Base64URL.encode(Random.bytes(16)))),
            ("nonce", .string(Base64URL.encode(Random.bytes(32)))), ("origin", .string(origin)),
            ("app", "wiki"), ("txh", "x"), ("rtn", .string(origin + "/.gatepost/posture/return")),
            ("req", ["platform"]), ("profiles", ["x5c"]), ("versions", ["min": 1, "max": 1]),
        ])
        return JWS.sign(header: header, payload: payload, with: signer.key)
    }
}

/// One machine, enrolled with two gateways.
struct TwoGateways {
    let settings = [
        GatewaySetting(origin: "https://auth.corp.example"),
        GatewaySetting(origin: "https://auth.customer.example"),
    ]
    let folders: GatewayFolders

    init(_ folder: TemporaryFolder) throws {
        folders = try GatewayFolders(preparing: StateFolder(path: folder.path))
        for setting in settings { try setting.enrol(in: folders) }
    }

    func running() -> RunningGateways {
        let clock = AgentClock(nowSeconds: { AgentSetting.now }, nowMilliseconds: { 0 })
        return RunningGateways(
            folders: folders, clock: clock, log: EventLog(hasPrefix: false) { _ in }
        ) { identity throws(AgentError) in
            let maker = AssertionMaker(
                identity: identity,
                collector: FactCollector(root: HostRoot("/nonexistent"), probes: [OperatingSystemFact()]),
                counter: try StatementCounter(folder: identity.folder))
            return AttestGate(identity: identity, maker: maker, users: [1000], peerUser: { _ in 1000 })
        }
    }

    /// As a connection asks; nil when there is no gateway at all.
    func ask(_ gates: GatewayGates, origin: String, _ challenge: String) -> AttestAnswer? {
        var request = AgentSetting.post()
        request.origin = origin
        guard let gate = gates.gate(for: request) else { return nil }
        if let answer = gate.judgeHead(request, peer: AgentSetting.peer) { return answer }
        let body = JSONValue.object(JSONObject([("challenge", .string(challenge))])).serialized()
        return gate.attest(
            request, body: body, peer: AgentSetting.peer, nowSeconds: AgentSetting.now, nowMilliseconds: 0)
    }
}
