// Fuzz entry for what the gateway reads of an agent's answer (libFuzzer). Built by scripts/fuzz, together with
// the verifier's own files.
import Access
import JSON
import Signatures

private final class FuzzedGateway: @unchecked Sendable {
    // Made once, on first use; libFuzzer calls from one thread.
    static let shared = FuzzedGateway()
    static let now: Int64 = 1_900_000_000
    static let origin = "https://auth.corp.example"

    static let issuer = "https://management.corp.example"

    let verifier: AssertionVerifier
    /// The management server's own key, and a verifier that believes its statements.
    let server: SigningKey
    let stated: AssertionVerifier
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
        guard
            let signer = try? EnrollmentAuthority.generateSelfSigned(
                commonName: "Management", nowSeconds: Self.now - 60),
            let certificate = try? EnrollmentAuthority(certificatePEM: signer.certificatePEM, keyPEM: nil)
                .certificate,
            let privateKey = try? SigningKey(pem: signer.keyPEM),
            let trust = try? StatementTrust(certificates: [certificate], issuer: Self.issuer, tenant: "corp")
        else { preconditionFailure("no management server") }
        server = privateKey
        stated = AssertionVerifier(
            settings: verifier.settings, authority: authority, statements: trust)
    }

    /// An answer by the device, as far as it depends on no statement.
    func answer(subject: String, bringsKey: Bool) -> String {
        let payload: JSONObject = [
            "sub": .string(subject), "aud": .string(Self.origin), "iat": .integer(Self.now),
            "exp": .integer(Self.now + 60), "eat_nonce": .string(Base64URL.encode(nonce)),
            "chh": .string(issued.challengeHash), "origin": .string(Self.origin), "transport": "fetch",
            "version": 1, "cnf": ["jkt": .string(thumbprint)], "key": "software", "counter": 1, "swname": "f",
            "swversion": "1", "posture": [:],
        ]
        var header: JSONObject = ["typ": "posture+jwt", "alg": "ES256"]
        if bringsKey { header["jwk"] = .object(key.publicKey.jwk) }
        return signed(header.serialized(), payload.serialized())
    }

    func verify(_ text: String, statement: String) -> AssertionVerifier.Verified? {
        try? stated.verify(
            text, statement: statement, challenge: issued, nonce: nonce, nowSeconds: Self.now
        ) { $0 == "revoked" }
    }

    func verify(_ text: String) -> AssertionVerifier.Verified? {
        try? verifier.verify(text, challenge: issued, nonce: nonce, nowSeconds: Self.now) { $0 == "revoked" }
    }
}

/// Traps when a law of the verifier does not hold for these bytes.
///
/// The first byte chooses: any text, a payload under a right signature (which is as far as a hostile device gets), a
/// header around the same, or certificates; then the same three of a statement: any text, a payload under the management
/// server's right signature, a header around the same.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzAssertion(_ start: UnsafePointer<UInt8>, _ count: Int) -> CInt {
    guard count > 0 else { return 0 }
    let bytes = [UInt8](UnsafeBufferPointer(start: start, count: count))
    let rest = Array(bytes.dropFirst())
    let gateway = FuzzedGateway.shared
    switch bytes[0] % 7 {
    case 0:
        let text = String(decoding: rest, as: UTF8.self)
        _ = try? AssertionClaims.nonce(ofUnverified: text)
        precondition(gateway.verify(text) == nil, "a forged assertion was believed")
    case 1:
        let header: JSONObject = ["typ": "posture+jwt", "alg": "ES256", "x5c": gateway.chain]
        check(signed(header.serialized(), rest), gateway)
    case 2: check(signed(rest, Array("{}".utf8)), gateway)
    case 3:
        let header: JSONObject = [
            "typ": "posture+jwt", "alg": "ES256", "x5c": [.string(Base64.encode(rest))],
        ]
        precondition(gateway.verify(signed(header.serialized(), Array("{}".utf8))) == nil)
    case 4:
        let text = String(decoding: rest, as: UTF8.self)
        let answer = gateway.answer(subject: "fuzz", bringsKey: true)
        precondition(gateway.verify(answer, statement: text) == nil, "a forged statement was believed")
    case 5:
        let header: JSONObject = ["typ": "device-statement+jwt", "alg": "ES256"]
        checkStated(rest, signed(header.serialized(), rest, by: gateway.server), gateway)
    default:
        let payload = fuzzedStatement(gateway)
        checkStated(payload, signed(rest, payload, by: gateway.server), gateway)
    }
    return 0
}

private func signed(_ header: [UInt8], _ payload: [UInt8], by key: SigningKey = FuzzedGateway.shared.key)
    -> String
{
    let input = Base64URL.encode(header) + "." + Base64URL.encode(payload)
    return input + "." + Base64URL.encode(key.sign(Array(input.utf8)))
}

/// A good one.
private func fuzzedStatement(_ gateway: FuzzedGateway) -> [UInt8] {
    let payload: JSONObject = [
        "iss": .string(FuzzedGateway.issuer), "tenant": "corp", "sub": "fuzz",
        "iat": .integer(FuzzedGateway.now),
        "exp": .integer(FuzzedGateway.now + 3_600), "managed": true, "last_seen": .integer(FuzzedGateway.now),
        "cnf": ["jkt": .string(gateway.thumbprint)],
    ]
    return payload.serialized()
}

/// A statement that passes says what a management server has to say, whatever else stands in it.
///
/// The answer names the device and the key as the statement does, where that is possible: `$K` in a payload stands for
/// the thumbprint of the device's key, which is another one in every run.
private func checkStated(_ payload: [UInt8], _ statement: String, _ gateway: FuzzedGateway) {
    var payload = payload
    var statement = statement
    let mark = Array("$K".utf8)
    if let place = payload.indices.first(where: { payload[$0...].starts(with: mark) }) {
        payload.replaceSubrange(place..<(place + mark.count), with: gateway.thumbprint.utf8)
        let header: JSONObject = ["typ": "device-statement+jwt", "alg": "ES256"]
        statement = signed(header.serialized(), payload, by: gateway.server)
    }
    let value = try? JSONValue(parsing: payload, limits: .token)
    let answer = gateway.answer(
        subject: value?["sub"]?.string ?? "fuzz", bringsKey: value?["cnf"]?["jwk"] == nil)
    guard let verified = gateway.verify(answer, statement: statement) else { return }
    guard let stated = verified.statement, let issued = stated.issuedAtSeconds, let value else {
        preconditionFailure("an answer without its statement")
    }
    precondition(verified.mode == .statement && verified.thumbprint == gateway.thumbprint)
    precondition(verified.deviceID == "statement:agents:" + stated.subject)
    precondition(value["iss"] == .string(FuzzedGateway.issuer) && value["tenant"] == "corp")
    let expires = value["exp"]?.integer ?? 0
    precondition(issued <= FuzzedGateway.now + 120 && FuzzedGateway.now < expires)
    precondition((1...86_400).contains(expires - issued))
    precondition(value["managed"]?.bool == stated.isManaged)
    precondition(value["cnf"]?["jkt"] == nil || value["cnf"]?["jkt"] == .string(gateway.thumbprint))
    precondition((value["cnf"]?["jkt"] == nil) != (value["cnf"]?["jwk"] == nil))
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
