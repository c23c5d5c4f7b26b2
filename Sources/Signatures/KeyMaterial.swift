import COpenSSL

/// The numbers of a public key, as JWK carries them (RFC 7518 §6, RFC 8037 §2): big-endian, fixed width on
/// curves.
///
/// Every public key, whatever it came in, is reduced to this and built anew from it, so the checks below hold
/// for JWK, PEM and certificates alike.
enum KeyMaterial: Hashable, Sendable {
    case ec(EllipticCurve, x: [UInt8], y: [UInt8])
    case rsa(modulus: [UInt8], exponent: [UInt8])
    case ed25519([UInt8])

    enum EllipticCurve: String, Sendable {
        case p256 = "P-256"
        case p384 = "P-384"
        var coordinateBytes: Int { self == .p256 ? 32 : 48 }
        /// Static, because OpenSSL keeps the pointer while it builds a key.
        var openSSLName: StaticString { self == .p256 ? "prime256v1" : "secp384r1" }
    }

    static let modulusBitsRange = 2048...8192
    static let exponentBytesMax = 8

    /// The algorithm of a key that does not name one.
    var defaultAlgorithm: SignatureAlgorithm {
        switch self {
        case .ec(.p256, _, _): .es256
        case .ec(.p384, _, _): .es384
        case .rsa: .rs256
        case .ed25519: .eddsa
        }
    }

    var family: SignatureAlgorithm.Family { defaultAlgorithm.family }

    /// Checks the numbers and builds the key.
    func handle() throws(SignatureError) -> KeyHandle {
        ERR_clear_error()
        defer { ERR_clear_error() }
        switch self {
        case .ec(let curve, let x, let y): return try Self.curveHandle(curve, x, y)
        case .rsa(let modulus, let exponent): return try Self.rsaHandle(modulus, exponent)
        case .ed25519(let point): return try Self.ed25519Handle(point)
        }
    }

    private static func curveHandle(
        _ curve: EllipticCurve, _ x: [UInt8], _ y: [UInt8]
    ) throws(SignatureError) -> KeyHandle {
        guard x.count == curve.coordinateBytes, y.count == curve.coordinateBytes else {
            throw SignatureError("a coordinate on \(curve.rawValue) has \(curve.coordinateBytes) bytes")
        }
        let point = [0x04] + x + y
        let name = UnsafeRawPointer(curve.openSSLName.utf8Start).assumingMemoryBound(to: CChar.self)
        let raw = point.withUnsafeBufferPointer { point in
            built("EC") { builder in
                OSSL_PARAM_BLD_push_utf8_string(builder, gatepost_parameter_group(), name, 0) == 1
                    && OSSL_PARAM_BLD_push_octet_string(
                        builder, gatepost_parameter_public_key(), point.baseAddress, point.count) == 1
            }
        }
        guard let raw else { throw libraryError("the point is not on \(curve.rawValue)") }
        let handle = KeyHandle(adopting: raw)
        defer { withExtendedLifetime(handle) {} }
        guard let context = EVP_PKEY_CTX_new_from_pkey(nil, handle.raw, nil) else {
            throw SignatureError("out of memory")
        }
        defer { EVP_PKEY_CTX_free(context) }
        // Quick: both curves have cofactor 1, so every point on them is of the right order (SP 800-56A, 5.6.2.3.4), and
        // multiplying it by the order to see that costs as much as a signature.
        guard EVP_PKEY_public_check_quick(context) == 1 else {
            throw SignatureError("the point is not on the curve")
        }
        return handle
    }

    private static func rsaHandle(_ modulus: [UInt8], _ exponent: [UInt8]) throws(SignatureError) -> KeyHandle
    {
        // RFC 7518 §2: Base64urlUInt has no leading zero byte. With one, the same key would have two
        // thumbprints.
        guard let first = modulus.first, first != 0, let last = exponent.last, exponent.first != 0 else {
            throw SignatureError("an RSA number is empty or starts with a zero byte")
        }
        let bits = modulus.count * 8 - first.leadingZeroBitCount
        guard modulusBitsRange.contains(bits) else {
            let range = modulusBitsRange
            throw SignatureError(
                "an RSA key has \(range.lowerBound) to \(range.upperBound) bits, not \(bits)"
            )
        }
        guard exponent.count <= exponentBytesMax, last & 1 == 1, exponent != [1] else {
            throw SignatureError(
                "an RSA exponent is odd, at least 3 and at most \(exponentBytesMax) bytes long")
        }
        guard modulus.last.map({ $0 & 1 }) == 1 else { throw SignatureError("an RSA modulus is odd") }
        guard let n = BN_bin2bn(modulus, CInt(modulus.count), nil) else {
            throw SignatureError("out of memory")
        }
        defer { BN_free(n) }
        guard let e = BN_bin2bn(exponent, CInt(exponent.count), nil) else {
            throw SignatureError("out of memory")
        }
        defer { BN_free(e) }
        let raw = built("RSA") { builder in
            OSSL_PARAM_BLD_push_BN(builder, gatepost_parameter_modulus(), n) == 1
                && OSSL_PARAM_BLD_push_BN(builder, gatepost_parameter_exponent(), e) == 1
        }
        guard let raw else { throw libraryError("the RSA key was refused") }
        return KeyHandle(adopting: raw)
    }

    private static func ed25519Handle(_ point: [UInt8]) throws(SignatureError) -> KeyHandle {
        guard point.count == 32 else { throw SignatureError("an Ed25519 key has 32 bytes") }
        guard !SmallOrderPoint.contains(point) else {
            throw SignatureError("the Ed25519 key is a point of small order")
        }
        guard let raw = EVP_PKEY_new_raw_public_key_ex(nil, "ED25519", nil, point, point.count) else {
            throw libraryError("the Ed25519 key was refused")
        }
        return KeyHandle(adopting: raw)
    }

    /// - Parameter push: its names and bytes must stay where they are until this returns; OpenSSL copies
    ///   neither.
    private static func built(_ type: String, _ push: (OpaquePointer) -> Bool) -> OpaquePointer? {
        guard let builder = OSSL_PARAM_BLD_new() else { return nil }
        defer { OSSL_PARAM_BLD_free(builder) }
        guard push(builder), let parameters = OSSL_PARAM_BLD_to_param(builder) else { return nil }
        defer { OSSL_PARAM_free(parameters) }
        guard let context = EVP_PKEY_CTX_new_from_name(nil, type, nil) else { return nil }
        defer { EVP_PKEY_CTX_free(context) }
        var raw: OpaquePointer?
        guard EVP_PKEY_fromdata_init(context) == 1,
            EVP_PKEY_fromdata(context, &raw, gatepost_public_key_selection(), parameters) == 1
        else { return nil }
        return raw
    }
}

// Taking the numbers out of a key that OpenSSL decoded.
extension KeyMaterial {
    /// - Throws: `SignatureError` for a kind of key that no supported algorithm uses.
    init(of key: OpaquePointer) throws(SignatureError) {
        if EVP_PKEY_is_a(key, "EC") == 1 {
            self = try Self.curveMaterial(of: key)
        } else if EVP_PKEY_is_a(key, "RSA") == 1 {
            self = .rsa(
                modulus: try Self.number(OSSL_PKEY_PARAM_RSA_N, of: key),
                exponent: try Self.number(OSSL_PKEY_PARAM_RSA_E, of: key))
        } else if EVP_PKEY_is_a(key, "ED25519") == 1 {
            var point = [UInt8](repeating: 0, count: 32)
            var count = point.count
            guard EVP_PKEY_get_raw_public_key(key, &point, &count) == 1, count == 32 else {
                throw libraryError("the Ed25519 key cannot be read")
            }
            self = .ed25519(point)
        } else {
            throw SignatureError("the key is neither RSA nor on P-256, P-384 or Ed25519")
        }
    }

    private static func curveMaterial(of key: OpaquePointer) throws(SignatureError) -> KeyMaterial {
        var name = [CChar](repeating: 0, count: 64)
        var count = 0
        guard EVP_PKEY_get_group_name(key, &name, name.count, &count) == 1 else {
            throw SignatureError("the curve has no name")
        }
        let text = String(decoding: name.prefix(count).map { UInt8(bitPattern: $0) }, as: UTF8.self)
        guard let curve = [EllipticCurve.p256, .p384].first(where: { $0.openSSLName.description == text })
        else {
            throw SignatureError("the key is on curve \(text); P-256 and P-384 are supported")
        }
        return .ec(
            curve, x: try number(OSSL_PKEY_PARAM_EC_PUB_X, of: key, width: curve.coordinateBytes),
            y: try number(OSSL_PKEY_PARAM_EC_PUB_Y, of: key, width: curve.coordinateBytes))
    }

    /// The number in as few bytes as it needs, or in exactly `width`.
    private static func number(
        _ name: String, of key: OpaquePointer, width: Int? = nil
    ) throws(SignatureError) -> [UInt8] {
        var number: OpaquePointer?
        guard EVP_PKEY_get_bn_param(key, name, &number) == 1, let number else {
            throw libraryError("the key cannot be read")
        }
        defer { BN_free(number) }
        let count = width ?? Int(BN_num_bits(number) + 7) / 8
        var bytes = [UInt8](repeating: 0, count: count)
        guard BN_bn2binpad(number, &bytes, CInt(count)) == CInt(count) else {
            throw SignatureError("a number of the key is too large")
        }
        return bytes
    }
}

/// Points of Ed25519 under which one signature fits every message (order 1, 2, 4 or 8, canonical or not).
enum SmallOrderPoint {
    private static let order8: [[UInt8]] = [
        [
            0x26, 0xe8, 0x95, 0x8f, 0xc2, 0xb2, 0x27, 0xb0, 0x45, 0xc3, 0xf4, 0x89, 0xf2, 0xef, 0x98, 0xf0,
            0xd5, 0xdf, 0xac, 0x05, 0xd3, 0xc6, 0x33, 0x39, 0xb1, 0x38, 0x02, 0x88, 0x6d, 0x53, 0xfc, 0x05,
        ],
        [
            0xc7, 0x17, 0x6a, 0x70, 0x3d, 0x4d, 0xd8, 0x4f, 0xba, 0x3c, 0x0b, 0x76, 0x0d, 0x10, 0x67, 0x0f,
            0x2a, 0x20, 0x53, 0xfa, 0x2c, 0x39, 0xcc, 0xc6, 0x4e, 0xc7, 0xfd, 0x77, 0x92, 0xac, 0x03, 0x7a,
        ],
    ]

    static func contains(_ point: [UInt8]) -> Bool {
        var y = point
        y[31] &= 0x7F  // The highest bit is the sign of x.
        if order8.contains(y) { return true }
        let middle = y[1...30]
        if y[31] == 0 && middle.allSatisfy({ $0 == 0 }) { return y[0] <= 1 }  // y = 0, 1
        // y = p - 1, p, p + 1 with p = 2^255 - 19.
        return y[31] == 0x7F && middle.allSatisfy({ $0 == 0xFF }) && (0xEC...0xEE).contains(y[0])
    }
}
