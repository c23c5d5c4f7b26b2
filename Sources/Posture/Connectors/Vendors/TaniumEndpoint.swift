import Access
import JSON

/// One endpoint of Tanium, read tolerantly.
struct TaniumEndpoint: Sendable {
    var id: String
    private let node: JSONValue

    /// nil when the node has no id.
    init?(_ node: JSONValue) {
        guard let id = Self.text(node["id"]), (1...128).contains(id.utf8.count),
            id.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7f })
        else { return nil }
        self.id = id
        self.node = node
    }

    /// That it is in the list means that it is managed; how long that counts after it was last seen is the
    /// connection's `max-device-age` (004.13: 7 days).
    func record(of connection: ProviderConnection, nowSeconds: Int64) -> VerdictRecord {
        let addresses = (node["macAddresses"]?.array ?? []).prefix(16).map {
            (DeviceKey.Kind.mac, Optional($0))
        }
        let keys = RecordReading.keys(
            [
                (.tanium, Self.text(node["computerID"]).map { .string($0) }), (.serial, node["serialNumber"]),
                (.hardware, node["systemUUID"]),
            ] + addresses)
        let seen = RecordReading.observed(
            node["eidLastSeen"]?.string.flatMap(Timestamps.seconds), nowSeconds: nowSeconds)
        let digest = RecordReading.digest(node)
        let verdict = Verdict(
            id: "\(connection.integration):\(id):\(nowSeconds):\(digest.prefix(12))",
            integration: connection.integration, provider: connection.provider, nativeID: id, state: state,
            isManaged: true, score: score, risk: risk, labels: labels, observedAtSeconds: seen,
            fetchedAtSeconds: nowSeconds,
            expiresAtSeconds: connection.expiry(fetchedAtSeconds: nowSeconds, observedAtSeconds: seen),
            matchKey: DeviceKey.encoded(keys), matchStrength: .weak, rawState: riskWord, digest: digest,
            remedies: remedies)
        return VerdictRecord(verdict: verdict, keys: keys)
    }

    /// Ids are numbers in some versions.
    private static func text(_ value: JSONValue?) -> String? {
        value?.string ?? value?.integer.map { String($0) }
    }

    private var riskWord: String { RecordReading.shortened(node["risk"]?["riskLevel"]?.string ?? "") }

    private var risk: Verdict.Risk? {
        switch riskWord.lowercased() {
        case "low": .low
        case "medium": .medium
        case "high": .high
        case "critical": .critical
        default: nil
        }
    }

    /// A risk in a word that we do not know makes all of it unknown; no risk at all is none.
    private var state: Verdict.State {
        let level = node["risk"]?["riskLevel"] ?? .null
        return level == .null || risk != nil ? .compliant : .unknown
    }

    /// 1 to 1000, higher is worse.
    private var score: Verdict.Score? {
        var total = node["risk"]?["totalScore"]?.integer
        // A fraction counts as the next worse whole number.
        if case .number(let number)? = node["risk"]?["totalScore"], number > 0, number <= 1_000 {
            total = Int64(number.rounded(.up))
        }
        guard let total, (1...1_000).contains(total) else { return nil }
        return Verdict.Score(value: total, minimum: 1, maximum: 1_000, higherIsBetter: false)
    }

    private var labels: [String] {
        var labels: Set<String> = ["managed"]
        if node["isVirtual"]?.bool == true { labels.insert("virtual") }
        if let risk { labels.insert("risk:\(risk.rawValue)") }
        return labels.sorted()
    }

    private var remedies: [String] {
        guard let risk, risk == .high || risk == .critical else { return [] }
        return [
            "Tanium rates the risk of this device as \(risk.rawValue). Install pending updates and restart; "
                + "if that does not help within an hour, ask your administrator what Tanium found."
        ]
    }
}
