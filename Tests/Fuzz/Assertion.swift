// Fuzz entry for what the gateway reads of an agent's answer (libFuzzer). Built by scripts/fuzz, together with
// the verifier's own files.
import JSON
import Signatures

private final class FuzzedGateway: @unchecked Sendable {
    // Made once, on first use; libFuzzer calls from one thread.
    static let shared = FuzzedGateway()
    static let now: Int64 = 1_900_000_000
    static let origin = "https://auth.corp.example"

    let verifier: AssertionVerifier
    let key = SigningKey.generateP256()
    let chain: JSONValue
    let thumbprint: String
    let nonce = [UInt8](repeating: 7, count: 32)
    let issued = IssuedChallenge(
        transaction: "t", transactionHash: "h", challengeHash: "c", expiresAtSeconds: now + 60)

    init() {
        guard
            let pair = try? EnrollmentAuthority.generateSelfSigned(
                commonName: "Fuzz", nowSeconds: Self.now - 60),
            let authority = try? EnrollmentAuthority(
                certificatePEM: pair.certificatePEM, keyPEM: pair.keyPEM),
            let csr = try? CertificateRequest.make(key: key, commonName: "x"),
            let leaf = try? authority.issue(
                csrDER: csr, deviceID: "fuzz", validSeconds: 86_400, nowSeconds: Self.now)
        else { preconditionFailure("no authority") }
        verifier = AssertionVerifier(
            settings: HandshakeSettings(integration: "agents", authOrigin: Self.origin), authority: authority)
        chain = [.string(Base64.encode(leaf.der))]
        thumbprint = leaf.publicKey.thumbprint
    }

    func verify(_ text: String) -> AssertionVerifier.Verified? {
        try? verifier.verify(text, challenge: issued, nonce: nonce, nowSeconds: Self.now) { $0 == "revoked" }
    }
}

/// Traps when a law of the verifier does not hold for these bytes.
///
/// The first byte chooses: any text, a payload under a right signature (which is as far as a hostile device gets), a
/// header around the same, or certificates.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzAssertion(_ start: UnsafePointer<UInt8>, _ count: Int) -> CInt {
    guard count > 0 else { return 0 }
    let bytes = [UInt8](UnsafeBufferPointer(start: start, count: count))
    let rest = Array(bytes.dropFirst())
    let gateway = FuzzedGateway.shared
    switch bytes[0] % 4 {
    case 0:
        let text = String(decoding: rest, as: UTF8.self)
        _ = try? AssertionClaims.nonce(ofUnverified: text)
        precondition(gateway.verify(text) == nil, "a forged assertion was believed")
    case 1:
        let header: JSONObject = ["typ": "posture+jwt", "alg": "ES256", "x5c": gateway.chain]
        check(signed(header.serialized(), rest), gateway)
    case 2: check(signed(rest, Array("{}".utf8)), gateway)
    default:
        let header: JSONObject = [
            "typ": "posture+jwt", "alg": "ES256", "x5c": [.string(Base64.encode(rest))],
        ]
        precondition(gateway.verify(signed(header.serialized(), Array("{}".utf8))) == nil)
    }
    return 0
}

private func signed(_ header: [UInt8], _ payload: [UInt8]) -> String {
    let input = Base64URL.encode(header) + "." + Base64URL.encode(payload)
    return input + "." + Base64URL.encode(FuzzedGateway.shared.key.sign(Array(input.utf8)))
}

/// What passes says what was asked, whatever else it says.
private func check(_ text: String, _ gateway: FuzzedGateway) {
    _ = try? AssertionClaims.nonce(ofUnverified: text)
    guard let verified = gateway.verify(text) else { return }
    let claims = verified.claims
    precondition(verified.deviceID == "fuzz" && verified.thumbprint == gateway.thumbprint)
    precondition(claims.nonce == gateway.nonce && claims.challengeHash == gateway.issued.challengeHash)
    precondition(claims.audience == .string(FuzzedGateway.origin))
    precondition(abs(claims.issuedAtSeconds - FuzzedGateway.now) <= 120)
    precondition((1...60).contains(claims.expiresAtSeconds - claims.issuedAtSeconds))
    precondition(verified.lastSeenSeconds <= FuzzedGateway.now)
}
