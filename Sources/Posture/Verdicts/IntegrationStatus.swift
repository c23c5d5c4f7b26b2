public import Access

/// What administrators see of an integration (providers.md 1.1 "Health", 10.3).
public struct IntegrationStatus: Sendable, Hashable {
    /// The state machine of providers.md 10.3. Throttling and outages do not change it.
    public enum State: String, Sendable, CaseIterable {
        /// No credentials.
        case notConfigured = "not_configured"
        /// Credentials are there, but the probe did not succeed, or authentication failed since.
        case pending
        /// A token was issued and one read per required permission succeeded.
        case configured
    }

    /// The configured name.
    public var integration: String
    /// `intune`, …
    public var provider: String
    /// Where the set-up stands.
    public var state: State
    /// Why it is pending, in words for an administrator; nil otherwise.
    public var pendingReason: String?
    /// The last read that succeeded.
    public var lastSuccessSeconds: Int64?
    /// The last failure: class and words; stays until another one.
    public var lastFailure: ConnectorFailure?
    /// When that was.
    public var lastFailureSeconds: Int64?
    /// Which call it was; nil: none was made.
    public var lastFailureCall: Verdict.Provenance?
    /// The end of the last proven complete synchronisation.
    public var lastCompleteSyncSeconds: Int64?
    /// Why verdicts could not be read from or written to the store, until it works again.
    public var storeFailure: String?
    /// Failures by class since the start.
    public var failureCounts: [ConnectorFailure.Kind: Int]
    /// The last of each class, and how often there was one.
    public var failureSamples: [ConnectorFailure.Kind: FailureSample] = [:]
    /// Devices with a record.
    public var devicesKnown: Int
    /// Devices that the synchronisation under way has read; nil: none is under way.
    public var devicesRead: Int?
    /// How far asking about devices one by one is behind; nil: nobody is asked about.
    public var backlog: RefreshBacklog?
    /// The oldest device report that still counts.
    public var oldestObservedSeconds: Int64?
    /// Half of the device reports that still count are older.
    public var medianObservedSeconds: Int64?
    /// Labels that its devices have, for whoever writes rules (000.14).
    public var labels: [String] = []
    /// A change that the provider knows of is known here within this time: by asking about each device or by reading
    /// the list, whichever comes sooner. nil: it tells by itself, or is not asked.
    public var noticedWithinSeconds: Int64?
    /// How long a change may take to get to the provider, where its vendor says so.
    public var vendorDelaySeconds: Int64?
    /// What the connector knows of its own connection.
    public var connection: ConnectorStatus
    /// Of a directory that our verdicts are written to; nil for everything else.
    public var publishing: PublishingStatus?
    /// Of a Shared Signals stream; nil for everything else.
    public var signals: SignalStreamStatus?

    /// Takes the members as they are.
    public init(
        integration: String, provider: String, state: State, pendingReason: String? = nil,
        lastSuccessSeconds: Int64? = nil, lastFailure: ConnectorFailure? = nil,
        lastFailureSeconds: Int64? = nil, devicesKnown: Int = 0, oldestObservedSeconds: Int64? = nil,
        medianObservedSeconds: Int64? = nil, connection: ConnectorStatus = ConnectorStatus()
    ) {
        self.integration = integration
        self.provider = provider
        self.state = state
        self.pendingReason = pendingReason
        self.lastSuccessSeconds = lastSuccessSeconds
        self.lastFailure = lastFailure
        self.lastFailureSeconds = lastFailureSeconds
        self.devicesKnown = devicesKnown
        self.oldestObservedSeconds = oldestObservedSeconds
        self.medianObservedSeconds = medianObservedSeconds
        self.connection = connection
        failureCounts = [:]
    }

    /// Notes a read that succeeded.
    mutating func noteSuccess(nowSeconds: Int64) {
        lastSuccessSeconds = nowSeconds
    }

    /// Notes what kept nothing from being read.
    mutating func noteSample(_ failure: ConnectorFailure, nowSeconds: Int64) {
        let count = failureSamples[failure.kind]?.count ?? 0
        failureSamples[failure.kind] = FailureSample(
            what: failure.what, atSeconds: nowSeconds, count: count + 1)
    }

    /// Notes a failure. Only failures of authentication and permission make a working integration pending.
    mutating func note(
        _ failure: ConnectorFailure, nowSeconds: Int64, call: Verdict.Provenance? = nil
    ) {
        lastFailure = failure
        lastFailureCall = call
        lastFailureSeconds = nowSeconds
        failureCounts[failure.kind, default: 0] += 1
        noteSample(failure, nowSeconds: nowSeconds)
        switch failure.kind {
        case .authFailed, .forbidden, .configError:
            if state != .notConfigured { state = .pending }
            pendingReason = failure.what
        case .notFound, .throttled, .unavailable, .timeout, .tlsError, .malformedResponse, .pagingLoop,
            .clockSkew:
            break
        }
    }

    /// Notes whether there is anything to ask with. What works has what it needs.
    mutating func note(hasCredentials: Bool) {
        guard state != .configured else { return }
        state = hasCredentials ? .pending : .notConfigured
    }

    /// The probe succeeded.
    mutating func noteConfigured(nowSeconds: Int64) {
        state = .configured
        pendingReason = nil
        noteSuccess(nowSeconds: nowSeconds)
    }
}

/// One class of failure as it was last seen.
public struct FailureSample: Sendable, Hashable {
    /// For administrators: never a token, a secret or a device's data.
    public var what: String
    /// When that was.
    public var atSeconds: Int64
    /// How often there was one since the start.
    public var count: Int
}
