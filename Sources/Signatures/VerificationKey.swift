import COpenSSL
public import JSON

/// A public key together with the one algorithm it is used with.
///
/// The algorithm comes from the key, never from a token's header (RFC 8725 §3.1).
public final class VerificationKey: Sendable {
    /// The algorithm of every signature that this key verifies.
    public let algorithm: SignatureAlgorithm
    /// `kid` of the JWK, or what the maker of this key said; nil when there was none.
    public let keyID: String?

    let handle: KeyHandle
    let material: KeyMaterial

    /// The key of a JWK (RFC 7517 §4) with `kty` `EC` (P-256, P-384), `RSA` (2048 to 8192 bits) or `OKP`
    /// (Ed25519).
    ///
    /// Without `alg`, RSA means RS256 and a curve its own algorithm.
    /// - Throws: `SignatureError` for other kinds, a key not meant for verifying (`use`, `key_ops`), private
    ///   or secret members, numbers not in their canonical form and points that are not on their curve.
    public convenience init(jwk: JSONObject) throws(SignatureError) {
        let reader = JWKReader(jwk: jwk)
        try reader.checkUse()
        let material = try reader.material()
        try self.init(
            material, algorithm: try reader.algorithm(for: material), keyID: try reader.optionalText("kid"))
    }

    /// The key of one PEM block, `PUBLIC KEY` or `CERTIFICATE`, at most 64 KiB.
    ///
    /// - Parameter algorithm: nil means the usual one of the key's kind (RS256 for RSA).
    /// - Throws: `SignatureError` when the key is none that `init(jwk:)` would take, or does not fit
    ///   `algorithm`.
    public convenience init(
        pem: [UInt8], algorithm: SignatureAlgorithm? = nil, keyID: String? = nil
    ) throws(SignatureError) {
        ERR_clear_error()
        defer { ERR_clear_error() }
        let isCertificate = String(decoding: pem, as: UTF8.self).contains("-----BEGIN CERTIFICATE-----")
        let material = try withMemoryReader(pem) { (bio) throws(SignatureError) -> KeyMaterial in
            if isCertificate {
                guard let certificate = gatepost_read_certificate(bio) else {
                    throw libraryError("the PEM text holds no certificate")
                }
                defer { X509_free(certificate) }
                guard let key = X509_get0_pubkey(certificate) else {
                    throw libraryError("the key of the certificate cannot be read")
                }
                return try KeyMaterial(of: key)
            }
            guard let key = gatepost_read_public_key(bio) else {
                throw libraryError("the PEM text holds no public key")
            }
            defer { EVP_PKEY_free(key) }
            return try KeyMaterial(of: key)
        }
        try self.init(material, algorithm: algorithm ?? material.defaultAlgorithm, keyID: keyID)
    }

    init(_ material: KeyMaterial, algorithm: SignatureAlgorithm, keyID: String?) throws(SignatureError) {
        guard material.family == algorithm.family else {
            throw SignatureError("the key is of another kind than \(algorithm.rawValue) needs")
        }
        self.material = material
        self.algorithm = algorithm
        self.keyID = keyID
        handle = try material.handle()
    }

    /// Whether `signature` was made over `bytes` with the private half of this key.
    ///
    /// On curves the signature is r ‖ s in fixed width (RFC 7518 §3.4); DER is refused.
    public func verify(_ signature: [UInt8], over bytes: [UInt8]) -> Bool {
        ERR_clear_error()
        defer { ERR_clear_error() }
        defer { withExtendedLifetime(handle) {} }
        guard let signature = librarySignature(signature), let context = EVP_MD_CTX_new() else {
            return false
        }
        defer { EVP_MD_CTX_free(context) }
        var parameters: OpaquePointer?
        let digest = algorithm.digestName
        guard EVP_DigestVerifyInit_ex(context, &parameters, digest, nil, nil, handle.raw, nil) == 1,
            SigningContext.configure(parameters, for: algorithm)
        else { return false }
        return EVP_DigestVerify(context, signature, signature.count, bytes, bytes.count) == 1
    }

    /// The JWK thumbprint with SHA-256 in base64url, 43 characters (RFC 7638).
    public var thumbprint: String {
        // §3.2: only the required members, in the order of their names, without white space.
        let required: JSONObject =
            switch material {
            case .ec(let curve, let x, let y):
                [
                    "crv": .string(curve.rawValue), "kty": "EC", "x": .string(Base64URL.encode(x)),
                    "y": .string(Base64URL.encode(y)),
                ]
            case .rsa(let modulus, let exponent):
                [
                    "e": .string(Base64URL.encode(exponent)), "kty": "RSA",
                    "n": .string(Base64URL.encode(modulus)),
                ]
            case .ed25519(let point):
                ["crv": "Ed25519", "kty": "OKP", "x": .string(Base64URL.encode(point))]
            }
        return Base64URL.encode(Digest.sha256(required.serialized()))
    }

    /// The key as a JWK (RFC 7517) with `alg`, `use` and, when it has one, `kid`.
    public var jwk: JSONObject {
        var jwk = JSONObject()
        switch material {
        case .ec(let curve, let x, let y):
            jwk["kty"] = "EC"
            jwk["crv"] = .string(curve.rawValue)
            jwk["x"] = .string(Base64URL.encode(x))
            jwk["y"] = .string(Base64URL.encode(y))
        case .rsa(let modulus, let exponent):
            jwk["kty"] = "RSA"
            jwk["n"] = .string(Base64URL.encode(modulus))
            jwk["e"] = .string(Base64URL.encode(exponent))
        case .ed25519(let point):
            jwk["kty"] = "OKP"
            jwk["crv"] = "Ed25519"
            jwk["x"] = .string(Base64URL.encode(point))
        }
        jwk["use"] = "sig"
        jwk["alg"] = .string(algorithm.rawValue)
        if let keyID { jwk["kid"] = .string(keyID) }
        return jwk
    }

    /// The signature as OpenSSL takes it; nil when its length is wrong.
    private func librarySignature(_ signature: [UInt8]) -> [UInt8]? {
        switch material {
        case .ec(let curve, _, _): RawSignature.der(signature, coordinateBytes: curve.coordinateBytes)
        case .rsa(let modulus, _): signature.count == modulus.count ? signature : nil
        case .ed25519: signature.count == 64 ? signature : nil
        }
    }
}

/// What signing and verifying have to set alike.
enum SigningContext {
    static func configure(_ parameters: OpaquePointer?, for algorithm: SignatureAlgorithm) -> Bool {
        switch algorithm {
        case .es256, .es384, .rs256, .rs384, .rs512, .eddsa: true
        case .ps256:
            // RFC 7518 §3.5: the salt is as long as the digest. OpenSSL would accept any length otherwise.
            EVP_PKEY_CTX_set_rsa_padding(parameters, RSA_PKCS1_PSS_PADDING) == 1
                && EVP_PKEY_CTX_set_rsa_pss_saltlen(parameters, RSA_PSS_SALTLEN_DIGEST) == 1
        }
    }
}

/// ECDSA signatures: r ‖ s in JOSE, a DER sequence in OpenSSL.
enum RawSignature {
    static func der(_ raw: [UInt8], coordinateBytes: Int) -> [UInt8]? {
        guard raw.count == 2 * coordinateBytes, let pair = ECDSA_SIG_new() else { return nil }
        defer { ECDSA_SIG_free(pair) }
        let r = raw[..<coordinateBytes].withUnsafeBufferPointer {
            BN_bin2bn($0.baseAddress, CInt($0.count), nil)
        }
        let s = raw[coordinateBytes...].withUnsafeBufferPointer {
            BN_bin2bn($0.baseAddress, CInt($0.count), nil)
        }
        guard let r, let s, ECDSA_SIG_set0(pair, r, s) == 1 else {
            BN_free(r)
            BN_free(s)
            return nil
        }
        return encodedDER { i2d_ECDSA_SIG(pair, $0) }
    }

    static func raw(_ der: [UInt8], coordinateBytes: Int) -> [UInt8]? {
        let pair = der.withUnsafeBufferPointer { buffer in
            var next = buffer.baseAddress
            return d2i_ECDSA_SIG(nil, &next, buffer.count)
        }
        guard let pair else { return nil }
        defer { ECDSA_SIG_free(pair) }
        var raw = [UInt8](repeating: 0, count: 2 * coordinateBytes)
        let width = CInt(coordinateBytes)
        let isWritten = raw.withUnsafeMutableBufferPointer { buffer in
            guard let first = buffer.baseAddress else { return false }
            return BN_bn2binpad(ECDSA_SIG_get0_r(pair), first, width) == width
                && BN_bn2binpad(ECDSA_SIG_get0_s(pair), first + coordinateBytes, width) == width
        }
        return isWritten ? raw : nil
    }
}
