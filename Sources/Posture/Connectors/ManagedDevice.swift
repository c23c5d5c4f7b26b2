import Access
import JSON
import Signatures

/// One `managedDevice` of Microsoft Graph (providers.md 2.3), read tolerantly: missing members are nil,
/// unknown enum words are kept and mean "unknown".
struct ManagedDevice: Sendable {
    static let provider = "intune"
    static let skewSeconds: Int64 = 300
    /// Year 9999 means "no grace" in this API.
    static let noGraceSeconds: Int64 = 253_370_764_800

    var id: String
    var complianceWord: String
    var lastSyncSeconds: Int64?
    var graceUntilSeconds: Int64?
    var registrationWord: String
    var ownerWord: String
    var isEncrypted: Bool
    var isSupervised: Bool
    var category: String?
    var threatWord: String
    var systemWord: String
    var keys: [DeviceKey]
    var digest: String

    /// nil when the value has no id that can be one: such a record also spoils the proof of completeness.
    init?(_ value: JSONValue) {
        guard let id = value["id"]?.string.flatMap({ DeviceKey(.intune, $0) }) else { return nil }
        func word(_ name: String) -> String { value[name]?.string.map(Self.shortened) ?? "" }
        self.id = id.value
        complianceWord = word("complianceState")
        lastSyncSeconds = value["lastSyncDateTime"]?.string.flatMap(Timestamps.seconds)
        graceUntilSeconds = value["complianceGracePeriodExpirationDateTime"]?.string.flatMap(
            Timestamps.seconds)
        if let grace = graceUntilSeconds, grace >= Self.noGraceSeconds { graceUntilSeconds = nil }
        registrationWord = word("deviceRegistrationState")
        ownerWord = word("managedDeviceOwnerType")
        isEncrypted = value["isEncrypted"]?.bool ?? false
        isSupervised = value["isSupervised"]?.bool ?? false
        category = value["deviceCategoryDisplayName"]?.string.map(Self.shortened).flatMap {
            $0.isEmpty ? nil : $0
        }
        threatWord = word("partnerReportedThreatState")
        systemWord = word("operatingSystem")
        let named: [(DeviceKey.Kind, String)] = [
            (.entra, "azureADDeviceId"), (.serial, "serialNumber"), (.mac, "wiFiMacAddress"),
            (.mac, "ethernetMacAddress"), (.hardware, "udid"), (.name, "deviceName"),
            (.owner, "userPrincipalName"), (.owner, "userId"),
        ]
        keys = [id]
        for (kind, name) in named {
            guard let key = value[name]?.string.flatMap({ DeviceKey(kind, $0) }), !keys.contains(key) else {
                continue
            }
            keys.append(key)
        }
        digest = Self.hexadecimal(Digest.sha256(Self.canonical(value).serialized()))
    }

    /// The verdict record of providers.md 14.1 as of now.
    func record(of connection: IntuneConnection, nowSeconds: Int64) -> VerdictRecord {
        let state = state
        // A report from the future is no report: its age cannot be known, so it is as old as can be.
        let observed = lastSyncSeconds.flatMap { $0 <= nowSeconds + Self.skewSeconds ? max($0, 0) : nil } ?? 0
        var expires = min(nowSeconds + connection.ttlSeconds, observed + connection.deviceAgeSecondsMax)
        if state == .grace, let graceUntilSeconds { expires = min(expires, graceUntilSeconds) }
        var labels = labels(graceCounts: connection.graceCountsAsCompliant)
        if connection.matchesOwners, let label = PlatformLabel.label(systemWord) {
            labels = (labels + [label]).sorted()
        }
        let verdict = Verdict(
            id: "\(connection.integration):\(id):\(nowSeconds):\(digest.prefix(12))",
            integration: connection.integration, provider: Self.provider, nativeID: id, state: state,
            isManaged: true, risk: risk, labels: labels,
            observedAtSeconds: observed, fetchedAtSeconds: nowSeconds, expiresAtSeconds: expires,
            graceUntilSeconds: state == .grace ? graceUntilSeconds : nil, matchKey: DeviceKey.encoded(keys),
            matchStrength: .weak, rawState: complianceWord, digest: digest,
            remedies: IntuneRemedies.sentences(state))
        return VerdictRecord(verdict: verdict, keys: keys)
    }

    /// Enum comparison without case (providers.md 1.1); what is not known is unknown, never compliant.
    private var state: Verdict.State {
        switch complianceWord.lowercased() {
        case "compliant": .compliant
        case "ingraceperiod": .grace
        case "noncompliant": .noncompliant
        case "conflict", "error": .error
        case "configmanager": .delegated
        default: .unknown
        }
    }

    private var risk: Verdict.Risk? {
        switch threatWord.lowercased() {
        case "secured": Verdict.Risk.none
        case "lowseverity": .low
        case "mediumseverity": .medium
        case "highseverity": .high
        case "compromised": .critical
        default: nil
        }
    }

    /// The tags of providers.md 2.8, sorted; `compliant` and `registered` are always derived (000.2).
    private func labels(graceCounts: Bool) -> [String] {
        var labels: Set<String> = []
        switch state {
        case .compliant: labels.insert("compliant")
        case .grace:
            labels.insert("in-grace")
            if graceCounts { labels.insert("compliant") }
        case .noncompliant: labels.insert("noncompliant")
        case .notManaged, .notFound, .ambiguous, .unknown, .error, .delegated: break
        }
        if !registrationWord.isEmpty {
            labels.insert(registrationWord.lowercased() == "registered" ? "registered" : "not-registered")
        }
        if ["company", "personal"].contains(ownerWord.lowercased()) { labels.insert(ownerWord.lowercased()) }
        if isEncrypted { labels.insert("encrypted") }
        if isSupervised { labels.insert("supervised") }
        if let category { labels.insert("category:\(category)") }
        if !threatWord.isEmpty, threatWord.lowercased() != "unknown" { labels.insert("threat:\(threatWord)") }
        return labels.sorted()
    }

    private static func shortened(_ text: String) -> String { String(text.prefix(128)) }

    /// Members sorted by name, so that the digest names the content and not the order of a vendor's
    /// serialiser.
    private static func canonical(_ value: JSONValue) -> JSONValue {
        switch value {
        case .object(let object):
            .object(
                JSONObject(object.members.sorted { $0.name < $1.name }.map { ($0.name, canonical($0.value)) })
            )
        case .array(let values): .array(values.map(canonical))
        case .null, .bool, .integer, .number, .string: value
        }
    }

    private static func hexadecimal(_ bytes: [UInt8]) -> String {
        bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
    }
}

/// What a person can do about a state, in plain words.
enum IntuneRemedies {
    static func sentences(_ state: Verdict.State) -> [String] {
        sentence(state).map { [$0] } ?? []
    }

    private static func sentence(_ state: Verdict.State) -> String? {
        switch state {
        case .compliant: nil
        case .grace:
            "Microsoft Intune found something to repair on this device and gives you time for it. "
                + "Open the Company Portal app, choose this device and follow the steps shown there."
        case .noncompliant:
            "Microsoft Intune says that this device does not meet your organisation's rules. "
                + "Open the Company Portal app, choose this device, follow the steps shown there, "
                + "then choose “Check access”."
        case .notManaged, .notFound:
            "Microsoft Intune does not know this device. Open the Company Portal app and enrol the device "
                + "with your work account. If it is enrolled, ask your administrator about its licence and "
                + "assignment."
        case .ambiguous:
            "More than one device in Microsoft Intune answers to this device's ids, or the device stated "
                + "contradicting ids. Ask your administrator to remove the old entries."
        case .error:
            "Microsoft Intune could not evaluate this device. Open the Company Portal app and choose "
                + "“Check access”; if that does not help, ask your administrator."
        case .unknown:
            "Microsoft Intune has not evaluated this device yet. Open the Company Portal app, choose "
                + "“Check access” and wait a few minutes."
        case .delegated:
            "This device is evaluated by Configuration Manager. Open Software Center, choose "
                + "“Device compliance” and check again."
        }
    }
}
