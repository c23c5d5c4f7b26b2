import JSON

/// An MDM vendor that reports compliance to Microsoft (`complianceManagementPartners`, providers.md 6.4), as
/// administrators see it (001.12, 001.15, 001.17).
public struct PartnerState: Sendable, Hashable {
    /// The vendor's id of the connection.
    public var id: String
    /// As the vendor calls it.
    public var name: String
    /// `enabled`, `unresponsive`, …: verbatim.
    public var state: String
    /// Its last sign of life; nil: none or not readable.
    public var lastHeartbeatSeconds: Int64?
    /// Where it is switched on: `ios`, `android`, `macos`.
    public var platforms: [String]

    /// What is wrong with it, in words for an administrator; nil: it is active (001.17).
    public var hint: String? {
        switch state.lowercased() {
        case "enabled":
            platforms.isEmpty
                ? "\(name) is enabled for no platform; assign platforms and user groups, then "
                    + "synchronise the "
                    + "directories" : nil
        case "unresponsive", "unavailable":
            "partner out of sync: \(name) is \(state); check its connection to Microsoft and synchronise the "
                + "directories"
        case "terminated", "rejected": "\(name) is \(state); connect it to Microsoft again"
        default: "\(name) is in a state that is not known: \(state)"
        }
    }

    /// Whether what it said of devices still stands.
    var speaks: Bool { !["unresponsive", "terminated"].contains(state.lowercased()) }

    init?(_ value: JSONValue) {
        guard let id = value["id"]?.string, !id.isEmpty else { return nil }
        self.id = RecordReading.shortened(id.lowercased())
        name = RecordReading.shortened(value["displayName"]?.string ?? id)
        state = RecordReading.shortened(value["partnerState"]?.string ?? "unknown")
        lastHeartbeatSeconds = value["lastHeartbeatDateTime"]?.string.flatMap(Timestamps.seconds)
        let switches = [
            ("ios", "iosOnboarded"), ("android", "androidOnboarded"), ("macos", "macOsOnboarded"),
        ]
        platforms = switches.filter { value[$0.1]?.bool == true }.map(\.0)
    }
}

/// The partners of a tenant, as far as we may read them: without the permission everything else works.
actor PartnerList {
    static let path = "/v1.0/deviceManagement/complianceManagementPartners"
    static let permission = "DeviceManagementServiceConfig.Read.All"

    private(set) var partners: [PartnerState] = []

    /// Reads the list anew; what was known stays when that fails.
    func refresh(_ graph: ProviderClient, _ missing: MissingPermissions, waitSecondsMax: Double) async {
        do throws(ConnectorFailure) {
            let answer = try await graph.get(Self.path, waitSecondsMax: waitSecondsMax)
            partners = (answer["value"]?.array ?? []).prefix(100).compactMap { PartnerState($0) }
            await missing.note(Self.permission, isMissing: false)
        } catch {
            await missing.note(Self.permission, isMissing: error.kind == .forbidden)
        }
    }
}
