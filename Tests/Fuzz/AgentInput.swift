// Fuzz entry for what the agent reads from a socket (libFuzzer): the request head, the gate's judgement of it, the
// body or query and the challenge in them, and what is answered. Built by scripts/fuzz, together with the agent's own
// files.
import Glibc
import JSON
import Signatures
import Synchronization

/// One enrolled agent for the whole run. Its folder is gone when the program is.
private final class FuzzedAgent: @unchecked Sendable {
    // Made once, on first use; libFuzzer calls from one thread.
    static let shared = FuzzedAgent()
    static let now: Int64 = 1_900_000_000

    static let origin = "https://auth.corp.example"
    static let wayBack = origin + "/.gatepost/posture/return"
    static let peer = Peer(address: 127 << 24 | 1, port: 40_000, localPort: 17472)
    /// In inputs: stands for a good challenge, whose bytes are other ones in every run.
    static let mark = Array("$C".utf8)

    let enrolment: Enrolment
    let gateway: SigningKey
    let kid: String
    let gate: AttestGate

    init() {
        let ring = KeyRing.ephemeral()
        (kid, gateway) = ring.signingKey(.challenge)
        let origin = Self.origin
        let key = SigningKey.generateP256()
        guard
            let pair = try? EnrollmentAuthority.generateSelfSigned(
                commonName: "Fuzz", nowSeconds: Self.now - 60),
            let csr = try? CertificateRequest.make(key: key, commonName: "x"),
            let leaf = try? EnrollmentAuthority(certificatePEM: pair.certificatePEM, keyPEM: pair.keyPEM)
                .issue(csrDER: csr, deviceID: "fuzz", validSeconds: 86_400, nowSeconds: Self.now)
        else { preconditionFailure("no device") }
        let keys = KeyAnnouncement.signed(by: ring, issuer: origin, audience: "urn:gatepost:agents:fuzz")
        let answer: JSONValue = [
            "device_id": "fuzz", "auth_origin": .string(origin), "audience": "urn:gatepost:agents:fuzz",
            "port": 17472, "renew_after_seconds": 60, "not_after": .integer(Self.now + 86_400),
            "certificates": [.string(Base64.encode(leaf.der))],
            "gateway_keys": .array(keys.map { .string($0) }),
        ]
        guard
            let made = try? Enrolment(
                answer: answer, following: nil, nowSeconds: Self.now, users: [], authoritiesPEM: nil)
        else { preconditionFailure("no enrolment") }
        enrolment = made
        var template = Array("/tmp/gatepost-fuzz-XXXXXX".utf8CString)
        guard let raw = mkdtemp(&template) else { preconditionFailure("no folder") }
        let folder = StateFolder(path: String(cString: raw))
        fuzzedFolder = folder.path
        atexit {
            unlink(fuzzedFolder + "/" + StatementCounter.fileName)
            rmdir(fuzzedFolder)
        }
        let identity = DeviceIdentity(folder: folder, key: key, enrolment: made)
        guard let counter = try? StatementCounter(folder: folder) else { preconditionFailure("no counter") }
        let nothing = FactCollector(root: HostRoot("/nonexistent"), probes: [])
        gate = AttestGate(
            identity: identity,
            maker: AssertionMaker(identity: identity, collector: nothing, counter: counter), users: [1000],
            peerUser: { _ in 1000 })
    }

    /// What a gateway signs: a challenge with this payload.
    func signed(_ payload: [UInt8]) -> String {
        let header: JSONObject = [
            "typ": "posture-challenge+jwt", "kid": .string(kid), "alg": "ES256",
        ]
        let input = Base64URL.encode(header.serialized()) + "." + Base64URL.encode(payload)
        return input + "." + Base64URL.encode(gateway.sign(Array(input.utf8)))
    }

    /// A good challenge, the same in all of a run.
    lazy var challenge: [UInt8] = {
        let payload: JSONObject = [
            "iss": .string(Self.origin), "aud": "urn:gatepost:agents:fuzz", "iat": .integer(Self.now),
            "nbf": .integer(Self.now), "exp": .integer(Self.now + 60), "jti": "j",
            "nonce": .string(Base64URL.encode([UInt8](repeating: 7, count: 32))),
            "origin": .string(Self.origin),
            "rtn": .string(Self.wayBack), "profiles": ["x5c", "stmt"], "versions": ["min": 1, "max": 1],
        ]
        return Array(signed(payload.serialized()).utf8)
    }()

    /// The input with good challenges where it asks for them, and whether it did.
    func filled(_ bytes: [UInt8]) -> (bytes: [UInt8], hasChallenge: Bool) {
        var filled: [UInt8] = []
        var index = 0
        var count = 0
        while index < bytes.count {
            if count < 2, bytes[index...].starts(with: Self.mark) {
                filled += challenge
                count += 1
                index += Self.mark.count
            } else {
                filled.append(bytes[index])
                index += 1
            }
        }
        return (filled, count > 0)
    }

    /// Head, then body, by a gate that remembers nothing of inputs before: the same bytes get the same answer.
    func answer(_ request: AttestRequest, _ body: [UInt8]) -> AttestAnswer {
        gate.memory.withLock { $0 = AttestGate.Memory() }
        if let answer = gate.judgeHead(request, peer: Self.peer) { return answer }
        return gate.attest(
            request, body: body, peer: Self.peer, nowSeconds: Self.now, nowMilliseconds: 0)
    }
}

// Written once, before the handler that reads it is registered; libFuzzer calls from one thread.
nonisolated(unsafe) private var fuzzedFolder = ""

/// Traps when a law of the agent's input does not hold for these bytes.
///
/// The first byte chooses: a request head as it comes from the socket; a challenge as a text; a challenge whose payload
/// is these bytes under a right signature, which is as far as a hostile gateway gets; a whole request through the gate;
/// the query of a visit; a body from the gateway's page; a visit with such a payload.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzAgentInput(_ start: UnsafePointer<UInt8>, _ count: Int) -> CInt {
    guard count > 0 else { return 0 }
    let bytes = [UInt8](UnsafeBufferPointer(start: start, count: count))
    let rest = Array(bytes.dropFirst())
    let agent = FuzzedAgent.shared
    switch bytes[0] % 7 {
    case 0: fuzzRequest(rest)
    case 1: fuzzChallenge(String(decoding: rest, as: UTF8.self))
    case 2: fuzzSigned(rest)
    case 3: fuzzExchange(rest)
    case 4: fuzzVisit(rest)
    case 5:
        let (body, hasChallenge) = agent.filled(rest)
        let answer = agent.answer(page(bodyLength: body.count), body)
        precondition(body.count <= 8_192 || answer == .silent, "an overlong body was answered")
        precondition(answer.status != 200 || hasChallenge, "an answer without a challenge")
        check(answer, to: page(bodyLength: body.count))
    default:
        let payload = try? JSONValue(parsing: rest, limits: .token).object
        for path in ["/v1/nav", "/v1/popup", "/v1/p.gif"] {
            let request = visit(path, query: Array(("c=" + agent.signed(rest)).utf8))
            check(agent.answer(request, []), to: request, wayBack: payload?["rtn"]?.string)
        }
    }
    return 0
}

private func fuzzRequest(_ bytes: [UInt8]) {
    var reader = HeadReader()
    switch reader.read(bytes) {
    case .needMore: precondition(bytes.count <= HeadReader.headBytesMax)
    case .refused: break
    case .head(_, let headBytes):
        precondition(headBytes <= bytes.count && headBytes <= HeadReader.headBytesMax + 4)
        // A head is the same whatever follows it, and no part of it is one.
        var again = HeadReader()
        guard case .head(_, headBytes) = again.read(bytes + [0x41]) else {
            preconditionFailure("a byte behind the head changed it")
        }
        var short = HeadReader()
        if case .head = short.read(Array(bytes[..<(headBytes - 1)])) {
            preconditionFailure("a head without its end")
        }
    }
}

private func fuzzChallenge(_ text: String) {
    let agent = FuzzedAgent.shared
    guard let challenge = try? Challenge(text, enrolment: agent.enrolment, nowSeconds: FuzzedAgent.now) else {
        return
    }
    preconditionFailure("a forged challenge was believed: \(challenge.identifier)")
}

private func fuzzSigned(_ payload: [UInt8]) {
    let agent = FuzzedAgent.shared
    let text = agent.signed(payload)
    guard let challenge = try? Challenge(text, enrolment: agent.enrolment, nowSeconds: FuzzedAgent.now) else {
        return
    }
    precondition(challenge.expiresAtSeconds + 120 >= FuzzedAgent.now)
    precondition(challenge.expiresAtSeconds <= FuzzedAgent.now + 180 + 120)
    precondition(challenge.requested.count <= 64 && Base64URL.decode(challenge.nonce)?.count == 32)
}

/// The gateway's own page, asking over fetch.
private func page(bodyLength: Int) -> AttestRequest {
    var request = AttestRequest(method: "POST", path: "/v1/attest", host: "127.0.0.1", port: 17472)
    request.origin = FuzzedAgent.origin
    request.hasOrigin = true
    request.contentType = "application/json"
    request.bodyLength = Int64(bodyLength)
    return request
}

private func visit(_ path: String, query: [UInt8]) -> AttestRequest {
    var request = AttestRequest(method: "GET", path: path, host: "localhost", port: 17472)
    request.query = String(decoding: query, as: UTF8.self)
    request.bodyLength = 0
    return request
}

/// A head and what follows it, as `Connection` takes them apart.
private func fuzzExchange(_ input: [UInt8]) {
    let agent = FuzzedAgent.shared
    let (bytes, hasChallenge) = agent.filled(input)
    var reader = HeadReader()
    guard case .head(let request, let headBytes) = reader.read(bytes) else { return }
    let body = Array(bytes[headBytes...])
    guard
        agent.gate.judgeHead(request, peer: FuzzedAgent.peer) != nil
            || body.count == Int(request.bodyLength ?? 0)
    else { return }
    let answer = agent.answer(request, body)
    precondition(answer.status != 200 || hasChallenge, "an answer without a challenge")
    check(answer, to: request, wayBack: FuzzedAgent.wayBack)
    // Of another machine nothing is ever told.
    let outside = Peer(address: 10 << 24 | 1, port: 40_000, localPort: 17472)
    precondition(agent.gate.judgeHead(request, peer: outside) == .silent, "a peer of another machine")
}

private func fuzzVisit(_ query: [UInt8]) {
    let agent = FuzzedAgent.shared
    guard let first = query.first else { return }
    let (filled, hasChallenge) = agent.filled(Array(query.dropFirst()))
    let path = ["/v1/nav", "/v1/popup", "/v1/p.gif"][Int(first) % 3]
    let request = visit(path, query: filled)
    let answer = agent.answer(request, [])
    precondition(answer == .silent || hasChallenge, "a stranger's visit was answered")
    check(answer, to: request, wayBack: FuzzedAgent.wayBack)
}

/// What holds of every answer, whatever was asked.
///
/// - Parameter wayBack: the only place that a redirect may lead to; nil: nowhere.
private func check(_ answer: AttestAnswer, to request: AttestRequest, wayBack: String? = nil) {
    for (name, value) in answer.fields {
        precondition(
            name.utf8.allSatisfy { $0 > 0x20 && $0 < 0x7f && $0 != UInt8(ascii: ":") }, "a field name")
        precondition(value.utf8.allSatisfy { $0 >= 0x20 && $0 < 0x7f }, "a field could end in its value")
    }
    func values(_ name: String) -> [String] {
        answer.fields.compactMap { $0.0.lowercased() == name ? $0.1 : nil }
    }
    let isPinned = request.origin.map { Array($0.utf8) == Array(FuzzedAgent.origin.utf8) } ?? false
    let allowed = values("access-control-allow-origin")
    precondition(allowed.isEmpty || (isPinned && allowed == [FuzzedAgent.origin]), "CORS for a stranger")
    precondition(values("access-control-allow-credentials").isEmpty, "credentials")
    let isOurHost = ["127.0.0.1", "localhost", "[::1]"].contains(request.host) && request.port == 17472
    precondition(isOurHost || answer == .misdirected, "another Host was answered")
    switch answer.status {
    case 403 where answer.body.isEmpty: precondition(answer == .silent, "two kinds of silence")
    case 421: precondition(answer == .misdirected && !isOurHost, "misdirected")
    case 303:
        let targets = values("location")
        precondition(request.method == "GET" && targets.count == 1, "a redirect of something else")
        guard let wayBack, let target = targets.first else { preconditionFailure("a redirect to nowhere") }
        precondition(wayBack.utf8.starts(with: (FuzzedAgent.origin + "/").utf8), "a way back elsewhere")
        precondition(target.utf8.starts(with: wayBack.utf8), "a redirect to elsewhere")
        let rest = Array(target.utf8.dropFirst(wayBack.utf8.count).prefix(3))
        precondition(["?a=", "&a=", "?e=", "&e="].contains { Array($0.utf8) == rest }, "another parameter")
    case 200 where request.method == "GET":
        let isPage = request.path == "/v1/popup"
        precondition(isPage || answer.body == AttestGate.point, "neither a page nor a point")
        let policy = values("content-security-policy").first ?? ""
        precondition(!isPage || policy.hasPrefix("default-src 'none'"), "a page without its policy")
        precondition(values("cross-origin-opener-policy").isEmpty, "its opener would be cut off")
    default: precondition(isPinned, "a stranger learnt \(answer.status)")
    }
}
