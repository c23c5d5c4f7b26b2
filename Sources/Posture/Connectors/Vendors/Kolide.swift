import Access
import JSON

/// Kolide, which is 1Password Device Trust (providers.md 8.3).
enum Kolide {
    static let vendor = DeclaredConnector.vendor(declared)

    static let declared = DeclaredVendor(
        name: "kolide", title: "1Password Device Trust", permission: "Devices: read",
        api: { connection throws(ConnectorFailure) in
            ProviderAPI(
                name: "Kolide", base: try connection.text("base-url"),
                credentials: .fixed([
                    (name: "authorization", value: "Bearer \(try connection.secret("api-token"))")
                ]),
                // Without it answers change shape when the vendor's newest version does.
                fields: [
                    (name: "accept", value: "application/json"),
                    (name: "x-kolide-api-version", value: "2026-04-07"),
                ],
                errorWord: { $0["error"]?.string ?? $0["message"]?.string },
                windows: [RateWindow(calls: 250, seconds: 60)])
        },
        list: DeclaredList(
            path: "/devices", sizeParameter: "per_page", size: 100,
            paging: .cursor(parameter: "cursor", next: ["pagination", "next_cursor"]), items: ["data"]),
        lookUps: [
            DeclaredLookUp(
                kind: .serial, path: { "/devices?per_page=100&query=serial%3A%22\($0)%22" }, items: ["data"])
        ], fullSyncSeconds: 3_600, read: read)

    @Sendable static func read(_ record: JSONValue, _ connection: ProviderConnection, _ now: Int64)
        -> DeclaredDevice?
    {
        guard let id = record["id"]?.identifier else { return nil }
        let word = record["auth_state"]?.string ?? ""
        let blockAt = record["will_block_at"]
        let grace = blockAt.flatMap { $0 == .null ? nil : $0.timestamp ?? 0 }
        let state: Verdict.State
        switch word.lowercased() {
        case "good": state = .compliant
        case "notified", "will block": state = .grace
        case "blocked": state = .noncompliant
        case _: state = .unknown
        }
        return DeclaredDevice(
            id: id,
            keys: RecordReading.keys([(.hardware, record["hardware_uuid"]), (.serial, record["serial"])]),
            state: state,
            labels: ["device_type", "form_factor"].compactMap { name in
                record[name]?.lowercasedWord.map { "\(name == "device_type" ? "type" : "form"):\($0)" }
            }, lastSeenSeconds: record["last_seen_at"]?.timestamp,
            graceUntilSeconds: grace, rawState: word, checks: checks(record),
            remedies: [
                state == .noncompliant
                    ? "Kolide blocks this device. Open the 1Password Device Trust menu, fix the "
                        + "issues listed there and "
                        + "choose “Check device”."
                    : "Kolide found issues on this device. Open the 1Password Device Trust menu and "
                        + "fix what it lists "
                        + "before the device is blocked."
            ])
    }

    /// Issues are a call for each device there, and its limit lets 270 through in a minute: the verdict
    /// over them is what the list says.
    private static func checks(_ record: JSONValue) -> [Verdict.Check] {
        var checks = CheckList()
        checks.add(
            word: record["auth_state"], "auth_state", "Device Trust lets it sign in",
            good: ["good", "notified", "will block"], bad: ["blocked"])
        return checks.checks
    }
}
