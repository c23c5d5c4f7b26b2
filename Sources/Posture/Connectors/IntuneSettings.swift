import Access
import JSON

/// `deviceCompliancePolicyStates` with their settings (providers.md 2.3): what failed, in the vendor's own
/// words.
enum IntuneSettings {
    static let permission = "DeviceManagementConfiguration.Read.All"
    static let namesMax = 5
    static let checksMax = 200

    /// Every setting with its state, for rules and for administrators (002.13). One that several policies ask
    /// for is as bad as the worst of them says.
    static func checks(_ answer: JSONValue) -> [Verdict.Check] {
        var checks: [String: Verdict.Check] = [:]
        for policy in (answer["value"]?.array ?? []).prefix(100) {
            for setting in (policy["settingStates"]?.array ?? []).prefix(1_000) {
                guard let id = setting["setting"]?.string.map(RecordReading.shortened), !id.isEmpty else {
                    continue
                }
                let title = setting["settingName"]?.string.map(RecordReading.shortened) ?? id
                let check = Verdict.Check(id: id, title: title, state: state(setting["state"]?.string))
                if checks[id].map({ rank(check.state) > rank($0.state) }) ?? (checks.count < checksMax) {
                    checks[id] = check
                }
            }
        }
        return checks.values.sorted { $0.id < $1.id }
    }

    private static func state(_ word: String?) -> Verdict.Check.State {
        switch word?.lowercased() {
        case "compliant", "remediated": .pass
        case "noncompliant", "error", "conflict": .fail
        case "notapplicable", "notassigned": .notApplicable
        case _: .unknown
        }
    }

    private static func rank(_ state: Verdict.Check.State) -> Int {
        switch state {
        case .notApplicable: 0
        case .pass: 1
        case .unknown: 2
        case .fail: 3
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
