/// What is known of the person, the session, the device and the request when a decision is made.

/// One claim of the identity provider, reduced to what policy can compare.
public enum ClaimValue: Sendable, Codable, Hashable {
    case text(String)
    case list([String])
    case flag(Bool)
    case integer(Int64)
}

/// The signed-in person, as the identity provider described them.
public struct PersonFacts: Sendable, Codable, Hashable {
    /// `iss`, exactly.
    public var issuer: String
    /// `sub`, exactly.
    public var subject: String
    /// Lower-cased; nil when the provider sent none or said that it is not verified.
    public var email: String? { didSet { names = NameTable(groups, email: email) } }
    /// For pages only; never compared.
    public var name: String?
    /// Exact names or ids.
    public var groups: [String] { didSet { names = NameTable(groups, email: email) } }
    /// By the provider's exact names.
    public var claims: [String: ClaimValue]
    /// When the provider last saw the person prove who they are; 0 when it does not say.
    public var authenticatedAtSeconds: Int64
    /// Made of `groups` and `email`, once: a session is decided for many applications, and many times.
    private(set) var names: NameTable

    private enum CodingKeys: String, CodingKey {
        case issuer, subject, email, name, groups, claims, authenticatedAtSeconds
    }

    /// Takes the members as they are; nothing is checked here.
    public init(
        issuer: String, subject: String, email: String? = nil, name: String? = nil, groups: [String] = [],
        claims: [String: ClaimValue] = [:], authenticatedAtSeconds: Int64 = 0
    ) {
        self.issuer = issuer
        self.subject = subject
        self.email = email
        self.name = name
        self.groups = groups
        self.claims = claims
        self.authenticatedAtSeconds = authenticatedAtSeconds
        names = NameTable(groups, email: email)
    }

    /// As it was encoded; every member has to be there, but for the address and the name.
    public init(from decoder: any Decoder) throws {
        let members = try decoder.container(keyedBy: CodingKeys.self)
        self.init(
            issuer: try members.decode(String.self, forKey: .issuer),
            subject: try members.decode(String.self, forKey: .subject),
            email: try members.decodeIfPresent(String.self, forKey: .email),
            name: try members.decodeIfPresent(String.self, forKey: .name),
            groups: try members.decode([String].self, forKey: .groups),
            claims: try members.decode([String: ClaimValue].self, forKey: .claims),
            authenticatedAtSeconds: try members.decode(Int64.self, forKey: .authenticatedAtSeconds))
    }
}

/// A session and the *configured* identity provider that made it. Two configured providers may share one
/// issuer, so the configured name decides, never the issuer.
public struct SessionFacts: Sendable, Codable, Hashable {
    /// Opaque, unique.
    public var id: String
    /// The configured name of the provider that made the session.
    public var identityProvider: String
    /// Who signed in.
    public var person: PersonFacts
    /// When the session began.
    public var createdAtSeconds: Int64
    /// From this second on the session does not count.
    public var expiresAtSeconds: Int64
    /// When the browser last proved the key that the session is bound to; nil: it is bound to none.
    public var keyProvenAtSeconds: Int64?
    /// Takes the members as they are; nothing is checked here.
    public init(
        id: String, identityProvider: String, person: PersonFacts, createdAtSeconds: Int64,
        expiresAtSeconds: Int64, keyProvenAtSeconds: Int64? = nil
    ) {
        self.id = id
        self.identityProvider = identityProvider
        self.person = person
        self.createdAtSeconds = createdAtSeconds
        self.expiresAtSeconds = expiresAtSeconds
        self.keyProvenAtSeconds = keyProvenAtSeconds
    }
}

/// The operating systems that policy can name.
public enum Platform: String, Sendable, Codable, CaseIterable {
    case windows, macos, linux, ios, android, chromeos
}

/// What the local agent signed, for the session's own transaction.
public struct AgentStatement: Sendable, Codable, Hashable {
    /// How well the device key is known to be kept, from worst to best.
    public enum KeyLevel: String, Sendable, Codable, CaseIterable { case software, claimed, attested }
    /// The configured `endpoint-agent` integration that verified it.
    public var integration: String
    /// When the gateway checked the signature.
    public var verifiedAtSeconds: Int64
    /// From this second on the statement says nothing (`posture.max-age`).
    public var expiresAtSeconds: Int64
    /// From this second on it says nothing about what is already open either (`posture.grace`); nil: from
    /// `expiresAtSeconds` on.
    public var openUntilSeconds: Int64?
    /// When the device last checked in with its management, by the statement.
    public var lastSeenSeconds: Int64
    /// Whether the device is managed, by the statement.
    public var isManaged: Bool
    /// What is known of the key that signed.
    public var keyLevel: KeyLevel
    /// Dotted numbers, at most four.
    public var agentVersion: String
    /// As the agent writes it; for people.
    public var osVersion: String
    /// Facts by name (`disk-encryption`, `firewall`, `screen-lock`, `secure-boot`, …). Absent means unknown.
    public var facts: [String: ClaimValue]
    /// How the device proved itself; nil: kept by a version that did not note it.
    public var mode: HandshakeMode?
    /// Which way the answer came; nil: kept by a version that did not note it.
    public var transport: HandshakeTransport?
    /// Whether a navigation was begun by the page, without a click; nil: not, or by a version that did not note it.
    public var isUnasked: Bool?
    /// Takes the members as they are; nothing is checked here.
    public init(
        integration: String, verifiedAtSeconds: Int64, expiresAtSeconds: Int64,
        openUntilSeconds: Int64? = nil, lastSeenSeconds: Int64, isManaged: Bool, keyLevel: KeyLevel,
        agentVersion: String, osVersion: String, facts: [String: ClaimValue],
        mode: HandshakeMode? = nil, transport: HandshakeTransport? = nil, isUnasked: Bool? = nil
    ) {
        self.integration = integration
        self.verifiedAtSeconds = verifiedAtSeconds
        self.expiresAtSeconds = expiresAtSeconds
        self.openUntilSeconds = openUntilSeconds
        self.lastSeenSeconds = lastSeenSeconds
        self.isManaged = isManaged
        self.keyLevel = keyLevel
        self.agentVersion = agentVersion
        self.osVersion = osVersion
        self.facts = facts
        self.mode = mode
        self.transport = transport
        self.isUnasked = isUnasked
    }
}

/// A device as far as we know it: its enrolment, its last statement and every provider's verdict.
public struct DeviceFacts: Sendable, Codable, Hashable {
    /// Opaque, unique.
    public var id: String
    /// nil: not known, which is never supported.
    public var platform: Platform?
    /// The person named by the enrolment token; nil when nobody enrolled it.
    public var ownerIssuer: String?
    /// The owner's `sub`.
    public var ownerSubject: String?
    /// nil: this device has signed nothing in this session.
    public var statement: AgentStatement?
    /// At most a few per integration, in any order.
    public var verdicts: [Verdict]
    /// What the connection's client certificate says; nil: none was shown, or nobody asked.
    public var certificate: CertificateProof?
    /// How much longer than an application's own bound the proof counts: for what is open only, so it is no fact
    /// and never written down.
    private(set) var graceSeconds: Int64 = 0

    private enum CodingKeys: String, CodingKey {
        case id, platform, ownerIssuer, ownerSubject, statement, verdicts, certificate
    }

    /// Takes the members as they are; nothing is checked here.
    public init(
        id: String, platform: Platform?, ownerIssuer: String? = nil, ownerSubject: String? = nil,
        statement: AgentStatement? = nil, verdicts: [Verdict] = [], certificate: CertificateProof? = nil
    ) {
        self.id = id
        self.platform = platform
        self.ownerIssuer = ownerIssuer
        self.ownerSubject = ownerSubject
        self.statement = statement
        self.verdicts = verdicts
        self.certificate = certificate
    }

    /// The device as it counts for what is already open. Only the age of the handshake has a grace: a person
    /// who is reading cannot be sent through a device check, so what is open waits for the next page. A
    /// verdict, a signal or a fact has none.
    public var forWhatIsOpen: DeviceFacts {
        var device = self
        if let statement, let until = statement.openUntilSeconds {
            device.statement?.expiresAtSeconds = max(statement.expiresAtSeconds, until)
            device.graceSeconds = max(0, until.difference(saturating: statement.expiresAtSeconds))
        }
        return device
    }
}

/// An IPv4 or IPv6 address as 128 bits; IPv4 is kept in its mapped form (`::ffff:a.b.c.d`).
public struct NetworkAddress: Sendable, Codable, Hashable {
    /// The first 64 bits, network order.
    public var high: UInt64
    /// The last 64 bits, network order.
    public var low: UInt64
    /// Takes the members as they are; nothing is checked here.
    public init(high: UInt64, low: UInt64) {
        self.high = high
        self.low = low
    }
    /// The IPv4 address of these bits, network order.
    public init(v4 bits: UInt32) { self.init(high: 0, low: 0xffff_0000_0000 | UInt64(bits)) }
}

/// The request's own facts beside its path, which is passed as borrowed bytes so that deciding allocates
/// nothing.
public struct RequestFacts: Sendable, Hashable {
    /// What policy can name; everything else is `other`.
    public var method: RequestMethod
    /// Where the request comes from, with proven provenance.
    public var client: NetworkAddress
    /// The client certificate that the connection proved; nil: it showed none. One per connection, so that a
    /// request hands on a reference.
    public var certificate: CertificateFacts?
    /// Takes the members as they are; nothing is checked here.
    public init(method: RequestMethod, client: NetworkAddress, certificate: CertificateFacts? = nil) {
        self.method = method
        self.client = client
        self.certificate = certificate
    }
}

/// The methods that policy can name; everything else is `other` and is matched only by "any method".
public enum RequestMethod: String, Sendable, Codable, CaseIterable {
    case get = "GET"
    case head = "HEAD"
    case post = "POST"
    case put = "PUT"
    case delete = "DELETE"
    case patch = "PATCH"
    case options = "OPTIONS"
    case trace = "TRACE"
    case connect = "CONNECT"
    case other = "*"
}
