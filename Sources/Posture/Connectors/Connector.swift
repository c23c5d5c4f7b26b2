public import Access

/// What went wrong with a provider (providers.md 1.1, error classes).
public struct ConnectorFailure: Error, Sendable, Hashable {
    /// The class, stable: it is counted and shown to administrators.
    public enum Kind: String, Sendable, CaseIterable {
        case authFailed = "auth_failed"
        case forbidden
        case notFound = "not_found"
        case throttled
        case unavailable
        case timeout
        case tlsError = "tls_error"
        case malformedResponse = "malformed_response"
        case pagingLoop = "paging_loop"
        /// Its clock and ours differ so much that times in its answers mean something else here.
        case clockSkew = "clock_skew"
        case configError = "config_error"
    }
    /// The class.
    public var kind: Kind
    /// For administrators: never a token, a secret or a device's data.
    public var what: String
    /// When the provider said how long to wait.
    public var retryAfterSeconds: Int64?

    /// Makes a failure.
    public init(_ kind: Kind, _ what: String, retryAfterSeconds: Int64? = nil) {
        self.kind = kind
        self.what = what
        self.retryAfterSeconds = retryAfterSeconds
    }
}

/// A provider's record of one device and every key that names it there.
public struct VerdictRecord: Sendable, Hashable {
    /// `matchKey` and `matchStrength` are filled in when a device is matched.
    public var verdict: Verdict
    /// Normalised, without doubles.
    public var keys: [DeviceKey]

    /// Makes a record.
    public init(verdict: Verdict, keys: [DeviceKey]) {
        self.verdict = verdict
        self.keys = keys
    }
}

/// What one synchronisation brought.
public struct SyncResult: Sendable {
    /// Everything that was read, also when the synchronisation broke off.
    public var records: VerdictRecords
    /// *Proven* complete: every page was read, nothing was malformed, and the provider's own count agrees.
    /// Only then does absence say anything.
    public var isComplete: Bool
    /// Why it broke off, nil when it did not.
    public var failure: ConnectorFailure?
    /// Where an incremental synchronisation goes on from; only with a complete one.
    public var position: String?

    /// Makes a result.
    public init(
        records: VerdictRecords, isComplete: Bool, failure: ConnectorFailure? = nil, position: String? = nil
    ) {
        self.records = records
        self.isComplete = isComplete
        self.failure = failure
        self.position = position
    }
}

/// What an incremental synchronisation brought.
enum IncrementalResult: Sendable {
    /// Everything that changed since the position; what is not named is as it was.
    case changes(IncrementalChanges)
    /// The position is of no use (any more): everything has to be read. The reason is for administrators.
    case baselineNeeded(String)
    /// It broke off: what was read is news, absence says nothing, and the position stays.
    case failed(ConnectorFailure, read: VerdictRecords)
}

/// Changes between two positions, in which the last word about a device counts.
struct IncrementalChanges: Sendable {
    var changed: VerdictRecords
    /// The provider's ids of devices that are gone.
    var removed: [String]
    /// Where the next one goes on from.
    var position: String
}

/// What asking for one device brought.
public enum DeviceAnswer: Sendable {
    /// The current records of the device: none means that the provider answered and knows no such device.
    case records([VerdictRecord])
    /// Nothing was learned; cached verdicts stay as they are.
    case failed(ConnectorFailure)
}

/// What a connector knows of its own connection.
public struct ConnectorStatus: Sendable, Hashable {
    /// nil before the first token.
    public var tokenExpiresAtSeconds: Int64?
    /// Our clock plus this is the provider's.
    public var serverOffsetSeconds: Int64?
    /// Permissions that a probe found missing, with what works without them.
    public var missingPermissions: [String]
    /// Products that report compliance to the provider, where it has such.
    public var partners: [PartnerState] = []
    /// In whose name the provider is read; nil: in the application's own.
    public var account: String?
    /// When the refresh token of that account ends unless it is used before; nil: not known.
    public var accountEndsAtSeconds: Int64?
    /// Nothing is asked before, because the provider said so; nil: it may be asked now.
    public var throttledUntilSeconds: Int64?
    /// Permissions that were granted beyond what any integration of the same application needs (002.16).
    public var excessPermissions: [String] = []
    /// Whether an administrator connects it in a browser.
    public var isConnectable = false
    /// Whether there is anything to ask with; false: it is read in the name of somebody who has not connected it yet.
    public var hasCredentials = true
    /// Whether its clock and ours differ by more than records are forgiven for.
    public var isClockSkewed: Bool {
        serverOffsetSeconds.map { $0.magnitude > UInt64(RecordReading.skewSeconds) } ?? false
    }
    /// Come with every sign-in and read no device.
    static let signInScopes: Set<String> = ["openid", "profile", "email", "offline_access", "User.Read"]
    /// What the newest token may do; nil: not known.
    var granted: [String]?
    /// What the connector can make use of.
    var needed: Set<String> = []
    /// Integrations with the same application share its permissions.
    var application: String?

    /// Makes a status.
    public init(
        tokenExpiresAtSeconds: Int64? = nil, serverOffsetSeconds: Int64? = nil,
        missingPermissions: [String] = []
    ) {
        self.tokenExpiresAtSeconds = tokenExpiresAtSeconds
        self.serverOffsetSeconds = serverOffsetSeconds
        self.missingPermissions = missingPermissions
    }
}

/// A posture provider, as the refresh loop uses it. One file per vendor in this folder.
protocol Connector: Sendable {
    /// The configured name.
    var integration: String { get }
    /// `intune`, …
    var provider: String { get }
    /// How often known devices are asked again, and how often everything is read.
    var pace: RefreshPace { get }
    /// The kind of key that the native id of every record is, where no record carries a stronger one: a device that
    /// this key is pinned to has that record and no other. nil: there is no such kind.
    var nativeKey: DeviceKey.Kind? { get }
    /// One probe read per required permission; nil when all that is required works (providers.md 10.3).
    func probe() async -> ConnectorFailure?
    /// Reads everything.
    func sync() async -> SyncResult
    /// Reads everything, of these: for a provider that evaluates what it is told instead of listing what it
    /// has.
    func sync(known: [KnownDevice]) async -> SyncResult
    /// Asks for one device.
    func fetch(_ device: KnownDevice) async -> DeviceAnswer
    /// Reads what changed since the position of a complete synchronisation.
    func changes(since position: String) async -> IncrementalResult
    /// Asks for one device by whichever of its keys the provider can look up.
    func fetch(_ keys: [DeviceKey]) async -> DeviceAnswer
    /// How many devices one question may be about.
    var devicesPerQuestionMax: Int { get }
    /// Asks for several devices at once, at most `devicesPerQuestionMax`; each has its own answer, in their order.
    func fetch(together devices: [KnownDevice]) async -> [DeviceAnswer]
    /// A person's own devices, by what names the person at the provider (002.12).
    func devices(ofPerson person: String) async -> DeviceAnswer
    /// Which attribute of a person names them at the provider (001.21): `email`, `subject` or a claim; nil:
    /// it is not asked about people.
    var ownerAttribute: String? { get }
    /// Whether a device that nothing else finds there may be its owner's only one of its platform.
    var matchesOwners: Bool { get }
    func status() async -> ConnectorStatus
    /// The next question is asked with a new token.
    func forgetToken() async
    /// The permission with which our own verdicts are written there; nil: that is not switched on.
    var publishing: String? { get }
    /// Writes our verdict about one device. The same twice does what once does.
    func publish(_ state: PublishedState, objectID: String) async -> ConnectorFailure?
    /// How an administrator connects it in a browser; nil: all that it needs is configured.
    var consent: GraphConsent? { get }
}

/// An enrolled device as providers may be told of it.
struct KnownDevice: Sendable, Hashable {
    var id: String
    /// Of its owner.
    var email: String?
    /// Pinned, strongest kind first; never empty.
    var keys: [DeviceKey]
    /// Of its network hardware, as its current statement says; it is looked up by none of them.
    var addresses: [DeviceKey] = []
}

extension Connector {
    /// Most providers list what they have.
    func sync(known: [KnownDevice]) async -> SyncResult { await sync() }

    func fetch(_ device: KnownDevice) async -> DeviceAnswer { await fetch(device.keys) }

    var devicesPerQuestionMax: Int { 1 }

    func fetch(together devices: [KnownDevice]) async -> [DeviceAnswer] {
        var answers: [DeviceAnswer] = []
        for device in devices { answers.append(await fetch(device)) }
        return answers
    }

    /// Most providers cannot.
    func changes(since position: String) async -> IncrementalResult {
        .baselineNeeded("the provider has no incremental reads")
    }

    func forgetToken() async {}
    var ownerAttribute: String? { nil }
    var matchesOwners: Bool { false }
    var nativeKey: DeviceKey.Kind? { nil }

    func devices(ofPerson person: String) async -> DeviceAnswer {
        .failed(ConnectorFailure(.configError, "\(provider) is not asked about people"))
    }

    var consent: GraphConsent? { nil }
    var publishing: String? { nil }

    func publish(_ state: PublishedState, objectID: String) async -> ConnectorFailure? {
        ConnectorFailure(.configError, "\(provider) takes no verdicts")
    }

    /// A synchronisation has nobody waiting for it.
    static var syncWaitSecondsMax: Double { 600 }
    /// A priority fetch has somebody waiting in front of a page.
    static var fetchWaitSecondsMax: Double { 3 }
}

/// How often a connector wants to be asked.
struct RefreshPace: Sendable, Hashable {
    var deviceSeconds: Int64
    var fullSeconds: Int64
    /// How long an answer "no such device" may be used.
    var ttlSeconds: Int64
    /// Questions about devices under way at once, beside those of people who wait in front of a page.
    var questionsAtOnceMax = 6
    /// A device with an open session is asked about again when its verdict ends within this; 0: the list comes sooner.
    var endingSeconds: Int64 = 0

    /// How long a change that the provider knows of may stay unknown here: each known device comes with a question of
    /// its own and with the list, and whichever is sooner brings it.
    var noticedWithinSeconds: Int64 { min(deviceSeconds, fullSeconds) }
}
