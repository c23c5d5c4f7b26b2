import Access
import Border
import COpenSSL

@testable import DataPlane

/// Routes, residuals, cookies and records as tests need them.
enum Facts {
    static let farSeconds: Int64 = 1 << 40

    static func residual(
        signedIn: Bool, _ policies: [ResidualPolicy], refusal: Reason = .noPolicyMatches,
        validUntil: Int64 = farSeconds
    ) -> Residual {
        Residual(
            policyIdentity: "test", isSignedIn: signedIn, validUntilSeconds: validUntil, policies: policies,
            refusal: refusal, dependsOn: [])
    }

    static let bypass = ResidualPolicy(
        name: "open", action: .bypass, anyOf: [], allOf: [], noneOf: [], restriction: nil,
        reason: .policyBypasses)
    static let allow = ResidualPolicy(
        name: "staff", action: .allow, anyOf: [], allOf: [], noneOf: [], restriction: nil,
        reason: .policyAllows)

    /// Everybody may.
    static func open(_ port: UInt16, host: String = "wiki.test", name: String = "wiki") -> ApplicationRoute {
        ApplicationRoute(
            name: name, host: host, upstreams: [UpstreamAddress(address: "127.0.0.1", port: port)],
            anonymous: residual(signedIn: false, [bypass]))
    }

    /// Only who is signed in.
    static func closed(_ port: UInt16, host: String = "wiki.test", name: String = "wiki") -> ApplicationRoute
    {
        ApplicationRoute(
            name: name, host: host, upstreams: [UpstreamAddress(address: "127.0.0.1", port: port)],
            anonymous: residual(signedIn: false, [], refusal: .signInRequired),
            origins: ["https://friend.test"])
    }

    static func secret(_ number: UInt8) -> [UInt8] { (0..<32).map { $0 &* 7 &+ number } }

    static func digest(_ number: UInt8) -> [UInt8] {
        var digest = [UInt8](repeating: 0, count: 32)
        _ = SHA256(secret(number), 32, &digest)
        return digest
    }

    /// A `Cookie` field line of session `number`.
    static func cookie(_ number: UInt8, key: MACKey = Gateway.macKey, breakMAC: Bool = false) -> String {
        var bytes: [UInt8] = [1, key.id] + secret(number)
        var mac = [UInt8](repeating: 0, count: 32)
        var length: UInt32 = 0
        _ = HMAC(EVP_sha256(), key.secret, 32, bytes, bytes.count, &mac, &length)
        if breakMAC { mac[0] ^= 1 }
        bytes += mac[..<8]
        return "Cookie: a=b; __Host-gatepost=\(base64URL(bytes)); c=d\r\n"
    }

    /// One with a genuine MAC over any secret.
    static func cookie(secret: [UInt8]) -> String {
        let key = Gateway.macKey
        var bytes: [UInt8] = [1, key.id] + secret
        var mac = [UInt8](repeating: 0, count: 32)
        var length: UInt32 = 0
        _ = HMAC(EVP_sha256(), key.secret, 32, bytes, bytes.count, &mac, &length)
        bytes += mac[..<8]
        return "Cookie: __Host-gatepost=\(base64URL(bytes))\r\n"
    }

    static func record(
        _ number: UInt8, sequence: UInt64 = 0, application: String = "wiki", device: String? = "device-1",
        allowed: Bool = true, validUntil: Int64 = farSeconds
    ) -> SessionRecord {
        SessionRecord(
            sequence: sequence, tokenDigest: digest(number), session: "session-\(number)",
            person: "issuer person-\(number)", device: device, application: application,
            residual: residual(
                signedIn: true, allowed ? [allow] : [], refusal: .postureNonCompliant, validUntil: validUntil),
            identityFields: Array("Gatepost-Assertion: token-\(number)\r\n".utf8),
            expiresAtSeconds: farSeconds)
    }

    private static func base64URL(_ bytes: [UInt8]) -> String {
        let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")
        var text = ""
        for start in stride(from: 0, to: bytes.count, by: 3) {
            let bits = UInt32(bytes[start]) << 16 | UInt32(bytes[start + 1]) << 8 | UInt32(bytes[start + 2])
            for shift in [18, 12, 6, 0] as [UInt32] { text.append(alphabet[Int(bits >> shift & 63)]) }
        }
        return text
    }
}

// MARK: Partial access

extension Facts {
    static func limited(_ limits: [AccessLimit], signedIn: Bool = false) -> Residual {
        var policy = signedIn ? allow : bypass
        policy.restriction = Restriction(limits: limits)
        return residual(signedIn: signedIn, [policy])
    }

    /// Everybody may, within limits.
    static func open(_ port: UInt16, limits: [AccessLimit]) -> ApplicationRoute {
        var route = open(port)
        route.anonymous = limited(limits)
        route.identityFieldNames = ["X-Access"]
        return route
    }

    /// A session that may go on within limits; none: with full access.
    static func record(
        _ number: UInt8, sequence: UInt64 = 0, application: String = "wiki", limits: [AccessLimit]
    ) -> SessionRecord {
        var record = record(number, sequence: sequence, application: application)
        if !limits.isEmpty { record.residual = limited(limits, signedIn: true) }
        return record
    }
}
