import Access

/// What transmitters said about devices, and what it does to verdicts (providers.md 14.3).
///
/// A value inside one actor; what changed is written through by the owner.
struct SignalVerdicts: Sendable {
    /// A stream whose transmitter was not heard of for so long says nothing (providers.md 14.2).
    static let unverifiedSecondsMax: Int64 = 86_400
    static let provider = DeviceSignal.verdictProvider
    private static let awaitingLabel = "awaiting-confirmation"

    /// One stream's words about one device.
    struct Record: Sendable, Hashable {
        var stream: String
        var deviceID: String
        /// Ids pinned to the device when it was said: they name the machine after another enrolment, too.
        var keys: [DeviceKey]
        var isCompliant: Bool?
        var risk: Verdict.Risk?
        var happenedAtSeconds: Int64
        var receivedAtSeconds: Int64
        /// It was bad before it became good: that counts from a provider's own answer on.
        var awaitsConfirmation = false

        /// What the words come to, without a provider's confirmation.
        var state: Verdict.State {
            if isCompliant == false || risk == .high { return .noncompliant }
            return isCompliant == true ? .compliant : .unknown
        }
    }

    private var records: [ExactKey: [ExactKey: Record]] = [:]

    /// Takes a signal, unless a later one is known. Of two of the same second the bad one stays.
    ///
    /// - Returns: the record as it is now; nil when nothing changed.
    mutating func take(_ signal: DeviceSignal, keys: [DeviceKey]) -> Record? {
        let old = records[ExactKey(signal.stream)]?[ExactKey(signal.deviceID)]
        var record =
            old
            ?? Record(
                stream: signal.stream, deviceID: signal.deviceID, keys: keys, isCompliant: nil, risk: nil,
                happenedAtSeconds: 0, receivedAtSeconds: 0)
        guard signal.happenedAtSeconds >= record.happenedAtSeconds else { return nil }
        switch signal.word {
        case .compliance(let isCompliant): record.isCompliant = isCompliant
        case .risk(let risk): record.risk = risk
        }
        if let old, signal.happenedAtSeconds == old.happenedAtSeconds, old.state == .noncompliant,
            record.state != .noncompliant
        {
            return nil
        }
        if record.state == .noncompliant {
            record.awaitsConfirmation = false
        } else if old?.state == .noncompliant {
            record.awaitsConfirmation = true
        }
        record.keys = keys
        record.happenedAtSeconds = signal.happenedAtSeconds
        record.receivedAtSeconds = signal.receivedAtSeconds
        records[ExactKey(signal.stream), default: [:]][ExactKey(signal.deviceID)] = record
        return record
    }

    /// How many devices a stream has said something of.
    func count(of stream: String) -> Int { records[ExactKey(stream)]?.count ?? 0 }

    /// The words about a device: of its own, else the worst of those about the same machine under another
    /// enrolment.
    func record(of stream: String, deviceID: String, keys: [DeviceKey]) -> Record? {
        guard let own = records[ExactKey(stream)] else { return nil }
        if let record = own[ExactKey(deviceID)] { return record }
        let wanted = Set(keys)
        return own.values.filter { !wanted.isDisjoint(with: $0.keys) }
            .max { ($0.state.rank, $0.happenedAtSeconds) < ($1.state.rank, $1.happenedAtSeconds) }
    }

    // MARK: Verdicts

    /// The stream's own verdict about a device.
    ///
    /// - Parameter confirming: what the integrations that confirm this stream say of the device now; empty
    ///   where the stream has none.
    static func verdict(
        _ record: Record, confirming: [Verdict], hasConfirming: Bool, verifiedAtSeconds: Int64,
        nowSeconds: Int64
    ) -> Verdict {
        var state = record.state
        if record.awaitsConfirmation, hasConfirming,
            !isConfirmed(record, by: confirming, nowSeconds: nowSeconds)
        {
            state = .noncompliant
        }
        var verdict = Verdict(
            id: "\(record.stream):\(record.deviceID):\(record.receivedAtSeconds)",
            integration: record.stream,
            provider: provider, nativeID: record.deviceID, state: state, risk: record.risk,
            labels: [state.label], observedAtSeconds: record.happenedAtSeconds,
            assessedAtSeconds: record.happenedAtSeconds, fetchedAtSeconds: record.receivedAtSeconds,
            expiresAtSeconds: verifiedAtSeconds + unverifiedSecondsMax,
            matchKey: record.keys.first?.kind.rawValue ?? "device-id", matchStrength: .strong,
            rawState: rawState(record), remedies: remedies(state))
        verdict.provenance = Verdict.Provenance(transport: .ssf, endpoint: record.stream)
        return verdict
    }

    /// A provider's verdict under a signal about the same device: `not-compliant` holds against it at once,
    /// until its own answer that is later than the signal, about a report that is, says otherwise.
    static func overlaid(_ verdict: Verdict, by record: Record, nowSeconds: Int64) -> Verdict {
        let isBad =
            record.state == .noncompliant
            // Good again, says the transmitter; its provider has not said so yet.
            || (record.awaitsConfirmation && verdict.fetchedAtSeconds <= record.receivedAtSeconds)
        guard isBad, verdict.state != .noncompliant, verdict.state != .notManaged else { return verdict }
        let isAnswered =
            verdict.fetchedAtSeconds > record.receivedAtSeconds
            && verdict.observedAtSeconds >= record.happenedAtSeconds && verdict.state.isGood
        guard !isAnswered else { return verdict }
        var bad = verdict
        bad.id += ":signal:\(record.receivedAtSeconds)"
        bad.state = .noncompliant
        bad.labels = verdict.labels.filter { !ExactText.isEqual($0, "compliant") && $0 != "in-grace" }
        bad.graceUntilSeconds = nil
        bad.rawState = "signal of \(record.stream): not-compliant"
        bad.remedies = remedies(.noncompliant)
        return bad
    }

    private static func isConfirmed(_ record: Record, by verdicts: [Verdict], nowSeconds: Int64) -> Bool {
        let later = verdicts.filter {
            $0.fetchedAtSeconds > record.receivedAtSeconds && $0.isFresh(atSeconds: nowSeconds)
        }
        return later.contains { $0.state.isGood }
            && !verdicts.contains { $0.state == .noncompliant || $0.state == .notManaged }
    }

    private static func remedies(_ state: Verdict.State) -> [String] {
        guard state == .noncompliant else { return [] }
        return [
            "Your organisation's device management reports a problem with this device; look there."
        ]
    }

    // MARK: Storage

    private static func rawState(_ record: Record) -> String {
        switch record.isCompliant {
        case true?: "compliant"
        case false?: "not-compliant"
        case nil: ""
        }
    }

    /// The record as the store keeps it.
    static func stored(_ record: Record) -> Verdict {
        var verdict = verdict(
            record, confirming: [], hasConfirming: false, verifiedAtSeconds: record.receivedAtSeconds,
            nowSeconds: record.receivedAtSeconds)
        verdict.labels = record.awaitsConfirmation ? [awaitingLabel] : []
        verdict.matchKey = DeviceKey.encoded(record.keys)
        return verdict
    }

    /// Reads what was stored.
    mutating func load(_ verdicts: [Verdict]) {
        for verdict in verdicts {
            let record = Record(
                stream: verdict.integration, deviceID: verdict.nativeID,
                keys: DeviceKey.decoded(verdict.matchKey),
                isCompliant: verdict.rawState.isEmpty ? nil : verdict.rawState == "compliant",
                risk: verdict.risk,
                happenedAtSeconds: verdict.observedAtSeconds, receivedAtSeconds: verdict.fetchedAtSeconds,
                awaitsConfirmation: verdict.labels == [Self.awaitingLabel])
            records[ExactKey(record.stream), default: [:]][ExactKey(record.deviceID)] = record
        }
    }
}

extension Verdict.State {
    fileprivate var isGood: Bool { self == .compliant || self == .grace }
    fileprivate var rank: Int {
        switch self {
        case .noncompliant: 2
        case .unknown: 1
        case .compliant, .grace, .notManaged, .notFound, .ambiguous, .error, .delegated: 0
        }
    }
}
