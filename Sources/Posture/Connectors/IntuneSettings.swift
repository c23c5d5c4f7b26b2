import Access
import JSON

/// `deviceCompliancePolicyStates` with their settings (providers.md 2.3): what failed, in the vendor's own
/// words.
enum IntuneSettings {
    static let permission = "DeviceManagementConfiguration.Read.All"
    static let namesMax = 5

    /// Every policy and every setting with its state, for rules and for administrators (002.13). One that
    /// several policies ask for is as bad as the worst of them says.
    static func checks(_ answer: JSONValue) -> [Verdict.Check] {
        var checks = CheckList()
        for policy in (answer["value"]?.array ?? []).prefix(100) {
            // The policy by its name (002.4), beside its settings.
            checks.add(policy["id"]?.string, policy["displayName"]?.string, state(policy["state"]?.string))
            for setting in (policy["settingStates"]?.array ?? []).prefix(1_000) {
                checks.add(
                    setting["setting"]?.string, setting["settingName"]?.string,
                    state(setting["state"]?.string))
            }
        }
        return checks.checks
    }

    private static func state(_ word: String?) -> Verdict.Check.State {
        switch word?.lowercased() {
        case "compliant", "remediated": .pass
        case "noncompliant", "error", "conflict": .fail
        case "notapplicable", "notassigned": .notApplicable
        case _: .unknown
        }
    }

    /// One sentence that names the failed settings; none when nothing failed or nothing can be read.
    static func failed(_ answer: JSONValue) -> [String] {
        var names: [String] = []
        for policy in (answer["value"]?.array ?? []).prefix(100) {
            for setting in (policy["settingStates"]?.array ?? []).prefix(1_000) {
                let state = setting["state"]?.string?.lowercased() ?? ""
                guard ["noncompliant", "error", "conflict"].contains(state),
                    let name = setting["settingName"]?.string ?? setting["setting"]?.string, !name.isEmpty,
                    !names.contains(RecordReading.shortened(name))
                else { continue }
                names.append(RecordReading.shortened(name))
            }
        }
        guard !names.isEmpty else { return [] }
        let more = names.count > namesMax ? " and \(names.count - namesMax) more" : ""
        return ["Microsoft Intune asks for: \(names.prefix(namesMax).joined(separator: ", "))\(more)."]
    }
}
