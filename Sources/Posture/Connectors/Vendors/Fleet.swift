import Access
import JSON

/// Fleet, which asks osquery on every host (providers.md 8.7).
enum Fleet {
    static let vendor = DeclaredConnector.vendor(declared)
    static let hosts = "/api/v1/fleet/hosts"

    static let declared = DeclaredVendor(
        name: "fleet", title: "Fleet", permission: "Observer role",
        api: { connection throws(ConnectorFailure) in
            ProviderAPI(
                name: "Fleet", base: try connection.text("base-url"),
                credentials: .fixed([
                    (name: "authorization", value: "Bearer \(try connection.secret("api-token"))")
                ]),
                errorWord: { $0["message"]?.string })
        },
        list: DeclaredList(
            path: hosts + "?populate_policies=true&order_key=id", sizeParameter: "per_page", size: 100,
            paging: .page(parameter: "page", first: 0), items: ["hosts"],
            total: .path(hosts + "/count", ["count"])),
        lookUps: [
            // Never by host name: several hosts with one name are answered with any of them.
            DeclaredLookUp(kind: .hardware, path: { "\(hosts)/identifier/\($0)" }, record: ["host"]),
            DeclaredLookUp(kind: .serial, path: { "\(hosts)/identifier/\($0)" }, record: ["host"]),
        ], fullSyncSeconds: 3_600, read: read)

    /// No failing critical policy is compliant; a policy that did not run yet, or a host that is not there,
    /// is unknown.
    @Sendable static func read(_ record: JSONValue, _ connection: ProviderConnection, _ now: Int64)
        -> DeclaredDevice?
    {
        guard let id = record["id"]?.identifier else { return nil }
        let critical = record["policies"]?.array?.filter { $0["critical"]?.bool == true }
        let failed = (critical ?? []).filter { $0["response"]?.lowercasedWord == "fail" }
        let isPassed = critical?.allSatisfy { $0["response"]?.lowercasedWord == "pass" } ?? false
        let status = record["status"]?.string ?? ""
        let isThere = ["online", "offline"].contains(status.lowercased())
        let state: Verdict.State =
            !failed.isEmpty ? .noncompliant : isPassed && isThere ? .compliant : .unknown
        let names = failed.compactMap { $0["name"]?.string }.prefix(5).map(RecordReading.shortened)
        var labels: [String] = []
        if let word = record["status"]?.lowercasedWord { labels.append("status:\(word)") }
        if record["disk_encryption_enabled"]?.bool == true { labels.append("encrypted") }
        let enrolment = record.at(["mdm", "enrollment_status"])?.string
        return DeclaredDevice(
            id: id,
            keys: RecordReading.keys([
                (.hardware, record["uuid"]), (.serial, record["hardware_serial"]),
                (.mac, record["primary_mac"]),
            ]), state: state, isManaged: enrolment.map { $0.lowercased().hasPrefix("on") },
            isSensorRunning: isThere ? status.lowercased() == "online" : nil, labels: labels,
            lastSeenSeconds: record["seen_time"]?.timestamp,
            assessedSeconds: record["detail_updated_at"]?.timestamp,
            rawState: "status=\(status) critical policies failing: \(failed.count)", checks: checks(record),
            remedies: [
                names.isEmpty
                    ? "Fleet has not checked this device yet, or has not seen it for a while. Keep "
                        + "it connected and "
                        + "choose “Refetch” on the “My device” page of Fleet Desktop."
                    : "Fleet asks for: \(names.joined(separator: ", ")). Open “My device” in Fleet "
                        + "Desktop for the steps."
            ])
    }

    /// All policies, also those that do not decide: rules may ask for one by its name.
    private static func checks(_ record: JSONValue) -> [Verdict.Check] {
        (record["policies"]?.array ?? []).compactMap { policy in
            guard let id = policy["id"]?.identifier else { return nil }
            let words: [String: Verdict.Check.State] = ["pass": .pass, "fail": .fail]
            return Verdict.Check(
                id: id, title: RecordReading.shortened(policy["name"]?.string ?? id),
                state: words[policy["response"]?.lowercasedWord ?? ""] ?? .unknown)
        }
    }
}
