import Access
import JSON

/// One `machine`, read tolerantly: enum words are compared without case, what is not known is unknown.
struct DefenderMachine: Sendable {
    var id: String
    private let value: JSONValue

    /// nil when the value has no id.
    init?(_ value: JSONValue) {
        guard let id = value["id"]?.string, (1...128).contains(id.utf8.count),
            id.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7f })
        else { return nil }
        self.id = id
        self.value = value
    }

    func record(of connection: ProviderConnection, nowSeconds: Int64) -> VerdictRecord {
        let addresses = (value["ipAddresses"]?.array ?? []).prefix(16).map {
            (DeviceKey.Kind.mac, $0["macAddress"])
        }
        let keys = RecordReading.keys([(.entra, value["aadDeviceId"])] + addresses)
        let seen = RecordReading.observed(
            value["lastSeen"]?.string.flatMap(Timestamps.seconds), nowSeconds: nowSeconds)
        let digest = RecordReading.digest(value)
        let verdict = Verdict(
            id: "\(connection.integration):\(id):\(nowSeconds):\(digest.prefix(12))",
            integration: connection.integration, provider: connection.provider, nativeID: id, state: state,
            isManaged: isOnboarded, risk: risk, isSensorRunning: isSensorRunning, labels: labels,
            observedAtSeconds: seen, fetchedAtSeconds: nowSeconds,
            expiresAtSeconds: connection.expiry(fetchedAtSeconds: nowSeconds, observedAtSeconds: seen),
            matchKey: DeviceKey.encoded(keys), matchStrength: .weak, rawState: word("healthStatus"),
            digest: digest, remedies: remedies, checks: checks)
        return VerdictRecord(verdict: verdict, keys: keys)
    }

    private func word(_ name: String) -> String { RecordReading.shortened(value[name]?.string ?? "") }
    private func lowered(_ name: String) -> String { word(name).lowercased() }

    /// nil: not said in words that we know.
    private var isOnboarded: Bool? {
        switch lowered("onboardingStatus") {
        case "onboarded": true
        case "canbeonboarded", "unsupported", "insufficientinfo": false
        default: nil
        }
    }

    /// nil: not said in words that we know.
    private var isSensorRunning: Bool? {
        switch lowered("healthStatus") {
        case "active": true
        case "inactive", "impairedcommunication", "nosensordata", "nosensordataimpairedcommunication": false
        default: nil
        }
    }

    /// Healthy is: onboarded and active. A word of risk or exposure that we do not know makes all of it
    /// unknown.
    private var state: Verdict.State {
        guard let isOnboarded, hasKnownWords else { return .unknown }
        guard isOnboarded else { return .notManaged }
        return isSensorRunning.map { $0 ? .compliant : .noncompliant } ?? .unknown
    }

    private var risk: Verdict.Risk? {
        Verdict.Risk(rawValue: lowered("riskScore")).flatMap { $0 == .critical ? nil : $0 }
    }

    private static let exposures: Set<String> = ["none", "low", "medium", "high"]

    private var hasKnownWords: Bool {
        let hasKnownRisk = isAbsent("riskScore") || risk != nil
        return hasKnownRisk
            && (isAbsent("exposureLevel") || Self.exposures.contains(lowered("exposureLevel")))
    }

    /// Both are nullable: null is no score yet.
    private func isAbsent(_ name: String) -> Bool { value[name] == nil || value[name] == .null }

    private var checks: [Verdict.Check] {
        var checks = CheckList()
        checks.add("onboardingStatus", "Onboarded", isOnboarded.map { $0 ? .pass : .fail } ?? .unknown)
        checks.add(
            "healthStatus", "The sensor reports", isSensorRunning.map { $0 ? .pass : .fail } ?? .unknown)
        if !isAbsent("exposureLevel") {
            checks.add(
                word: value["exposureLevel"], "exposureLevel", "No high exposure",
                good: ["none", "low", "medium"], bad: ["high"])
        }
        return checks.checks
    }

    private var labels: [String] {
        var labels: Set<String> = []
        if isOnboarded == true { labels.insert("onboarded") }
        if state == .compliant { labels.insert("healthy") }
        if !lowered("healthStatus").isEmpty { labels.insert("health:\(lowered("healthStatus"))") }
        if Self.exposures.contains(lowered("exposureLevel")) {
            labels.insert("exposure:\(lowered("exposureLevel"))")
        }
        if !word("rbacGroupName").isEmpty { labels.insert("group:\(word("rbacGroupName"))") }
        if ["low", "normal", "high"].contains(lowered("deviceValue")) {
            labels.insert("value:\(lowered("deviceValue"))")
        }
        for tag in (value["machineTags"]?.array ?? []).prefix(64) {
            if let tag = tag.string { labels.insert("tag:\(RecordReading.shortened(tag))") }
        }
        return labels.sorted()
    }

    private var remedies: [String] {
        var sentences: [String] = []
        switch state {
        case .notManaged:
            sentences.append(
                "This device is not onboarded to Microsoft Defender for Endpoint. Ask your administrator to "
                    + "onboard it."
            )
        case .noncompliant:
            sentences.append(
                "Microsoft Defender for Endpoint does not hear enough from this device. Connect it to the "
                    + "internet and restart it; if that does not help within a day, ask your administrator.")
        case .unknown:
            sentences.append(
                "Microsoft Defender for Endpoint does not say how this device is. Ask your administrator.")
        case .compliant, .grace, .notFound, .ambiguous, .error, .delegated: break
        }
        if let risk, risk == .medium || risk == .high {
            sentences.append(
                "Microsoft Defender for Endpoint sees a \(risk.rawValue) risk on this device. Your security "
                    + "team has to look at its alerts; access returns when they are resolved.")
        }
        return sentences
    }
}
