/// What the provider remembers: pending sign-ins, codes, tokens, remembered people. Everything bounded, in
/// memory.

import Signatures
import Synchronization

/// A checked authorization request, waiting for the person.
struct AuthorizationRequest: Sendable {
    var client: Client
    var redirectURI: String
    var state: String?
    var nonce: String?
    var challenge: String
    var scopes: [String]
    /// What was asked of the sign-in beside the person.
    var asked = AskedAuthentication()
    /// The session that answers it, as `sid` calls it.
    var sid: String?
}

/// What a code or a token stands for.
struct Grant: Sendable {
    var request: AuthorizationRequest
    var person: Person
    var authenticatedAtSeconds: Int64
    var expiresAtSeconds: Int64
    /// Set by the first redemption, so that the second revokes what the first got.
    var accessToken: String?
    /// The first of its family; nil: none was asked for.
    var refreshToken: String?
}

struct ProviderState {
    static let entriesMax = 10_000
    static let codeSeconds: Int64 = 60
    static let pendingSeconds: Int64 = 600
    static let tokenSeconds: Int64 = 3600

    private(set) var pending: [String: (request: AuthorizationRequest, expiresAtSeconds: Int64)] = [:]
    var codes: [String: Grant] = [:]
    var tokens: [String: Grant] = [:]
    var refreshes = RefreshFamilies()
    /// Browsers that signed in, by cookie. Bound to one client: the second registration asks again.
    private(set) var remembered: [String: (person: Person, clientID: String, sinceSeconds: Int64)] = [:]
    /// The newest signs; all are published.
    private(set) var keys: [SigningKey]
    /// What tokens are signed with.
    private(set) var algorithm = SignatureAlgorithm.es256
    /// The key before the last rotation, which is published no more; nil: there was none.
    private(set) var withdrawn: SigningKey?

    /// By `request_uri`.
    var pushedRequests: [String: (parameters: Parameters, clientID: String, expiresAtSeconds: Int64)] = [:]
    /// PEM of the public keys or certificates of clients that have no secret any more.
    var clientKeys: [String: [UInt8]] = [:]
    /// `jti` of every assertion that was taken.
    var usedAssertions: Set<String> = []

    init() { keys = [SigningKey.generateP256()] }

    static func secretText() -> String { Base64URL.encode(Random.bytes(32)) }

    /// The new key signs at once and the old one is gone at once: rotation without overlap.
    mutating func rotateKeys() {
        withdrawn = keys.last
        keys = [SigningKey.generate(for: algorithm)]
    }

    /// Another algorithm, with a key of its own. The one before was never withdrawn: it is of another kind.
    mutating func sign(with algorithm: SignatureAlgorithm) {
        self.algorithm = algorithm
        keys = [SigningKey.generate(for: algorithm)]
        withdrawn = nil
    }

    /// A full table forgets everything: whoever was waiting starts anew. Only a runaway test gets here.
    private static func makeRoom<Value>(in table: inout [String: Value]) {
        if table.count >= entriesMax { table.removeAll() }
    }

    mutating func suspend(_ request: AuthorizationRequest, nowSeconds: Int64) -> String {
        Self.makeRoom(in: &pending)
        let id = Self.secretText()
        pending[id] = (request, nowSeconds + Self.pendingSeconds)
        return id
    }

    func suspended(_ id: String, nowSeconds: Int64) -> AuthorizationRequest? {
        guard let entry = pending[id], nowSeconds < entry.expiresAtSeconds else { return nil }
        return entry.request
    }

    mutating func forget(pending id: String) { pending[id] = nil }

    mutating func issueCode(
        _ request: AuthorizationRequest, person: Person, authenticatedAtSeconds: Int64, nowSeconds: Int64
    ) -> String {
        Self.makeRoom(in: &codes)
        let code = Self.secretText()
        codes[code] = Grant(
            request: request, person: person, authenticatedAtSeconds: authenticatedAtSeconds,
            expiresAtSeconds: nowSeconds + Self.codeSeconds)
        return code
    }

    /// Marks the code as used and returns its grant and a fresh access token. A second use returns nil and
    /// takes the first one's token away (RFC 6749 4.1.2).
    mutating func redeem(_ code: String, nowSeconds: Int64) -> (grant: Grant, accessToken: String)? {
        guard var grant = codes[code] else { return nil }
        if let issued = grant.accessToken {
            tokens[issued] = nil
            refreshes.revoke(familyOf: grant.refreshToken, clientID: grant.request.client.id)
            return nil
        }
        Self.makeRoom(in: &tokens)
        let token = Self.secretText()
        grant.accessToken = token
        if grant.request.scopes.contains("offline_access") { grant.refreshToken = refreshes.begin(grant) }
        codes[code] = grant
        guard nowSeconds < grant.expiresAtSeconds else { return nil }
        var issued = grant
        issued.expiresAtSeconds = nowSeconds + Self.tokenSeconds
        tokens[token] = issued
        return (grant, token)
    }

    /// One more access token of a sign-in that goes on; `token` is the one that has been made already.
    mutating func issueAccessToken(_ grant: Grant, named token: String?, nowSeconds: Int64) -> String {
        Self.makeRoom(in: &tokens)
        let token = token ?? Self.secretText()
        var issued = grant
        issued.expiresAtSeconds = nowSeconds + Self.tokenSeconds
        tokens[token] = issued
        return token
    }

    func grant(accessToken: String, nowSeconds: Int64) -> Grant? {
        guard let grant = tokens[accessToken], nowSeconds < grant.expiresAtSeconds else { return nil }
        return grant
    }

    mutating func remember(_ person: Person, clientID: String, nowSeconds: Int64) -> String {
        Self.makeRoom(in: &remembered)
        let id = Self.secretText()
        remembered[id] = (person, clientID, nowSeconds)
        return id
    }

    mutating func forget(remembered id: String) { remembered[id] = nil }
}
