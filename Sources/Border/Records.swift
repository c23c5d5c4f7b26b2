public import Access

/// A session as a reactor needs it: nothing more than what deciding and forwarding one request takes.
public struct SessionRecord: Sendable, Codable, Hashable {
    /// Who it is about. A proof of one kind never finds the record of another.
    public enum Client: String, Sendable, Codable { case person, serviceToken, bearerToken, certificate }

    /// The version of this value's shape; a reader refuses what it does not know.
    public var version: UInt8 = 1
    /// The revocation sequence this record was loaded at: it is used only after every later revocation was applied.
    public var sequence: UInt64
    /// SHA-256 of the cookie's secret, 32 bytes.
    public var tokenDigest: [UInt8]
    public var session: String
    /// `issuer subject` of the person.
    public var person: String
    public var device: String?
    public var application: String
    public var residual: Residual
    /// Complete field lines, each ended by CRLF: the assertion and the configured plain fields.
    public var identityFields: [UInt8]
    public var expiresAtSeconds: Int64
    /// From this second on a reactor that uses the record asks for a fresh one (`ToControl.renew`) beside going on.
    public var renewAtSeconds: Int64 = .max
    /// A use after this second has to be told in any case, of a request and of what is open: asking for a fresh record
    /// is what says that a session is used, and one that nobody uses ends.
    public var useNotedUntilSeconds: Int64 = .max
    /// What is open is decided by this one when it differs from `residual`: only a handshake's age has a grace, and
    /// only for what is open.
    public var openResidual: Residual?
    /// How long what is open may go on without a fresh record. Not before `residual.validUntilSeconds`, which also
    /// ends with the assertion in `identityFields`; an open stream carries no new assertion. Both end with the shortest
    /// idle time.
    public var streamsUntilSeconds: Int64
    /// The decision that `residual` came from, as the access log and the decision log name it; nil: none was named.
    public var decision: DecisionID?
    /// Stronger sign-ins that would open what `residual` refuses; looked at only after it has refused.
    public var stepUps: [StepUpWay] = []
    public var client = Client.person
    /// From this second on a page that somebody opens is asked about (`ControlRequest.Purpose.recheck`).
    public var recheckAtSeconds: Int64 = .max
    /// The client certificate beside which it counts; nil: it counts on connections without one.
    public var certificate: CertificateUse?
    public init(
        sequence: UInt64, tokenDigest: [UInt8], session: String, person: String, device: String?,
        application: String, residual: Residual, identityFields: [UInt8], expiresAtSeconds: Int64
    ) {
        self.sequence = sequence
        self.tokenDigest = tokenDigest
        self.session = session
        self.person = person
        self.device = device
        self.application = application
        self.residual = residual
        self.identityFields = identityFields
        self.expiresAtSeconds = expiresAtSeconds
        streamsUntilSeconds = min(residual.validUntilSeconds, expiresAtSeconds)
    }
}

/// A session on connections that showed one client certificate, which stands for the device.
public struct CertificateUse: Sendable, Codable, Hashable {
    /// `MachineClaim.tokenDigest`, 32 bytes: names the certificate at its host. Empty: nobody knows it any more.
    public var digest: [UInt8]
    /// What decides for what is open once the certificate counts no more.
    public var without: Residual
    public init(digest: [UInt8], without: Residual) {
        self.digest = digest
        self.without = without
    }
}

/// A stronger sign-in of a session, prepared for whoever is refused.
public struct StepUpWay: Sendable, Codable, Hashable {
    /// What it opens: the requests that this forwards.
    public var residual: Residual
    /// The parameters of a `WWW-Authenticate` challenge (RFC 9470 §3), without line ends.
    public var challenge: String
    /// The query of `open_url` that begins it, without "?".
    public var query: String
    public init(residual: Residual, challenge: String, query: String) {
        self.residual = residual
        self.challenge = challenge
        self.query = query
    }
}

/// Where an answer belongs: reactor, slot and generation of the parked request, opaque to the control plane.
public struct Ticket: Sendable, Codable, Hashable {
    public var reactor: UInt16
    public var slot: UInt32
    public var generation: UInt32
    public init(reactor: UInt16, slot: UInt32, generation: UInt32) {
        self.reactor = reactor
        self.slot = slot
        self.generation = generation
    }
}

public struct Field: Sendable, Codable, Hashable {
    public var name: String
    public var value: String
    public init(_ name: String, _ value: String) {
        self.name = name
        self.value = value
    }
}

/// A request that the control plane answers: a reserved path, or one that needs a page (sign-in, block, device check).
public struct ControlRequest: Sendable, Codable, Hashable {
    public enum Purpose: Sendable, Codable, Hashable {
        /// A path under `/.gatepost/`.
        case reserved
        /// A navigation without a session that the application accepts: redirect to sign-in.
        case signIn
        /// A form without a session that the application accepts; it is kept over the sign-in, and is in `body`.
        case keepForm
        /// A refused navigation of a signed-in person: the block page or the way to the device check.
        case refused(Reason)
        /// A page that somebody opens and may open: whether the device proves itself again first.
        case recheck
    }
    public var ticket: Ticket
    public var purpose: Purpose
    /// A person looks at the answer. Only then may it lead away or begin a sign-in.
    public var isNavigation = false
    /// The configured application of the host, nil on the auth host.
    public var application: String?
    /// Lower case, without port.
    public var host: String
    public var method: String
    public var path: String
    /// Without "?"; empty when there is none.
    public var query: String
    /// In the order received, names in lower case.
    public var fields: [Field]
    /// At most 65,536 bytes.
    public var body: [UInt8]
    public var client: NetworkAddress
    /// 32 hex digits; on every page and in every log line about this request.
    public var requestID: String
    /// The connection's client certificate, where it may stand for the device.
    public var certificate: MachineClaim?
    public init(
        ticket: Ticket, purpose: Purpose, application: String?, host: String, method: String, path: String,
        query: String, fields: [Field], body: [UInt8], client: NetworkAddress, requestID: String
    ) {
        self.ticket = ticket
        self.purpose = purpose
        self.application = application
        self.host = host
        self.method = method
        self.path = path
        self.query = query
        self.fields = fields
        self.body = body
        self.client = client
        self.requestID = requestID
    }
}

public struct ControlResponse: Sendable, Codable, Hashable {
    public var ticket: Ticket
    public var status: Int
    /// Without Content-Length, Date and Connection: the reactor writes those.
    public var fields: [Field]
    public var body: [UInt8]
    public var reason: Reason?
    public init(ticket: Ticket, status: Int, fields: [Field], body: [UInt8], reason: Reason? = nil) {
        self.ticket = ticket
        self.status = status
        self.fields = fields
        self.body = body
        self.reason = reason
    }
}
