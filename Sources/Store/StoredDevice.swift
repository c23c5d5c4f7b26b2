public import Access

/// An enrolled device.
public struct StoredDevice: Sendable, Codable, Hashable {
    /// The id in the device certificate (`urn:device:<id>`).
    public var id: String
    /// `iss` of the person whose enrolment token was used.
    public var ownerIssuer: String
    /// `sub` of that person.
    public var ownerSubject: String
    /// For display.
    public var ownerEmail: String?
    /// nil until the agent said so.
    public var platform: Platform?
    /// RFC 7638 thumbprint of the device key.
    public var keyThumbprint: String
    /// Serial number of the newest certificate, hex.
    public var certificateSerial: String
    /// When it was enrolled.
    public var enrolledAtSeconds: Int64
    /// notAfter of the newest certificate.
    public var certificateNotAfterSeconds: Int64
    /// Provider ids pinned to the device key, kind → value (`intune-device-id`, `serial`, …). A pair belongs
    /// to at most one device, and a revoked device has none.
    public var pinnedIDs: [String: String]
    /// The highest statement counter seen; never goes back.
    public var counter: Int64
    /// Once true it stays true: a revoked device enrols anew under another id.
    public var isRevoked: Bool
    /// The device that took its place: the same machine of the same person, enrolled again. Never taken back.
    public var supersededBy: String?
    /// What was proven about the key when it enrolled. The key never changes, and neither does this.
    public var keyLevel: AgentStatement.KeyLevel
    /// SHA-256 of the endorsement key's public area of the chip that attested the key, hex.
    public var chipID: String?
    /// Whether that chip's certificate came from a configured authority.
    public var isChipMakerKnown: Bool

    /// Makes a device row.
    public init(
        id: String, ownerIssuer: String, ownerSubject: String, ownerEmail: String? = nil,
        platform: Platform? = nil,
        keyThumbprint: String, certificateSerial: String, enrolledAtSeconds: Int64,
        certificateNotAfterSeconds: Int64, pinnedIDs: [String: String] = [:], counter: Int64 = 0,
        isRevoked: Bool = false, supersededBy: String? = nil,
        keyLevel: AgentStatement.KeyLevel = .software, chipID: String? = nil, isChipMakerKnown: Bool = false
    ) {
        self.id = id
        self.ownerIssuer = ownerIssuer
        self.ownerSubject = ownerSubject
        self.ownerEmail = ownerEmail
        self.platform = platform
        self.keyThumbprint = keyThumbprint
        self.certificateSerial = certificateSerial
        self.enrolledAtSeconds = enrolledAtSeconds
        self.certificateNotAfterSeconds = certificateNotAfterSeconds
        self.pinnedIDs = pinnedIDs
        self.counter = counter
        self.isRevoked = isRevoked
        self.supersededBy = supersededBy
        self.keyLevel = keyLevel
        self.chipID = chipID
        self.isChipMakerKnown = isChipMakerKnown
    }
}

/// A one-time right of one person to enrol one device.
public struct EnrollmentToken: Sendable, Codable, Hashable {
    /// SHA-256 of the token; the token itself is never stored.
    public var tokenDigest: [UInt8]
    /// `iss` of the person who will own the device.
    public var issuer: String
    /// `sub` of that person.
    public var subject: String
    /// For display; nil when the provider gave none.
    public var email: String?
    /// When set, only a device that names this serial number may use the token.
    public var expectedSerial: String?
    /// From this second on the token is worthless.
    public var expiresAtSeconds: Int64

    /// Makes an enrolment token row.
    public init(
        tokenDigest: [UInt8], issuer: String, subject: String, email: String? = nil,
        expectedSerial: String? = nil,
        expiresAtSeconds: Int64
    ) {
        self.tokenDigest = tokenDigest
        self.issuer = issuer
        self.subject = subject
        self.email = email
        self.expectedSerial = expectedSerial
        self.expiresAtSeconds = expiresAtSeconds
    }
}

/// How far the synchronisation with one provider got.
public struct SyncState: Sendable, Codable, Hashable {
    /// The configured integration.
    public var integration: String
    /// When the last *complete* synchronisation ended.
    public var completedAtSeconds: Int64
    /// Where the provider wants the next incremental one to start.
    public var deltaLink: String?

    /// Makes a synchronisation state.
    public init(integration: String, completedAtSeconds: Int64, deltaLink: String? = nil) {
        self.integration = integration
        self.completedAtSeconds = completedAtSeconds
        self.deltaLink = deltaLink
    }
}

/// One line of the audit trail.
public struct AuditRecord: Sendable, Codable, Hashable {
    /// Grows by at least one with every record, never reused.
    public var sequence: Int64
    /// For example `session-revoked`.
    public var kind: String
    /// When it happened.
    public var atSeconds: Int64
    /// One JSON object.
    public var json: String

    /// Makes an audit record.
    public init(sequence: Int64, kind: String, atSeconds: Int64, json: String) {
        self.sequence = sequence
        self.kind = kind
        self.atSeconds = atSeconds
        self.json = json
    }
}
