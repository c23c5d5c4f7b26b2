import Access
import JSON

/// Jamf Pro: computers, and what Jamf says of their compliance (providers.md 8.1).
enum Jamf {
    static let vendor = DeclaredConnector.vendor(declared)
    static let inventory =
        "/api/v1/computers-inventory?section=GENERAL&section=HARDWARE&section=SECURITY"
        + "&section=OPERATING_SYSTEM&section=DISK_ENCRYPTION&section=USER_AND_LOCATION"
        + "&section=GROUP_MEMBERSHIPS&sort=id%3Aasc"

    static let declared = DeclaredVendor(
        name: "jamf", title: "Jamf Pro", permission: "Read Computers",
        api: { connection throws(ConnectorFailure) in
            let base = try connection.text("base-url")
            let form = [
                (name: "grant_type", value: "client_credentials"),
                (name: "client_id", value: try connection.text("client-id")),
                (name: "client_secret", value: try connection.secret("client-secret")),
            ]
            let grant = TokenGrant(
                url: base + "/api/v1/oauth/token", form: { _ in form }, errorWord: errorWord)
            return ProviderAPI(
                name: "Jamf Pro", base: base, credentials: .token(grant), errorWord: errorWord,
                windows: [RateWindow(calls: 600, seconds: 60)])
        },
        list: DeclaredList(
            path: inventory, sizeParameter: "page-size", size: 100,
            paging: .page(parameter: "page", first: 0),
            items: ["results"], total: .member(["totalCount"])),
        lookUps: [
            DeclaredLookUp(
                kind: .hardware, path: { "\(inventory)&page=0&page-size=100&filter=udid%3D%3D%22\($0)%22" },
                items: ["results"]),
            DeclaredLookUp(
                kind: .serial,
                path: { "\(inventory)&page=0&page-size=100&filter=hardware.serialNumber%3D%3D%22\($0)%22" },
                items: ["results"]),
        ],
        detail: DeclaredDetail(
            path: { record, connection in
                // A smart group answers for itself; then nothing more has to be asked.
                guard connection.texts["compliant-group"] == nil, let id = record["id"]?.identifier else {
                    return nil
                }
                let path = "/api/v1/conditional-access/device-compliance-information/computer/"
                return path + FormBody.encoded(id)
            }, member: "complianceInformation", permission: "Read Device Compliance Information"),
        read: read)

    @Sendable static func errorWord(_ body: JSONValue) -> String? {
        body["errors"]?.array?.first?["code"]?.string ?? body["error"]?.string
    }

    /// Managed, and compliant by Jamf's own word or by membership in the group that the administrator chose.
    @Sendable static func read(_ record: JSONValue, _ connection: ProviderConnection, _ now: Int64)
        -> DeclaredDevice?
    {
        guard let id = record["id"]?.identifier else { return nil }
        let general = record["general"]
        let isManaged = general?.at(["remoteManagement", "managed"])?.bool
        let (word, judged) = judgement(record, group: connection.texts["compliant-group"])
        let state: Verdict.State
        switch (isManaged, judged) {
        case (false, _): state = .notManaged
        case (_, .noncompliant): state = .noncompliant
        case (true, .compliant): state = .compliant
        case (_, _): state = .unknown
        }
        var labels = groups(record).map { "group:\($0)" }
        if general?["supervised"]?.bool == true { labels.append("supervised") }
        let vault = record.at(["operatingSystem", "fileVault2Status"])?.lowercasedWord
        if vault == "all_encrypted" || vault == "boot_encrypted" { labels.append("encrypted") }
        if record.at(["security", "firewallEnabled"])?.bool == true { labels.append("firewall") }
        if record.at(["security", "sipStatus"])?.lowercasedWord == "enabled" { labels.append("sip") }
        return DeclaredDevice(
            id: id,
            keys: RecordReading.keys([
                (.hardware, record["udid"]), (.serial, record.at(["hardware", "serialNumber"])),
                (.mac, record.at(["hardware", "macAddress"])),
            ]), state: state, isManaged: isManaged, labels: labels,
            lastSeenSeconds: (general?["lastContactTime"] ?? general?["reportDate"])?.timestamp,
            rawState: word, checks: checks(record),
            remedies: [
                state == .notManaged
                    ? "Jamf Pro knows this Mac but does not manage it. Enrol it with your work account."
                    : "Jamf Pro says that this Mac does not meet your organisation's rules. Open "
                        + "Self Service, install "
                        + "what is pending there and run “Update Inventory”, then check again."
            ])
    }

    /// What the inventory says of single protections; Jamf names no verdict about them.
    private static func checks(_ record: JSONValue) -> [Verdict.Check] {
        var checks = CheckList()
        let security = record["security"]
        checks.add(
            word: security?["sipStatus"], "sipStatus", "System Integrity Protection", good: ["enabled"],
            bad: ["disabled"])
        checks.add(
            word: security?["gatekeeperStatus"], "gatekeeperStatus", "Gatekeeper",
            good: ["app_store_and_identified_developers", "app_store"], bad: ["disabled"])
        checks.add(
            word: security?["secureBootLevel"], "secureBootLevel", "Secure Boot", good: ["full_security"],
            bad: ["medium_security", "no_security"])
        checks.add(flag: security?["firewallEnabled"], "firewallEnabled", "Firewall")
        checks.add(flag: security?["activationLockEnabled"], "activationLockEnabled", "Activation Lock")
        checks.add(
            word: record.at(["operatingSystem", "fileVault2Status"]), "fileVault2Status", "FileVault",
            good: ["all_encrypted", "boot_encrypted"],
            bad: ["not_encrypted", "boot_partially_encrypted", "some_encrypted"])
        return checks.checks
    }

    private static func judgement(_ record: JSONValue, group: String?) -> (word: String, state: Verdict.State)
    {
        if let group {
            guard record["groupMemberships"]?.array != nil else { return ("no groups", .unknown) }
            return groups(record).contains(where: { ExactText.isEqual($0, group) })
                ? ("member of \(group)", .compliant) : ("not a member of \(group)", .noncompliant)
        }
        let answer = record["complianceInformation"]
        let entries = answer?.array ?? answer?["results"]?.array ?? answer?.object.map { [.object($0)] } ?? []
        let words = entries.compactMap { $0["complianceState"]?.string }
        let states = Set(words.map { $0.uppercased() })
        let word = words.joined(separator: ", ")
        if states.contains("NON_COMPLIANT") { return (word, .noncompliant) }
        return (word, states == ["COMPLIANT"] ? .compliant : .unknown)
    }

    private static func groups(_ record: JSONValue) -> [String] {
        (record["groupMemberships"]?.array ?? []).prefix(200).compactMap { $0["groupName"]?.string }
    }
}
