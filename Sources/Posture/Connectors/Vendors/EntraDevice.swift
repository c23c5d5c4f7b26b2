import Access
import JSON

/// One `device` of the directory (providers.md 3.1), read tolerantly: null is unknown, never compliant.
struct EntraDevice: Sendable {
    /// Intune's own; any other application is a partner's (providers.md 6.4).
    static let intuneApplication = "0000000a-0000-0000-c000-000000000000"
    static let fields = [
        "id", "deviceId", "displayName", "accountEnabled", "isCompliant", "isManaged", "trustType",
        "profileType",
        "managementType", "mdmAppId", "deviceOwnership", "isRooted", "complianceExpirationDateTime",
    ].joined(separator: ",")

    /// The directory's own id of the object; @removed entries name it and nothing else.
    var objectID: String
    /// The join key (001.5).
    var key: DeviceKey
    private var value: JSONValue

    /// nil when the value cannot be a device: such a record also spoils the proof of completeness.
    init?(_ value: JSONValue) {
        guard let id = value["id"]?.string, let object = Self.objectID(id),
            let key = value["deviceId"]?.string.flatMap({ DeviceKey(.entra, $0) })
        else { return nil }
        objectID = object
        self.key = key
        self.value = value
    }

    /// A GUID in lower case; nil for anything else.
    static func objectID(_ text: String) -> String? { DeviceKey(.entra, text)?.value }

    /// The verdict record as of now.
    ///
    /// - Parameter partners: empty when they may not be read.
    func record(of connection: ProviderConnection, partners: [PartnerState], nowSeconds: Int64)
        -> VerdictRecord
    {
        let isOrphaned = state == .compliant && !isVouchedFor(by: partners)
        let state = isOrphaned ? Verdict.State.unknown : state
        let digest = RecordReading.digest(value)
        // The sign-in time is days old even for a device in daily use (providers.md 3.1): it is no report of
        // the device. What is dated is our own reading.
        let ends = state == .compliant ? complianceEndsSeconds : nil
        let verdict = Verdict(
            id: "\(connection.integration):\(objectID):\(nowSeconds):\(digest.prefix(12))",
            integration: connection.integration, provider: connection.provider, nativeID: objectID,
            state: state,
            isManaged: value["isManaged"]?.bool, labels: labels(state, isOrphaned: isOrphaned),
            observedAtSeconds: nowSeconds, fetchedAtSeconds: nowSeconds,
            expiresAtSeconds: min(nowSeconds + connection.ttlSeconds, ends ?? .max), graceUntilSeconds: ends,
            matchKey: DeviceKey.encoded(keys), matchStrength: .weak, rawState: rawState, digest: digest,
            remedies: remedies(state, isOrphaned: isOrphaned))
        return VerdictRecord(verdict: verdict, keys: keys)
    }

    private var keys: [DeviceKey] { [key] + RecordReading.keys([(.name, value["displayName"])]) }

    /// 001.6: managed and compliant are two answers. A disabled device is blocked whatever else is said of
    /// it.
    private var state: Verdict.State {
        if value["accountEnabled"]?.bool == false { return .noncompliant }
        switch (value["isCompliant"]?.bool, value["isManaged"]?.bool) {
        case (false, _): return .noncompliant
        case (true, _): return value["accountEnabled"]?.bool == true ? .compliant : .unknown
        case (nil, false): return .notManaged
        case (nil, _): return .unknown
        }
    }

    /// From when on the vendor itself no longer calls it compliant; a time that cannot be read is over.
    private var complianceEndsSeconds: Int64? {
        guard let text = value["complianceExpirationDateTime"], text != .null else { return nil }
        guard let seconds = text.string.flatMap(Timestamps.seconds) else { return 0 }
        return seconds >= ManagedDevice.noGraceSeconds ? nil : seconds
    }

    /// A partner that fell silent vouches for nothing (providers.md 6.4); for the others nobody has to.
    private func isVouchedFor(by partners: [PartnerState]) -> Bool {
        guard let application = value["mdmAppId"]?.string?.lowercased(), !application.isEmpty,
            application != Self.intuneApplication
        else { return true }
        if let own = partners.first(where: { $0.id == application }) { return own.speaks }
        return partners.allSatisfy(\.speaks)
    }

    private func labels(_ state: Verdict.State, isOrphaned: Bool) -> [String] {
        var labels: Set<String> = ["registered"]
        if state == .compliant || state == .noncompliant { labels.insert(state.label) }
        if value["accountEnabled"]?.bool == false { labels.insert("disabled") }
        if value["isManaged"]?.bool == true { labels.insert("managed") }
        if value["isRooted"]?.bool == true { labels.insert("rooted") }
        if isOrphaned { labels.insert("partner-out-of-sync") }
        if let trust = word("trustType") {
            let known = [
                "workplace": "workplace-registered", "azuread": "joined", "serverad": "hybrid-joined",
            ]
            labels.insert(known[trust.lowercased()] ?? "trust:\(trust)")
        }
        if let owner = word("deviceOwnership")?.lowercased(), ["company", "personal"].contains(owner) {
            labels.insert(owner)
        }
        if let management = word("managementType") { labels.insert("management:\(management)") }
        return labels.sorted()
    }

    private func word(_ name: String) -> String? {
        value[name]?.string.map(RecordReading.shortened).flatMap { $0.isEmpty ? nil : $0 }
    }

    /// The three flags as the directory has them, for people who compare with its console.
    private var rawState: String {
        ["isCompliant", "isManaged", "accountEnabled"].map { name in
            "\(name)=\(value[name]?.bool.map { $0 ? "true" : "false" } ?? "null")"
        }.joined(separator: " ")
    }

    private func remedies(_ state: Verdict.State, isOrphaned: Bool) -> [String] {
        if value["accountEnabled"]?.bool == false {
            return [
                "This device is disabled in your organisation's directory. Ask your administrator to "
                    + "enable it."
            ]
        }
        if isOrphaned {
            return [
                "The product that manages this device has not reported to Microsoft Entra for a "
                    + "while. Ask your "
                    + "administrator to check the compliance partner."
            ]
        }
        switch state {
        case .noncompliant:
            return [
                "Microsoft Entra says that this device does not meet your organisation's rules. Open "
                    + "the app that "
                    + "manages this device (Company Portal or your organisation's own), follow the "
                    + "steps shown "
                    + "there, then check again."
            ]
        case .notManaged:
            return [
                "This device is registered in Microsoft Entra, but nothing manages it. Enrol it with "
                    + "your work "
                    + "account; if it is enrolled, ask your administrator about its licence and assignment."
            ]
        case .unknown:
            return [
                "Microsoft Entra does not know yet whether this device meets the rules. Open the app "
                    + "that manages "
                    + "this device, register the device if it asks for that, and wait a few minutes."
            ]
        case .compliant, .grace, .notFound, .ambiguous, .error, .delegated: return []
        }
    }
}
