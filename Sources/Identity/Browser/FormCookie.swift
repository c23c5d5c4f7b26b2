public import Signatures

/// The cookie `__Host-gatepost-form`: 32 random bytes that name a browser for as long as one of its forms waits for a
/// sign-in. It proves nothing else, and nothing is looked up by it.
public struct FormCookie: Sendable, Equatable {
    /// The cookie's name on application hosts.
    public static let name = "__Host-gatepost-form"
    /// Exactly this many characters of base64url.
    public static let characters = 43

    private static let secretBytes = 32

    /// What only the browser keeps.
    private let value: String
    /// SHA-256 of the secret.
    public let digest: [UInt8]

    /// The request's cookie; nil when there is none of ours, or more than one.
    public init?(cookieField: [String]) {
        let found = CookieText.values(of: Self.name, in: cookieField)
        guard found.count == 1, let value = found.first, value.utf8.count == Self.characters,
            let secret = Base64URL.decode(value), secret.count == Self.secretBytes
        else { return nil }
        self.value = value
        digest = Digest.sha256(secret)
    }

    /// A new one.
    public init(random: (Int) -> [UInt8] = { Random.bytes($0) }) {
        let secret = random(Self.secretBytes)
        value = Base64URL.encode(secret)
        digest = Digest.sha256(secret)
    }

    /// The `Set-Cookie` value.
    public func setCookie(maxAgeSeconds: Int64) -> String {
        CookieText.set(Self.name, value, maxAgeSeconds: maxAgeSeconds)
    }
}

/// Where a form waits on an application's host: the one reserved path that a sign-in may return to, because it shows
/// something to the browser that sent the form, and does nothing.
public enum FormPath {
    static let prefix = ReservedPath.prefix + "form/"
    private static let idBytes = 16

    /// A new id, 22 characters of base64url.
    public static func newID(random: (Int) -> [UInt8] = { Random.bytes($0) }) -> String {
        Base64URL.encode(random(idBytes))
    }

    /// The path of the form with this id.
    public static func path(of id: String) -> String { prefix + id }

    /// The id that a path names; nil for every other path.
    public static func id(of path: String) -> String? {
        guard path.hasPrefix(prefix) else { return nil }
        let id = String(path.dropFirst(prefix.count))
        return Base64URL.decode(id)?.count == idBytes ? id : nil
    }
}

/// The cookie `__Host-gatepost-person` of applications that keep forms: who was signed in at this browser
/// last, as a sealed digest. It outlives the session, so that a form which was sent after its end is shown to
/// nobody else.
public enum PersonCookie {
    /// The cookie's name on application hosts.
    public static let name = "__Host-gatepost-person"

    /// What a person is compared by: SHA-256 over issuer and subject.
    public static func digest(issuer: String, subject: String) -> [UInt8] {
        Digest.sha256(Array("\(issuer.utf8.count) \(issuer) \(subject)".utf8))
    }

    /// The `Set-Cookie` value at an application's host; it lasts until the browser ends.
    public static func setCookie(_ person: [UInt8], host: String, sealer: Sealer) -> String {
        CookieText.set(name, sealer.seal(person, context: context(host)), maxAgeSeconds: nil)
    }

    /// What a request says of that.
    public enum Found: Sendable, Equatable {
        /// Nobody, or sealed under keys that are gone.
        case nobody
        case person([UInt8])
        /// Two of them: somebody planted one.
        case ambiguous
    }

    /// Reads the request's cookie.
    public static func find(cookieField: [String], host: String, sealer: Sealer) -> Found {
        let found = CookieText.values(of: name, in: cookieField)
        guard found.count < 2 else { return .ambiguous }
        return found.first.flatMap { sealer.open($0, context: context(host)) }.map { .person($0) } ?? .nobody
    }

    private static func context(_ host: String) -> String { "gatepost-person/\(host)" }
}
