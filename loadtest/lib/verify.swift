// What checking one assertion costs the gateway, by the processor's clock: JWS, certificate path, signature, claims. Built and
// run by loadtest/handshake with the verifier's own files.
import Glibc
import JSON
import Signatures

@main
struct VerifyBench {
    static let now: Int64 = 1_900_000_000
    static let origin = "https://auth.corp.example"
    static let rounds = 4_000

    static func main() throws {
        let pair = try EnrollmentAuthority.generateSelfSigned(commonName: "Bench", nowSeconds: now - 60)
        let authority = try EnrollmentAuthority(certificatePEM: pair.certificatePEM, keyPEM: pair.keyPEM)
        let key = SigningKey.generateP256()
        let csr = try CertificateRequest.make(key: key, commonName: "x")
        let leaf = try authority.issue(csrDER: csr, deviceID: "bench", validSeconds: 86_400, nowSeconds: now)
        let nonce = Random.bytes(32)
        let issued = IssuedChallenge(
            transaction: "t", transactionHash: "h", challengeHash: "c", expiresAtSeconds: now + 60)
        let chain = [leaf, authority.certificate].map { JSONValue.string(Base64.encode($0.der)) }
        let payload: JSONObject = [
            "sub": "bench", "aud": .string(origin), "iat": .integer(now), "exp": .integer(now + 60),
            "eat_nonce": .string(Base64URL.encode(nonce)), "chh": "c", "origin": .string(origin),
            "transport": "fetch", "version": 1, "cnf": ["jkt": .string(key.publicKey.thumbprint)],
            "key": "software", "counter": 1, "swname": "bench", "swversion": "1.0",
            "posture": ["platform": "linux", "os_name": "debian", "disk_encryption": true],
        ]
        let assertion = JWS.sign(
            header: ["typ": "posture+jwt", "x5c": .array(chain)], payload: payload, with: key)
        let verifier = AssertionVerifier(
            settings: HandshakeSettings(integration: "agents", authOrigin: origin), authority: authority)
        var best = Double.infinity
        // The first time that a device comes by: an authority made anew knows no path of it.
        var cold = Double.infinity
        for _ in 0..<5 {
            let began = processorSeconds()
            for _ in 0..<rounds {
                let read = try AssertionClaims.nonce(ofUnverified: assertion)
                _ = try verifier.verify(assertion, challenge: issued, nonce: read, nowSeconds: now) { _ in
                    false
                }
            }
            best = min(best, (processorSeconds() - began) / Double(rounds) * 1e6)
            var seconds = 0.0
            for _ in 0..<(rounds / 10) {
                let anew = AssertionVerifier(
                    settings: verifier.settings,
                    authority: try EnrollmentAuthority(certificatePEM: pair.certificatePEM, keyPEM: nil))
                let began = processorSeconds()
                let read = try AssertionClaims.nonce(ofUnverified: assertion)
                _ = try anew.verify(assertion, challenge: issued, nonce: read, nowSeconds: now) { _ in false }
                seconds += processorSeconds() - began
            }
            cold = min(cold, seconds / Double(rounds / 10) * 1e6)
        }
        print(Int(best.rounded(.up)), Int(cold.rounded(.up)))
    }

    static func processorSeconds() -> Double {
        var time = timespec()
        clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time)
        return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
    }
}
