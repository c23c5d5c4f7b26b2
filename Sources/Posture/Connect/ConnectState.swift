import JSON
import Signatures

/// What travels sealed through the administrator's browser: made for one integration, for one visit, for
/// fifteen minutes. Nothing is kept here until it returns, so links that nobody follows cost nothing.
struct ConnectState: Sendable, Hashable {
    static let lifeSeconds: Int64 = 900
    static let bytesMax = 2_048

    /// 16 random bytes: the nonce of which only the digest is kept, once.
    var id: [UInt8]
    /// PKCE code verifier (RFC 7636 §4.1), 43 characters.
    var verifier: String
    /// The directory's id, which the answer has to name.
    var tenant: String
    var redirectURI: String
    var expiresAtSeconds: Int64

    init(tenant: String, redirectURI: String, nowSeconds: Int64) {
        id = Random.bytes(16)
        verifier = Base64URL.encode(Random.bytes(32))
        self.tenant = tenant
        self.redirectURI = redirectURI
        expiresAtSeconds = nowSeconds + Self.lifeSeconds
    }

    /// S256 of the verifier.
    var challenge: String { Base64URL.encode(Digest.sha256(Array(verifier.utf8))) }

    /// Binds the id_token to this visit. Not the id itself: whoever sees the one does not know the other.
    var nonce: String { Base64URL.encode(Digest.sha256(Array("nonce ".utf8) + id)) }

    /// What is noted as used.
    var digest: [UInt8] { Digest.sha256(Array("gatepost-connect ".utf8) + id) }

    func sealed(for integration: String, _ sealer: Sealer) -> String {
        let members: JSONValue = [
            "id": .string(Base64URL.encode(id)), "verifier": .string(verifier), "tenant": .string(tenant),
            "redirect": .string(redirectURI), "exp": .integer(expiresAtSeconds),
        ]
        return sealer.seal(members.serialized(), context: Self.context(integration))
    }

    /// nil for anything that was not sealed here for this integration, and for what is over.
    init?(_ text: String?, of integration: String, _ sealer: Sealer, nowSeconds: Int64) {
        guard let text, text.utf8.count <= Self.bytesMax,
            let bytes = sealer.open(text, context: Self.context(integration)),
            let value = try? JSONValue(parsing: bytes, limits: .token),
            let id = value["id"]?.string.flatMap({ Base64URL.decode($0) }), id.count == 16,
            let verifier = value["verifier"]?.string, let tenant = value["tenant"]?.string,
            let redirect = value["redirect"]?.string, let ends = value["exp"]?.integer,
            // A clock that jumped back does not make a link good for longer than its life.
            (nowSeconds + 1...nowSeconds + Self.lifeSeconds).contains(ends)
        else { return nil }
        self.id = id
        self.verifier = verifier
        self.tenant = tenant
        redirectURI = redirect
        expiresAtSeconds = ends
    }

    private static func context(_ integration: String) -> String { "gatepost-connect/\(integration)" }
}
