// Fuzz entry for what the agent reads from a socket (libFuzzer): the request head, the gate's judgement of it, the
// body and the challenge in it. Built by scripts/fuzz, together with the agent's own files.
import JSON
import Signatures

/// One enrolled agent for the whole run. Its own state lies in a folder that the script makes.
private final class FuzzedAgent: @unchecked Sendable {
    // Made once, on first use; libFuzzer calls from one thread.
    static let shared = FuzzedAgent()
    static let now: Int64 = 1_900_000_000

    let enrolment: Enrolment
    let gateway: SigningKey
    let kid: String

    init() {
        let ring = KeyRing.ephemeral()
        (kid, gateway) = ring.signingKey(.challenge)
        let origin = "https://auth.corp.example"
        guard
            let pair = try? EnrollmentAuthority.generateSelfSigned(
                commonName: "Fuzz", nowSeconds: Self.now - 60),
            let csr = try? CertificateRequest.make(key: SigningKey.generateP256(), commonName: "x"),
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
    }
}

/// Traps when a law of the agent's input does not hold for these bytes.
///
/// The first byte chooses: a request as it comes from the socket, a challenge as a text, or a challenge whose payload is
/// these bytes under a right signature, which is as far as a hostile gateway gets.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzAgentInput(_ start: UnsafePointer<UInt8>, _ count: Int) -> CInt {
    guard count > 0 else { return 0 }
    let bytes = [UInt8](UnsafeBufferPointer(start: start, count: count))
    let rest = Array(bytes.dropFirst())
    switch bytes[0] % 3 {
    case 0: fuzzRequest(rest)
    case 1: fuzzChallenge(String(decoding: rest, as: UTF8.self))
    default: fuzzSigned(rest)
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
    let header: JSONObject = [
        "typ": "posture-challenge+jwt", "kid": .string(agent.kid), "alg": "ES256",
    ]
    let input = Base64URL.encode(header.serialized()) + "." + Base64URL.encode(payload)
    let text = input + "." + Base64URL.encode(agent.gateway.sign(Array(input.utf8)))
    guard let challenge = try? Challenge(text, enrolment: agent.enrolment, nowSeconds: FuzzedAgent.now) else {
        return
    }
    precondition(challenge.expiresAtSeconds + 120 >= FuzzedAgent.now)
    precondition(challenge.expiresAtSeconds <= FuzzedAgent.now + 180 + 120)
    precondition(challenge.requested.count <= 64 && Base64URL.decode(challenge.nonce)?.count == 32)
}
