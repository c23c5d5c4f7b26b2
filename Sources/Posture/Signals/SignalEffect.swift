public import Access
public import Store

/// What a security event does. Closed: whoever carries effects out handles each.
public enum SignalEffect: Sendable, Hashable {
    /// These sessions are over.
    case endSessions(SignalTarget)
    /// Whoever these sessions belong to proves anew who they are: a credential or level that they rest on
    /// is gone.
    case requireReauthentication(SignalTarget)
    /// Claims of these sessions have other values; they are decided again.
    case replaceClaims(SignalTarget, ClaimChanges)
    /// The transmitter says something about a device.
    case setVerdict(DeviceSignal)
    /// A certificate counts no more, where one of our own authorities issued it.
    case revokeCertificate(SignalledCertificate)
}

/// A certificate as an event names it (CAEP 1.0 §3.3).
public struct SignalledCertificate: Sendable, Hashable {
    /// A distinguished name, in the transmitter's writing.
    public var issuer: String
    /// In hexadecimal, in the transmitter's writing.
    public var serial: String

    /// Takes the members as they are.
    public init(issuer: String, serial: String) {
        self.issuer = issuer
        self.serial = serial
    }
}

/// Which sessions an event is about. A session is meant when everything that is named fits it; nothing
/// named is a target of nothing.
public struct SignalTarget: Sendable, Hashable {
    /// A person as an event names one.
    public typealias Person = SignInNames.Person
    /// An ID token as an event names it.
    public typealias Token = SignInNames.Token

    /// Names of the same person: any of them fits.
    public var persons: [Person] = []
    /// Our id of the device that the session was proven on.
    public var deviceID: String?
    /// Our id of the session, or the identity provider's (`sid`): any of them fits.
    public var sessions: [String] = []
    /// ID tokens that the session was made or renewed with last: any of them fits, and so does any of `sessions`.
    public var tokens: [Token] = []
    /// The identity provider's tenant (`tid`): any of them fits.
    public var tenants: [String] = []

    /// A target of nothing.
    public init() {}

    /// Whether it names anything.
    public var isEmpty: Bool {
        persons.isEmpty && deviceID == nil && sessions.isEmpty && tokens.isEmpty && tenants.isEmpty
    }

    /// What to list so that every session that is meant is among it; the narrowest that is named.
    public var queries: [SessionQuery] {
        if !persons.isEmpty {
            return persons.map { person in
                switch person {
                case .identity(let issuer, let subject): .person(issuer: issuer, subject: subject)
                case .email(let email): .email(email)
                }
            }
        }
        if let deviceID { return [.device(id: deviceID)] }
        return isEmpty ? [] : [.all]
    }

    /// All that it names but the device: what a sign-in under way can already be called.
    public var names: SignInNames {
        SignInNames(persons: persons, sessions: sessions, tokens: tokens, tenants: tenants)
    }

    /// Whether a session is meant.
    ///
    /// A session of the person of which it is not known which of the provider's sessions or tenants it
    /// belongs to is meant too: it may be the one that was revoked.
    public func covers(_ session: StoredSession) -> Bool {
        guard !isEmpty else { return false }
        if let deviceID, session.deviceID.map({ !ExactText.isEqual($0, deviceID) }) ?? true { return false }
        return names.covers(session, isKnown: deviceID != nil)
    }
}

/// New values of a session's claims.
public struct ClaimChanges: Sendable, Hashable {
    /// nil: the groups are as they were.
    public var groups: [String]?
    /// By name; what is nil is no longer said.
    public var values: [String: ClaimValue?]

    /// Takes the members as they are.
    public init(groups: [String]?, values: [String: ClaimValue?]) {
        self.groups = groups
        self.values = values
    }

    /// Writes the new values to a session.
    public func apply(to session: inout StoredSession) {
        if let groups { session.groups = groups }
        for (name, value) in values { session.claims[name] = value }
    }
}

/// What a transmitter says about one device.
public struct DeviceSignal: Sendable, Hashable {
    /// The one thing that it says.
    public enum Word: Sendable, Hashable {
        case compliance(isCompliant: Bool)
        case risk(Verdict.Risk)
    }

    /// What verdicts made of signals have for a provider; the integration's own is `shared-signals`.
    public static let verdictProvider = "signal"

    /// The configured name of the stream.
    public var stream: String
    /// Our id of the device.
    public var deviceID: String
    /// What is said.
    public var word: Word
    /// When it was so, by the transmitter's clock.
    public var happenedAtSeconds: Int64
    /// When we heard it.
    public var receivedAtSeconds: Int64

    /// Takes the members as they are.
    public init(
        stream: String, deviceID: String, word: Word, happenedAtSeconds: Int64, receivedAtSeconds: Int64
    ) {
        self.stream = stream
        self.deviceID = deviceID
        self.word = word
        self.happenedAtSeconds = happenedAtSeconds
        self.receivedAtSeconds = receivedAtSeconds
    }
}
