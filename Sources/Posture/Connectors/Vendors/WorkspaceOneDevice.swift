import Access
import Foundation
import JSON

/// One device of Workspace ONE UEM, read tolerantly: enum words are compared without case.
struct WorkspaceOneDevice: Sendable {
    var id: String
    private let value: JSONValue
    private let zone: TimeZone

    /// nil when the value has no id.
    init?(_ value: JSONValue, zone: TimeZone) {
        guard let number = value["Id"]?["Value"]?.integer ?? value["Id"]?.integer, number > 0 else {
            return nil
        }
        id = String(number)
        self.value = value
        self.zone = zone
    }

    func record(of connection: ProviderConnection, nowSeconds: Int64) -> VerdictRecord {
        let keys = RecordReading.keys([
            (.serial, value["SerialNumber"]), (.hardware, value["Udid"]), (.mac, value["MacAddress"]),
        ])
        let seen = RecordReading.observed(time("LastSeen"), nowSeconds: nowSeconds)
        let assessed = time("LastComplianceCheckOn").flatMap {
            $0 <= nowSeconds + RecordReading.skewSeconds ? $0 : nil
        }
        let digest = RecordReading.digest(value)
        let verdict = Verdict(
            id: "\(connection.integration):\(id):\(nowSeconds):\(digest.prefix(12))",
            integration: connection.integration, provider: connection.provider, nativeID: id, state: state,
            isManaged: isEnrolled, labels: labels, observedAtSeconds: seen, assessedAtSeconds: assessed,
            fetchedAtSeconds: nowSeconds,
            expiresAtSeconds: connection.expiry(fetchedAtSeconds: nowSeconds, observedAtSeconds: seen),
            matchKey: DeviceKey.encoded(keys), matchStrength: .weak, rawState: rawState, digest: digest,
            remedies: remedies, checks: checks)
        return VerdictRecord(verdict: verdict, keys: keys)
    }

    private func word(_ name: String) -> String { RecordReading.shortened(value[name]?.string ?? "") }
    private func lowered(_ name: String) -> String { word(name).lowercased() }

    private var rawState: String {
        RecordReading.shortened("\(word("EnrollmentStatus"))/\(word("ComplianceStatus"))")
    }
    private var isCompromised: Bool? { value["CompromisedStatus"]?.bool }

    /// nil: not said in words that we know.
    private var isEnrolled: Bool? {
        switch lowered("EnrollmentStatus") {
        case "enrolled": true
        case "unenrolled", "enterprisewipepending", "devicewipepending": false
        default: nil
        }
    }

    /// A device of which it is not known that nobody broke into it is no compliant device.
    private var state: Verdict.State {
        if isCompromised == true { return .noncompliant }
        guard let isEnrolled else { return .unknown }
        guard isEnrolled else { return .notManaged }
        switch lowered("ComplianceStatus") {
        case "compliant": return isCompromised == false ? .compliant : .unknown
        case "noncompliant": return .noncompliant
        default: return .unknown
        }
    }

    /// Times have no zone. The year 1 stands for never.
    private func time(_ name: String) -> Int64? {
        guard let text = value[name]?.string, !text.hasPrefix("0001-") else { return nil }
        if let seconds = Timestamps.seconds(text) { return seconds }
        guard let local = Timestamps.seconds(text + "Z") else { return nil }
        // The offset depends on the moment, which depends on the offset: the second look settles it.
        let guess = local - Int64(zone.secondsFromGMT(for: Date(timeIntervalSince1970: Double(local))))
        return local - Int64(zone.secondsFromGMT(for: Date(timeIntervalSince1970: Double(guess))))
    }

    private var labels: [String] {
        var labels: Set<String> = []
        if isCompromised == true { labels.insert("compromised") }
        if isEnrolled == true { labels.insert("enrolled") }
        if value["IsSupervised"]?.bool == true { labels.insert("supervised") }
        switch lowered("Ownership") {
        case "c": labels.insert("company")
        case "e": labels.insert("personal")
        case "s": labels.insert("shared")
        default: break
        }
        return labels.sorted()
    }

    /// The console's compliance policies by their names, which is all that tells them apart.
    private var checks: [Verdict.Check] {
        var checks = CheckList()
        checks.add(flag: value["CompromisedStatus"], "CompromisedStatus", "Not compromised", good: false)
        let policies = value["ComplianceSummary"]?["DeviceCompliance"]?.array ?? []
        for policy in policies.prefix(CheckList.countMax) {
            guard let name = policy["PolicyName"]?.string else { continue }
            checks.add(name, nil, policy["CompliantStatus"]?.bool.map { $0 ? .pass : .fail } ?? .unknown)
        }
        return checks.checks
    }

    private var failedPolicies: [String] {
        (value["ComplianceSummary"]?["DeviceCompliance"]?.array ?? [])
            .filter { $0["CompliantStatus"]?.bool == false }
            .compactMap { $0["PolicyName"]?.string }.prefix(5).map(RecordReading.shortened)
    }

    private var remedies: [String] {
        switch state {
        case .compliant, .grace, .notFound, .ambiguous, .error, .delegated: return []
        case .notManaged:
            return ["This device is not enrolled in Workspace ONE. Open Intelligent Hub and enrol it."]
        case .unknown:
            return [
                "Workspace ONE has not evaluated this device yet. Open Intelligent Hub, choose this device, "
                    + "sync it and wait a few minutes."
            ]
        case .noncompliant:
            if isCompromised == true {
                return [
                    "Workspace ONE found that this device's protections are broken (jailbroken, rooted or "
                        + "tampered with). Ask your administrator: it has to be set up anew."
                ]
            }
            let names = failedPolicies
            let what = names.isEmpty ? "" : " It asks for: \(names.joined(separator: ", "))."
            return [
                "Workspace ONE says that this device does not meet your organisation's rules.\(what) Open "
                    + "Intelligent Hub, choose this device and follow the steps shown there."
            ]
        }
    }
}
