import Access
import JSON

/// Kandji, which is Iru now (providers.md 8.4).
enum Kandji {
    static let vendor = DeclaredConnector.vendor(declared)

    static let declared = DeclaredVendor(
        name: "kandji", title: "Kandji", permission: "Devices: list",
        api: { connection throws(ConnectorFailure) in
            ProviderAPI(
                name: "Kandji", base: try connection.text("api-url"),
                credentials: .fixed([
                    (name: "authorization", value: "Bearer \(try connection.secret("api-token"))")
                ]),
                errorWord: { $0["error"]?.string ?? $0["detail"]?.string },
                // 10,000 an hour; a tenth is left to the tenant's other programs.
                windows: [RateWindow(calls: 9_000, seconds: 3_600)])
        },
        list: DeclaredList(
            path: "/api/v1/devices", sizeParameter: "limit", size: 300, paging: .offset(parameter: "offset"),
            items: []),
        lookUps: [
            DeclaredLookUp(
                kind: .serial, path: { "/api/v1/devices?limit=100&offset=0&serial_number=\($0)" }, items: [])
        ],
        detail: DeclaredDetail(
            path: { record, connection in
                guard connection.texts["check-parameters"] != "false",
                    let id = record["device_id"]?.identifier
                else {
                    return nil
                }
                return "/api/v1/devices/\(FormBody.encoded(id))/parameters"
            }, member: "checked", permission: "Device parameters"),
        read: read)

    static let passing: Set<String> = ["PASS", "REMEDIATED", "MUTED"]

    /// Managed, there, and every parameter of the blueprint passed.
    @Sendable static func read(_ record: JSONValue, _ connection: ProviderConnection, _ now: Int64)
        -> DeclaredDevice?
    {
        guard let id = record["device_id"]?.identifier else { return nil }
        let failed = failedParameters(record, isAsked: connection.texts["check-parameters"] != "false")
        let isManaged = record["mdm_enabled"]?.bool
        let isGone = record["is_missing"]?.bool == true || record["is_removed"]?.bool == true
        let state: Verdict.State
        let word: String
        if isGone {
            (state, word) = (.noncompliant, record["is_removed"]?.bool == true ? "is_removed" : "is_missing")
        } else if isManaged == false {
            (state, word) = (.notManaged, "mdm_enabled=false")
        } else if let failed, !failed.isEmpty {
            (state, word) = (.noncompliant, "\(failed.count) parameters not passed")
        } else if record["agent_installed"]?.bool == false {
            (state, word) = (.noncompliant, "agent_installed=false")
        } else {
            let isSaid = isManaged == true && record["agent_installed"]?.bool == true
            (state, word) = isSaid && failed != nil ? (.compliant, "passed") : (.unknown, "not said")
        }
        let names = (failed ?? []).prefix(5).map(RecordReading.shortened).joined(separator: ", ")
        return DeclaredDevice(
            id: id, keys: RecordReading.keys([(.serial, record["serial_number"])]), state: state,
            isManaged: isManaged,
            labels: labels(record), lastSeenSeconds: record["last_check_in"]?.timestamp, rawState: word,
            checks: checks(record),
            remedies: [
                names.isEmpty
                    ? "Kandji does not see this device as it should. Open Self Service, let it check "
                        + "in, then check "
                        + "again; if that does not help, ask your administrator."
                    : "Kandji asks for: \(names). Open Self Service and let it check in, then check again."
            ])
    }

    /// nil: they are not known. An answer whose words are not known did not pass.
    private static func failedParameters(_ record: JSONValue, isAsked: Bool) -> [String]? {
        guard isAsked else { return [] }
        guard let parameters = record["checked"]?["parameters"]?.array else { return nil }
        return parameters.filter { !passing.contains($0["status"]?.string?.uppercased() ?? "") }.map {
            $0["name"]?.string ?? $0["item_id"]?.string ?? "a parameter"
        }
    }

    private static func labels(_ record: JSONValue) -> [String] {
        var labels = (record["tags"]?.array ?? []).prefix(100).compactMap { $0.string.map { "tag:\($0)" } }
        if let name = record["blueprint_name"]?.string, !name.isEmpty { labels.append("blueprint:\(name)") }
        return labels
    }

    private static func checks(_ record: JSONValue) -> [Verdict.Check] {
        (record["checked"]?["parameters"]?.array ?? []).compactMap { parameter in
            guard let id = parameter["item_id"]?.identifier else { return nil }
            let isPassed = passing.contains(parameter["status"]?.string?.uppercased() ?? "")
            return Verdict.Check(
                id: id, title: RecordReading.shortened(parameter["name"]?.string ?? id),
                state: isPassed ? .pass : .fail)
        }
    }
}
