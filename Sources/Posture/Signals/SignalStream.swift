import Access
import JSON
import Signatures
import Store
import Synchronization

/// One Shared Signals stream: validates what is delivered, once, and keeps the stream at its transmitter as
/// configured.
actor SignalStream {
    /// Interprets an event whose signature is right.
    typealias Interpreter = @Sendable (SignalEvent, SecurityEvent, Set<String>) async -> SignalReading
    /// Carries effects out; a token is acknowledged only after it returned.
    typealias Handler = @Sendable ([SignalEffect], SignalOrigin) async throws(StoreError) -> Void

    nonisolated let secrets: SignalSecrets
    nonisolated var settings: SignalStreamSettings { secrets.settings }
    nonisolated let heard = HeardTime()
    let transmitter: Transmitter
    let keys: SignalKeys
    let store: any GatewayStore
    let clock: PostureClock
    let random: @Sendable () -> Double

    var status: SignalStreamStatus
    var health: IntegrationStatus
    var configuration: StreamConfiguration?
    /// The update that writes our `authorization_header` was made by this process, with the secrets that count now.
    var isPrepared = false
    /// Grows with each change of secrets, and where what was written with former ones may stand: what began before
    /// does not end for what came after.
    var generation = 0
    /// Of the verification that is under way.
    var awaited: (state: String, sentAtSeconds: Int64)?
    /// The one that came last: its event comes again when it could not be acknowledged.
    private var echoed: String?
    var verificationDueSeconds: Int64 = .min
    var criticalMembers: Set<String> = []
    /// Of the stream with this id, where the transmitter tells about nobody by itself.
    var subjects: (streamID: String, of: StreamSubjects)?
    private var seen = SeenTokens()

    init(
        _ settings: SignalStreamSettings, parts: ConnectorParts, store: any GatewayStore
    ) {
        secrets = SignalSecrets(settings)
        self.store = store
        clock = parts.clock
        random = parts.random
        let transmitter = Transmitter(
            settings, fetcher: parts.fetcher, clock: parts.clock, random: parts.random)
        self.transmitter = transmitter
        keys = SignalKeys { await transmitter.keySet() }
        status = SignalStreamStatus(delivery: settings.delivery.rawValue, streamID: settings.streamID)
        health = IntegrationStatus(
            integration: settings.name, provider: SignalStreamSettings.provider, state: .pending)
    }

    /// Other secrets from now on: the transmitter is asked with them, and told what to send, as soon as it is looked
    /// after again, which is due.
    func take(_ settings: SignalStreamSettings) async {
        secrets.take(settings, nowSeconds: clock.nowSeconds())
        generation += 1
        isPrepared = false
        verificationDueSeconds = .min
        // Its event is as good when it comes late; another one shows that the new secrets work.
        if let awaited { echoed = awaited.state }
        awaited = nil
        await transmitter.take(settings)
    }

    /// Takes one token.
    func receive(
        _ compact: String, expectedID: String? = nil, interpret: Interpreter, handler: Handler
    ) async -> SignalReceipt {
        let now = clock.nowSeconds()
        do throws(SignalRefusal) {
            let validator = SecurityEventValidator(
                issuer: settings.issuer, audience: settings.audience, acceptsDrafts: settings.acceptsDrafts,
                nowSeconds: now)
            let unverified = try validator.parse(compact)
            let found: [VerificationKey]
            do throws(ConnectorFailure) {
                found = try await keys.candidates(
                    keyID: unverified.token.keyID, algorithm: unverified.token.algorithm, nowSeconds: now)
            } catch {
                return .unavailable(error.what)
            }
            let token = try validator.validate(unverified, keys: found)
            if let expectedID, !ExactText.isEqual(expectedID, token.tokenID) {
                throw SignalRefusal(.invalidRequest, "jti is another than it was delivered under")
            }
            return await take(token, try SignalEvent(token), interpret, handler)
        } catch {
            return refuse(error)
        }
    }

    /// Counts a refusal.
    func refuse(_ refusal: SignalRefusal) -> SignalReceipt {
        status.refused[refusal.code.rawValue, default: 0] += 1
        status.lastRefusal = refusal.what
        return .refused(refusal)
    }

    /// After a restart the transmitter was heard of when it was.
    private func keepVerification(_ now: Int64) async throws(StoreError) {
        try await store.upsert(
            SyncState(integration: settings.name, completedAtSeconds: now, deltaLink: Self.verifiedMark))
    }

    private func take(
        _ token: SecurityEvent, _ event: SignalEvent, _ interpret: Interpreter, _ handler: Handler
    ) async -> SignalReceipt {
        let key = SeenTokens.Key(stream: settings.name, issuer: settings.issuer, tokenID: token.tokenID)
        guard seen.claim(key) else { return .unavailable("the event is being carried out") }
        var failedAttempt: Int? = seen.failedAttempt(key)
        defer { seen.release(key, failedAttempt: failedAttempt) }
        let now = clock.nowSeconds()
        do throws(StoreError) {
            var number = failedAttempt
            if number == nil {
                number = try await SeenTokens.attempt(key, store: store, nowSeconds: now)
                failedAttempt = number
            }
            guard let attempt = number else {
                count(.duplicate, token)
                return .acknowledged
            }
            if let refusal = note(event, of: token) { return refuse(refusal) }
            if case .verification = event { try await keepVerification(now) }
            let reading = await interpret(event, token, criticalMembers)
            if !reading.effects.isEmpty {
                try await handler(reading.effects, SignalOrigin(token, stream: settings.name))
            }
            try await SeenTokens.finish(key, attempt: attempt, store: store, nowSeconds: now)
            failedAttempt = nil
            count(reading.outcome, token)
            health.noteSuccess(nowSeconds: now)
            return .acknowledged
        } catch {
            return .unavailable("\(error)")
        }
    }

    private func count(_ outcome: SignalReading.Outcome, _ token: SecurityEvent) {
        status.acknowledged[outcome.rawValue, default: 0] += 1
        switch outcome {
        case .unmappedSubject, .criticalMember: status.lastUnmapped = ProviderClient.plain(token.type)
        case .applied, .noted, .unknownEvent, .duplicate: break
        }
    }

    // MARK: Events of the stream about itself

    /// - Returns: why it is refused.
    private func note(_ event: SignalEvent, of token: SecurityEvent) -> SignalRefusal? {
        switch event {
        case .verification(let state):
            guard isOwn(token) else { return Self.notOwn }
            return verified(state)
        case .streamUpdated(let state, let reason):
            guard isOwn(token) else { return Self.notOwn }
            status.state = state.rawValue
            status.stateReason = reason.map(ProviderClient.plain)
            // What changed is read at once instead of at its time.
            verificationDueSeconds = .min
            return nil
        case .sessionRevoked, .claimsChanged, .credentialLost, .credentialCreated, .assuranceDecreased,
            .assuranceNotDecreased, .compliance, .risk, .accountEnded, .identifierChanged, .noted, .unknown:
            return nil
        }
    }

    private static let notOwn = SignalRefusal(.invalidRequest, "sub_id is not this stream")

    /// The state is ours, or there is none: a transmitter may verify unasked.
    private func verified(_ state: String?) -> SignalRefusal? {
        if let state {
            let known = [awaited?.state, echoed].compactMap { $0 }
            guard known.contains(where: { constantTimeEqual(Array($0.utf8), Array(state.utf8)) }) else {
                return SignalRefusal(.invalidState, "state is not the one that was asked for")
            }
            if awaited.map({ ExactText.isEqual($0.state, state) }) ?? false { awaited = nil }
            echoed = state
        }
        let now = clock.nowSeconds()
        status.verifiedAtSeconds = now
        status.isDegraded = false
        heard.set(now)
        health.noteConfigured(nowSeconds: now)
        return nil
    }

    private func isOwn(_ token: SecurityEvent) -> Bool {
        guard case .simple(.opaque(let id)) = token.subject else { return false }
        return status.streamID.map { ExactText.isEqual($0, id) } ?? true
    }

    static let verifiedMark = "verified"

    /// Reads when the transmitter was heard of last; a stream that was never, counts from now.
    func load() async throws(StoreError) {
        let now = clock.nowSeconds()
        let state = try await store.syncState(integration: settings.name)
        if state?.deltaLink == Self.verifiedMark { status.verifiedAtSeconds = state?.completedAtSeconds }
        if heard.seconds == nil { heard.set(min(state?.completedAtSeconds ?? now, now)) }
        if state == nil {
            try await store.upsert(SyncState(integration: settings.name, completedAtSeconds: now))
        }
    }

    /// Everything that is shown.
    func report(devices: Int) -> IntegrationStatus {
        var report = health
        var shown = status
        let now = clock.nowSeconds()
        if let awaited, now - awaited.sentAtSeconds > Self.verificationSecondsMax { shown.isDegraded = true }
        shown.isSilenced = heard.isSilent(nowSeconds: now)
        report.devicesKnown = devices
        report.signals = shown
        return report
    }
}

/// Where effects come from, for the audit trail and the log.
public struct SignalOrigin: Sendable, Hashable {
    /// The configured name of the stream.
    public var stream: String
    /// The transmitter's id of the token.
    public var tokenID: String
    /// Groups events of one cause.
    public var transaction: String?
    /// The event's URI.
    public var event: String

    /// Takes the members as they are.
    public init(stream: String, tokenID: String, transaction: String?, event: String) {
        self.stream = stream
        self.tokenID = tokenID
        self.transaction = transaction
        self.event = event
    }

    init(_ token: SecurityEvent, stream: String) {
        self.stream = stream
        tokenID = ProviderClient.plain(token.tokenID)
        transaction = token.transaction.map(ProviderClient.plain)
        event = ProviderClient.plain(token.type)
    }
}

/// When a transmitter was last heard of. Decisions read it without waiting for the stream.
final class HeardTime: Sendable {
    private let state = Mutex<Int64?>(nil)
    var seconds: Int64? { state.withLock { $0 } }
    func set(_ seconds: Int64) { state.withLock { $0 = seconds } }

    /// Exactly a day is not too long.
    func isSilent(nowSeconds: Int64) -> Bool {
        guard let seconds else { return true }
        return nowSeconds - seconds > SignalVerdicts.unverifiedSecondsMax
    }
}
