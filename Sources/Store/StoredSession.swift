public import Access

/// One session row: a global session at the auth host, or an application session that points at one.
public struct StoredSession: Sendable, Codable, Hashable {
    /// Which of the two tiers a session belongs to.
    public enum Kind: String, Sendable, Codable, CaseIterable { case global, application }

    /// Unique, not secret (it stands in logs).
    public var id: String
    /// Which tier.
    public var kind: Kind
    /// SHA-256 of the cookie's 32-byte secret; the secret itself is never stored.
    public var tokenDigest: [UInt8]
    /// The digest before the last rotation, accepted while `now < previousUntilSeconds`.
    public var previousTokenDigest: [UInt8]?
    /// From this second on the previous digest is refused.
    public var previousUntilSeconds: Int64?
    /// The global session an application session lives and dies with; nil for a global session.
    public var globalID: String?
    /// The application's configured name; nil for a global session.
    public var application: String?
    /// The host whose cookie this is, lower case.
    public var host: String
    /// The *configured name* of the identity provider that made it.
    public var identityProvider: String
    /// `iss` of the id token.
    public var issuer: String
    /// `sub` of the id token.
    public var subject: String
    /// Lower-cased verified address.
    public var email: String?
    /// For display only.
    public var name: String?
    /// Groups as the provider sent them.
    public var groups: [String]
    /// Further claims that policy or plain fields may use.
    public var claims: [String: ClaimValue]
    /// The id token for RP-initiated sign-out, sealed by the caller.
    public var idToken: String?
    /// When the person proved who they are.
    public var authenticatedAtSeconds: Int64
    /// When this session was made.
    public var createdAtSeconds: Int64
    /// From this second on the session does not exist.
    public var expiresAtSeconds: Int64
    /// The device that was proven for this session.
    public var deviceID: String?
    /// RFC 7638 thumbprint of the device's key.
    public var deviceThumbprint: String?
    /// What the local agent signed for this session.
    public var statement: AgentStatement?
    /// The binding to a key of the browser; nil: an ordinary session.
    public var binding: SessionBinding?

    /// Makes a session row; lists are kept in the order given.
    public init(
        id: String, kind: Kind, tokenDigest: [UInt8], previousTokenDigest: [UInt8]? = nil,
        previousUntilSeconds: Int64? = nil, globalID: String? = nil, application: String? = nil, host: String,
        identityProvider: String, issuer: String, subject: String, email: String? = nil, name: String? = nil,
        groups: [String] = [], claims: [String: ClaimValue] = [:], idToken: String? = nil,
        authenticatedAtSeconds: Int64, createdAtSeconds: Int64, expiresAtSeconds: Int64,
        deviceID: String? = nil,
        deviceThumbprint: String? = nil, statement: AgentStatement? = nil, binding: SessionBinding? = nil
    ) {
        self.id = id
        self.kind = kind
        self.tokenDigest = tokenDigest
        self.previousTokenDigest = previousTokenDigest
        self.previousUntilSeconds = previousUntilSeconds
        self.globalID = globalID
        self.application = application
        self.host = host
        self.identityProvider = identityProvider
        self.issuer = issuer
        self.subject = subject
        self.email = email
        self.name = name
        self.groups = groups
        self.claims = claims
        self.idToken = idToken
        self.authenticatedAtSeconds = authenticatedAtSeconds
        self.createdAtSeconds = createdAtSeconds
        self.expiresAtSeconds = expiresAtSeconds
        self.deviceID = deviceID
        self.deviceThumbprint = deviceThumbprint
        self.statement = statement
        self.binding = binding
    }

    /// Under this claim name a session remembers when it was used last. It is no fact about the person: no decision
    /// reads it, so that being in use changes none.
    public static let usedClaim = "gatepost-used"

    /// The id of the ID token that it was made or renewed with last (`jti`), for signals that name it.
    public static let tokenClaim = "gatepost-token"
    static let tokenIDBytesMax = 128

    /// Keeps the id of an ID token; one that is longer than ids are names nothing.
    public static func tokenClaims(id: String?) -> [String: ClaimValue] {
        guard let id, (1...tokenIDBytesMax).contains(id.utf8.count) else { return [:] }
        return [tokenClaim: .text(id)]
    }

    /// Under this claim name a global session remembers the others of the same browser, made by other providers. Claims
    /// of providers never begin with `gatepost`.
    public static let linkedClaim = "gatepost-linked-sessions"

    /// So many others one browser may have.
    public static let linkedMax = 8

    /// The other global sessions of the browser that has this one.
    public var linkedIDs: [String] {
        if case .list(let ids)? = claims[Self.linkedClaim] { ids } else { [] }
    }

    /// Under this claim name a global session remembers what sign-ins of its browser that may still be under way know
    /// the browser by, beside the ids of its sessions: signing out ends them. It is no fact about the person, either.
    public static let browserClaim = "gatepost-browser"

    /// See `browserClaim`.
    public var browserNames: [String] {
        if case .list(let names)? = claims[Self.browserClaim] { names } else { [] }
    }

    /// What decisions need of it.
    public var facts: SessionFacts {
        var known = claims
        if known[Self.usedClaim] != nil { known[Self.usedClaim] = nil }
        if known[Self.tokenClaim] != nil { known[Self.tokenClaim] = nil }
        if known[Self.browserClaim] != nil { known[Self.browserClaim] = nil }
        return SessionFacts(
            id: id, identityProvider: identityProvider,
            person: PersonFacts(
                issuer: issuer, subject: subject, email: email, name: name, groups: groups, claims: known,
                authenticatedAtSeconds: authenticatedAtSeconds),
            createdAtSeconds: createdAtSeconds, expiresAtSeconds: expiresAtSeconds,
            keyProvenAtSeconds: binding?.provenAtSeconds)
    }
}

/// Which sessions to list.
public enum SessionQuery: Sendable, Hashable {
    /// Every session.
    case all
    /// The application sessions of one global session (the global session itself is not among them).
    case global(id: String)
    /// Every session of one person of one issuer, by whichever of its subjects (`GatewayStore.link`).
    case person(issuer: String, subject: String)
    /// Every session with this e-mail address (lower case).
    case email(String)
    /// Every session that proved this device.
    case device(id: String)
    /// The sessions with these ids, expired or not; an id that nobody has is left out.
    case ids([String])
    /// The application sessions of these global sessions (they themselves are not among them).
    case globals(ids: [String])
    /// Every session that proved one of these devices.
    case devices(ids: [String])
    /// Every session that this configured provider made.
    case provider(String)
    /// Every session at this application.
    case application(String)
}
