import Access
import JSON

/// A host and its assessment, read tolerantly.
struct FalconHost: Sendable {
    var host: JSONValue
    var assessment: JSONValue?
    var agent: DeviceKey
    /// When the vendor said that it is connected; nil: it did not say so, or too long ago.
    var onlineAtSeconds: Int64?
    var sensorSilenceSecondsMax: Int64
    /// Which of the assessment's numbers is the score: `overall`, `os` or `sensor_config`.
    var scoreMember = "overall"

    /// The verdict record as of now. A contained host is non-compliant whatever it is.
    func record(of connection: ProviderConnection, nowSeconds: Int64) -> VerdictRecord {
        let keys =
            [agent]
            + RecordReading.keys([
                (.serial, host["serial_number"] ?? assessment?["system_serial_number"]),
                (.mac, host["mac_address"]), (.mac, host["connection_mac_address"]),
            ])
        let seen = RecordReading.observed(
            host["last_seen"]?.string.flatMap(Timestamps.seconds), nowSeconds: nowSeconds)
        let runsUntil = runsUntilSeconds(lastSeen: seen)
        let isRunning = runsUntil > nowSeconds && !isReduced && !isContained
        var expires = connection.expiry(fetchedAtSeconds: nowSeconds, observedAtSeconds: seen)
        // That the sensor runs is true until then and no longer.
        if isRunning { expires = min(expires, runsUntil) }
        let ageMax = connection.deviceAgeSecondsMax
        let assessedAt = assessedAt(nowSeconds: nowSeconds, ageSecondsMax: ageMax)
        let score = assessedAt == nil ? nil : self.score
        if let assessedAt, !isContained { expires = min(expires, assessedAt + ageMax) }
        let digest = RecordReading.digest(["host": host, "assessment": assessment ?? .null])
        let verdict = Verdict(
            id: "\(connection.integration):\(agent.value):\(nowSeconds):\(digest.prefix(12))",
            integration: connection.integration, provider: connection.provider, nativeID: agent.value,
            state: state, isManaged: true, score: score,
            isSensorRunning: isRunning, labels: labels(isAssessed: score != nil), observedAtSeconds: seen,
            assessedAtSeconds: assessedAt,
            fetchedAtSeconds: nowSeconds, expiresAtSeconds: expires, matchKey: DeviceKey.encoded(keys),
            matchStrength: .weak, rawState: status, digest: digest, remedies: remedies(isRunning: isRunning),
            checks: assessedAt == nil ? [] : checks)
        return VerdictRecord(verdict: verdict, keys: keys)
    }

    /// "Connected" is about one moment, and a sensor that is stopped says nothing more: it does not last as long as a
    /// report of the host. "Offline" takes nothing away from one: a host that wakes up or changes its network is
    /// offline for a moment, and `sensor-max-silence` is what an administrator bears of that.
    private func runsUntilSeconds(lastSeen seen: Int64) -> Int64 {
        let reported = seen + sensorSilenceSecondsMax
        guard let online = onlineAtSeconds else { return reported }
        return max(reported, online + OnlineStates.countSeconds)
    }

    private var status: String { RecordReading.shortened(host["status"]?.string ?? "") }
    private var isReduced: Bool { host["reduced_functionality_mode"]?.string?.lowercased() == "yes" }

    /// 002.3: isolation is an answer of the security team, whatever the score says. While it is being lifted
    /// it still holds. A status of no known name is not known, never good.
    private var state: Verdict.State {
        if isContained { return .noncompliant }
        switch status.lowercased() {
        case "normal": return .compliant
        case "lift_containment_pending": return .noncompliant
        default: return .unknown
        }
    }

    private var isContained: Bool {
        ["contained", "containment_pending"].contains(status.lowercased())
            || ["contained", "containment_pending"].contains(
                host["filesystem_containment_status"]?.string?.lowercased())
    }

    /// When the score was computed: nil when it says nothing any more, or comes from the future.
    private func assessedAt(nowSeconds: Int64, ageSecondsMax: Int64) -> Int64? {
        guard let seconds = assessment?["modified_time"]?.string.flatMap(Timestamps.seconds),
            seconds <= nowSeconds + RecordReading.skewSeconds, seconds + ageSecondsMax > nowSeconds
        else { return nil }
        return seconds
    }

    /// 0 and absent mean: not assessed.
    private var score: Verdict.Score? {
        guard let number = assessment?["assessment"]?[scoreMember]?.integer, (1...100).contains(number) else {
            return nil
        }
        return Verdict.Score(value: number, minimum: 1, maximum: 100, higherIsBetter: true)
    }

    /// The assessment's signals; an assessment that is too old says nothing of them either.
    private var checks: [Verdict.Check] {
        var checks = CheckList()
        for name in ["os_signals", "sensor_signals"] {
            for signal in (assessment?["assessment_items"]?[name]?.array ?? []).prefix(CheckList.countMax) {
                let words: [String: Verdict.Check.State] = ["yes": .pass, "no": .fail]
                checks.add(
                    signal["signal_id"]?.string ?? signal["signal_name"]?.string,
                    signal["signal_name"]?.string,
                    words[signal["meets_criteria"]?.string?.lowercased() ?? ""] ?? .unknown)
            }
        }
        return checks.checks
    }

    private func labels(isAssessed: Bool) -> [String] {
        var labels: Set<String> = []
        if isContained { labels.insert("contained") }
        if isReduced { labels.insert("reduced-functionality") }
        for tag in host["tags"]?.array ?? [] {
            if let tag = tag.string { labels.insert("tag:\(RecordReading.shortened(tag))") }
        }
        if !isAssessed { labels.insert("not-assessed") }
        return labels.sorted()
    }

    private func remedies(isRunning: Bool) -> [String] {
        if state == .noncompliant {
            return [
                "Your security team has isolated this device in CrowdStrike Falcon. Contact them; access "
                    + "returns when they lift it."
            ]
        }
        var sentences: [String] = []
        if !isRunning {
            sentences.append(
                "The CrowdStrike Falcon sensor has not reported for a while. Connect this device to the "
                    + "internet and restart it; if that does not help, ask your administrator.")
        }
        let failed = ["os_signals", "sensor_signals"].flatMap { name in
            (assessment?["assessment_items"]?[name]?.array ?? []).filter {
                $0["meets_criteria"]?.string == "no"
            }
        }
        let names = failed.compactMap { $0["signal_name"]?.string }.prefix(5).map(RecordReading.shortened)
        if !names.isEmpty {
            sentences.append("CrowdStrike Falcon asks for: \(names.joined(separator: ", ")).")
        }
        return sentences
    }
}

/// Which hosts were connected when they were asked about last (providers.md 5.6, 14.2).
actor OnlineStates {
    /// A host is not asked about again sooner.
    static let askedSeconds: Int64 = 60
    /// An answer counts for less than this.
    static let countSeconds: Int64 = 300
    static let countMax = 10_000

    struct State: Sendable {
        var isOnline: Bool
        var atSeconds: Int64

        func isYounger(than seconds: Int64, nowSeconds: Int64) -> Bool {
            (0..<seconds).contains(nowSeconds - atSeconds)
        }
    }
    private var states: [String: State] = [:]

    /// Those of these hosts that were asked about lately enough to count.
    func states(of ids: [String], nowSeconds: Int64) -> [String: State] {
        var found: [String: State] = [:]
        for id in ids {
            guard let state = states[id], state.isYounger(than: Self.countSeconds, nowSeconds: nowSeconds)
            else { continue }
            found[id] = state
        }
        return found
    }

    func note(_ fresh: [String: Bool], nowSeconds: Int64) {
        if states.count + fresh.count > Self.countMax {
            states = states.filter { $0.value.isYounger(than: Self.countSeconds, nowSeconds: nowSeconds) }
        }
        if states.count + fresh.count > Self.countMax { states = [:] }
        for (id, isOnline) in fresh { states[id] = State(isOnline: isOnline, atSeconds: nowSeconds) }
    }
}
