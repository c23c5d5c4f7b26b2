import Access
import JSON
import Signatures

/// What the management server says of one device (mode A, handshake.md 4.1), verified up to its dates.
struct DeviceStatement: Sendable {
    /// Whose device it is, in the server's words.
    enum Owner: Sendable, Hashable {
        case person(issuer: String, subject: String)
        case email(String)
    }

    /// The key that the agent has to prove (RFC 7800 §3.2, RFC 9449 §6.1).
    enum Confirmation: Sendable {
        case key(VerificationKey)
        case thumbprint(String)
    }

    static let bytesMax = 8 << 10
    static let lifeSecondsMax: Int64 = 86_400

    var subject: String
    /// Its `iat`; nil: the shared key signed the whole answer, which has a nonce.
    var issuedAtSeconds: Int64?
    var confirmation: Confirmation
    var isManaged: Bool
    var lastSeenSeconds: Int64
    var owner: Owner?
    /// Provider ids that the server vouches for, as `device_ids` of a posture.
    var deviceIDs: JSONObject?

    /// What every mode A answer says of its device, wherever it stands.
    ///
    /// - Parameter payload: of a statement, or of the whole answer when the shared key signed that.
    /// - Parameter confirmation: nil: it stands in the payload.
    init(_ payload: JSONObject, confirmation: Confirmation? = nil) throws(PostureRefusal) {
        guard let subject = payload["sub"]?.string, EnrollmentAuthority.isDeviceID(subject) else {
            throw PostureRefusal(.statementInvalid, "statement: sub is not 1 to 64 of A-Z a-z 0-9 . _ -")
        }
        guard let managed = payload["managed"]?.bool else {
            throw PostureRefusal(.statementInvalid, "statement: managed is missing or neither true nor false")
        }
        guard let seen = payload["last_seen"]?.integer, (0...AssertionClaims.numberMax).contains(seen) else {
            throw PostureRefusal(.statementInvalid, "statement: last_seen is missing or no time")
        }
        self.subject = subject
        isManaged = managed
        lastSeenSeconds = seen
        owner = try Self.owner(payload["owner"])
        deviceIDs = payload["device_ids"]?.object
        if let confirmation {
            self.confirmation = confirmation
        } else {
            self.confirmation = try Self.confirmation(payload["cnf"])
        }
    }

    private static func confirmation(_ value: JSONValue?) throws(PostureRefusal) -> Confirmation {
        let refusal = PostureRefusal(.statementInvalid, "statement: cnf is not exactly one of jwk and jkt")
        guard let members = value?.object else { throw refusal }
        switch (members["jwk"], members["jkt"]) {
        case (let jwk?, nil):
            do throws(SignatureError) {
                return .key(try DeviceProofKey.key(jwk.object ?? JSONObject()))
            } catch {
                throw PostureRefusal(.statementInvalid, "statement: cnf.jwk: \(error.what)")
            }
        case (nil, let jkt?):
            guard let text = jkt.string, text.utf8.count == 43, Base64URL.decode(text)?.count == 32 else {
                throw PostureRefusal(.statementInvalid, "statement: cnf.jkt is no SHA-256 thumbprint")
            }
            return .thumbprint(text)
        case (nil, nil), (_?, _?): throw refusal
        }
    }

    private static func owner(_ value: JSONValue?) throws(PostureRefusal) -> Owner? {
        guard let value else { return nil }
        let texts = ["iss", "sub", "email"].map { name in
            value[name]?.string.flatMap { $0.isEmpty || $0.utf8.count > 512 ? nil : $0 }
        }
        switch (texts[0], texts[1], texts[2]) {
        case (let issuer?, let subject?, nil): return .person(issuer: issuer, subject: subject)
        case (nil, nil, let email?): return .email(email)
        case (_, _, _):
            throw PostureRefusal(.statementInvalid, "statement: owner is neither iss and sub nor email")
        }
    }
}

/// Which keys devices prove themselves with in mode A.
enum DeviceProofKey {
    /// ES256 or EdDSA, whichever the key itself is for.
    static func key(_ jwk: JSONObject) throws(SignatureError) -> VerificationKey {
        let key = try VerificationKey(jwk: jwk)
        guard key.algorithm == .es256 || key.algorithm == .eddsa else {
            throw SignatureError("a device's key is for ES256 or EdDSA, not \(key.algorithm.rawValue)")
        }
        return key
    }
}

/// Verifies the management server's statements: typ → signature by a configured certificate that is valid now → iss,
/// tenant → iat, exp → members.
struct StatementVerifier: Sendable {
    let trust: StatementTrust

    func verify(_ compact: String, nowSeconds: Int64) throws(PostureRefusal) -> DeviceStatement {
        let jws: JWS
        let payload: JSONObject
        do throws(SignatureError) {
            jws = try JWS(compact: compact, bytesMax: DeviceStatement.bytesMax)
            payload = try jws.payloadObject
        } catch {
            throw PostureRefusal(.signatureInvalid, "statement: \(error.what)")
        }
        guard jws.header["typ"] == .string("device-statement+jwt") else {
            throw PostureRefusal(.signatureInvalid, "statement: typ is not device-statement+jwt")
        }
        for name in AssertionVerifier.foreignKeys + ["x5c"] where jws.header[name] != nil {
            throw PostureRefusal(.signatureInvalid, "statement: the header brings its own key (\(name))")
        }
        _ = try signer(of: jws, what: "statement", nowSeconds: nowSeconds)
        guard payload["iss"] == .string(trust.issuer) else {
            throw PostureRefusal(.certificateUntrusted, "statement: iss is not the configured one")
        }
        try verifyTenant(of: payload)
        let issued = try verifyTimes(payload, nowSeconds: nowSeconds)
        var statement = try DeviceStatement(payload)
        statement.issuedAtSeconds = issued
        return statement
    }

    /// One management server may speak for several tenants; only the configured one's devices are ours.
    func verifyTenant(of payload: JSONObject) throws(PostureRefusal) {
        guard let tenant = trust.tenant else { return }
        guard payload["tenant"] == .string(tenant) else {
            throw PostureRefusal(.certificateUntrusted, "statement: tenant is not the configured one")
        }
    }

    /// The configured certificate that signed, valid now. The algorithm is the certificate's, never the header's.
    func signer(
        of jws: JWS, what: String, nowSeconds: Int64
    ) throws(PostureRefusal) -> Certificate {
        var ended: Certificate?
        for certificate in trust.certificates where jws.verify(with: certificate.publicKey) {
            if certificate.notBeforeSeconds <= nowSeconds, nowSeconds < certificate.notAfterSeconds {
                return certificate
            }
            ended = certificate
        }
        guard let ended else {
            throw PostureRefusal(
                .certificateUntrusted, "\(what): signed by none of the configured certificates")
        }
        throw PostureRefusal(
            .certificateExpired,
            "\(what): its certificate is good from \(ended.notBeforeSeconds) to \(ended.notAfterSeconds) only"
        )
    }

    private func verifyTimes(_ payload: JSONObject, nowSeconds: Int64) throws(PostureRefusal) -> Int64 {
        guard let issued = payload["iat"]?.integer, let expires = payload["exp"]?.integer,
            (0...AssertionClaims.numberMax).contains(issued),
            (0...AssertionClaims.numberMax).contains(expires)
        else { throw PostureRefusal(.statementInvalid, "statement: iat or exp is missing or no time") }
        guard issued <= nowSeconds + AssertionVerifier.skewSeconds else {
            throw PostureRefusal(
                .clockSkew,
                "statement: made \(issued - nowSeconds) s in the future: a server's clock is wrong")
        }
        let life = expires - issued
        guard life > 0, life <= DeviceStatement.lifeSecondsMax else {
            throw PostureRefusal(.statementInvalid, "statement: lives \(life) s; 1...86400 are allowed")
        }
        guard nowSeconds < expires else {
            throw PostureRefusal(.statementExpired, "statement: ended \(nowSeconds - expires) s ago")
        }
        return issued
    }
}
