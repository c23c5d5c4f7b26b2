public import Signatures

/// The cookie `__Host-gatepost`: version 1 ‖ key id 1 ‖ secret 32 ‖ MAC 8, as 56 characters of base64url.
///
/// The MAC saves a look-up for forgeries; it never authenticates. What does is the secret, of which the store knows
/// only the SHA-256.
public struct SessionCookie: Sendable, Equatable {
    /// The cookie's name on the auth host and on every application host.
    public static let name = "__Host-gatepost"
    /// Exactly this many characters.
    public static let characters = 56

    private static let version: UInt8 = 1
    private static let secretBytes = 32
    private static let macBytes = 8

    /// 32 bytes that only the browser keeps.
    public let secret: [UInt8]
    /// What stands in the cookie.
    public let value: String
    /// How long the browser keeps it; nil: until it ends.
    public var maxAgeSeconds: Int64?

    /// SHA-256 of the secret: what the store and the data plane know.
    public var tokenDigest: [UInt8] { Digest.sha256(secret) }

    /// A new cookie under the ring's current cookie key.
    public static func mint(ring: KeyRing, random: (Int) -> [UInt8] = { Random.bytes($0) }) -> SessionCookie {
        let secret = random(secretBytes)
        precondition(secret.count == secretBytes, "the generator gave \(secret.count) bytes")
        guard let key = ring.secrets(.cookie).first else {
            preconditionFailure("the key ring has no cookie key")
        }
        let head = [version, key.id] + secret
        let mac = Digest.hmacSHA256(key: key.secret, head).prefix(macBytes)
        return SessionCookie(secret: secret, value: Base64URL.encode(head + mac))
    }

    /// A cookie of ours; nil for every other text: wrong length, alphabet, version, unknown key or MAC.
    public init?(parsing text: String, ring: KeyRing) {
        guard text.utf8.count == Self.characters, let bytes = Base64URL.decode(text),
            bytes[0] == Self.version,
            let key = ring.secrets(.cookie).first(where: { $0.id == bytes[1] })
        else { return nil }
        let head = Array(bytes.dropLast(Self.macBytes))
        let mac = Array(Digest.hmacSHA256(key: key.secret, head).prefix(Self.macBytes))
        guard constantTimeEqual(mac, Array(bytes.suffix(Self.macBytes))) else { return nil }
        secret = Array(head.dropFirst(2))
        value = text
    }

    private init(secret: [UInt8], value: String) {
        self.secret = secret
        self.value = value
    }

    /// The request's cookie; nil when there is none of ours, or more than one (a second one was planted by somebody,
    /// and nothing says which).
    public static func of(cookieField: [String], ring: KeyRing) -> SessionCookie? {
        let found = CookieText.values(of: name, in: cookieField)
        // Counted before they are read: a reactor takes neither of two, even where one of them is no session's.
        return found.count == 1 ? SessionCookie(parsing: found[0], ring: ring) : nil
    }

    /// Whether a request has more than one cookie of this name, whatever is in them.
    public static func isDoubled(in cookieField: [String]) -> Bool {
        CookieText.values(of: name, in: cookieField).count > 1
    }

    /// The `Set-Cookie` value.
    public var setCookie: String { CookieText.set(Self.name, value, maxAgeSeconds: maxAgeSeconds) }

    /// The attributes of that value that do not change.
    public static var attributes: String { CookieText.attributes }

    /// The `Set-Cookie` value that removes it.
    public static var clearing: String { CookieText.set(name, "", maxAgeSeconds: 0) }
}
