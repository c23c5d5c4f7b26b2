/// The directory's devices as the Graph emulator keeps them: objects, what was removed, and every change's
/// number.

import JSON
import Signatures

/// A device object: JSON, so that tests may put anything into any member.
struct DirectoryDevice: Sendable {
    var id: String
    var members: JSONObject
    /// Of its last change.
    var sequence: Int64

    /// What Intune makes of a managed device (providers.md 2.8, 3.1).
    init(_ managed: ManagedDevice, sequence: Int64) {
        let deviceID = managed.members["azureADDeviceId"] ?? .null
        id = "b7d6" + managed.id.dropFirst(4)
        self.sequence = sequence
        members = [
            "id": .string(id), "deviceId": deviceID, "accountEnabled": true,
            "displayName": managed.members["deviceName"] ?? .null,
            "operatingSystem": managed.members["operatingSystem"] ?? .null, "operatingSystemVersion": "12.0",
            "trustType": "AzureAd", "profileType": "RegisteredDevice", "isManaged": true,
            "isCompliant": Self.isCompliant(managed.members["complianceState"]?.string ?? ""),
            "managementType": "MDM", "mdmAppId": "0000000a-0000-0000-c000-000000000000",
            "deviceOwnership": "Company", "enrollmentType": "AzureDomainJoined",
            "registrationDateTime": "2026-01-10T09:00:00Z",
            "approximateLastSignInDateTime": "2026-01-28T06:12:00Z",
            "complianceExpirationDateTime": nil, "onPremisesSyncEnabled": nil, "isRooted": false,
            "physicalIds": [], "systemLabels": [], "manufacturer": "LENOVO", "model": "T14",
        ]
    }

    /// What Intune writes into the directory; nil where it has not judged.
    static func isCompliant(_ complianceState: String) -> JSONValue {
        switch complianceState {
        case "compliant", "inGracePeriod": true
        case "noncompliant", "conflict", "error": false
        case _: .null
        }
    }
}

struct DirectoryState {
    static let deltaSeconds: Int64 = 7 * 86_400
    static let windowSeconds: Int64 = 10
    static let tokensMax = 10_000
    static let pushesMax = 10_000

    /// What a `$skiptoken` or `$deltatoken` stands for; query parameters are frozen in it.
    struct Token {
        var isDelta: Bool
        var select: [String]
        var top: Int
        /// Changes after this one are told.
        var since: Int64
        /// Changes up to this one are told in this round; nil: a round has not begun.
        var until: Int64?
        var offset = 0
        var issuedSeconds: Int64
        var followsEmpty = false
    }

    struct Removed {
        var id: String
        var reason: String
        var sequence: Int64
    }

    var devices: [DirectoryDevice]
    var removed: [Removed] = []
    var partners: [JSONValue] = []
    /// What partners said that does not stand here yet, in the order of arrival.
    private var pushes: [PartnerPush] = []
    var unitsMax: Int64 = 8_000
    /// Complete readings that ended, for tests that count.
    var baselines = 0
    /// What was written to devices, in order, for tests that count.
    var writes: [(id: String, members: JSONObject)] = []
    private(set) var sequence: Int64 = 1
    private var tokens: [String: Token] = [:]
    private var spent: [(seconds: Int64, units: Int64)] = []

    init(_ managed: [ManagedDevice]) { devices = managed.map { DirectoryDevice($0, sequence: 1) } }

    mutating func keep(_ token: Token, as name: String? = nil) -> String {
        if tokens.count >= Self.tokensMax { tokens.removeAll() }
        let name = name ?? Base64URL.encode(Random.bytes(24))
        tokens[name] = token
        return name
    }

    func token(_ name: String) -> Token? { tokens[name] }

    /// Counts the units of one request.
    ///
    /// - Returns: the part of the limit that is used now; above 1 the request is throttled.
    mutating func spend(_ units: Int64, nowSeconds: Int64) -> Double {
        spent.removeAll { $0.seconds <= nowSeconds - Self.windowSeconds }
        if spent.count < 100_000 { spent.append((nowSeconds, units)) }
        return Double(spent.reduce(0) { $0 + $1.units }) / Double(max(unitsMax, 1))
    }

    /// Writes members over a device's own; by object id, device id or name.
    mutating func change(_ name: String, _ members: JSONObject) -> JSONObject? {
        guard let index = devices.firstIndex(where: { Self.isMeant($0, name) }) else { return nil }
        sequence += 1
        for member in members.members { devices[index].members[member.name] = member.value }
        devices[index].sequence = sequence
        return devices[index].members
    }

    /// - Returns: false when no such device is registered, or too many wait.
    mutating func take(_ push: PartnerPush) -> Bool {
        guard pushes.count < Self.pushesMax,
            devices.contains(where: { Self.isMeant($0, push.directoryDevice) })
        else { return false }
        pushes.append(push)
        return true
    }

    /// Writes what has been under way long enough. A device that has gone meanwhile stays gone.
    mutating func writePushes(nowSeconds: Int64) {
        let due = pushes.enumerated().filter { $0.element.dueSeconds <= nowSeconds }
            .sorted { ($0.element.dueSeconds, $0.offset) < ($1.element.dueSeconds, $1.offset) }
        guard !due.isEmpty else { return }
        pushes.removeAll { $0.dueSeconds <= nowSeconds }
        for push in due { _ = change(push.element.directoryDevice, push.element.members) }
    }

    mutating func add(_ managed: ManagedDevice) {
        sequence += 1
        let device = DirectoryDevice(managed, sequence: sequence)
        removed.removeAll { $0.id == device.id }
        devices.append(device)
    }

    mutating func remove(_ name: String, reason: String) -> Bool {
        guard let index = devices.firstIndex(where: { Self.isMeant($0, name) }) else { return false }
        sequence += 1
        removed.append(Removed(id: devices[index].id, reason: reason, sequence: sequence))
        devices.remove(at: index)
        return true
    }

    static func isMeant(_ device: DirectoryDevice, _ name: String) -> Bool {
        device.id == name.lowercased() || device.members["deviceId"]?.string == name
            || device.members["displayName"]?.string == name
    }
}
