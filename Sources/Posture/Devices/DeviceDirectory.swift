import Access
import Store

/// The enrolled devices in memory: owners, pinned provider ids and statement counters.
///
/// A value inside one actor, so that looking and changing are one step; what changed is written through by
/// the owner.
struct DeviceDirectory: Sendable {
    private var devices: [String: StoredDevice] = [:]
    private var byPin: [DeviceKey: String] = [:]
    private var counters: [String: CounterWindow] = [:]
    /// Kinds of ids about which a device's last statement contradicted what is pinned.
    private var conflicts: [String: Set<String>] = [:]

    init(_ stored: [StoredDevice] = []) {
        for device in stored { keep(device) }
    }

    var all: [StoredDevice] { devices.values.sorted { $0.id < $1.id } }

    subscript(id: String) -> StoredDevice? { devices[id] }

    mutating func keep(_ device: StoredDevice) {
        if let old = devices[device.id] {
            for key in Self.pinnedKeys(old) where byPin[key] == device.id { byPin[key] = nil }
        }
        devices[device.id] = device
        for key in Self.pinnedKeys(device) { byPin[key] = device.id }
    }

    /// Takes back an enrolment that could not be stored.
    mutating func forget(_ id: String) {
        guard let device = devices.removeValue(forKey: id) else { return }
        for key in Self.pinnedKeys(device) where byPin[key] == id { byPin[key] = nil }
        conflicts[id] = nil
        counters[id] = nil
    }

    func isRevoked(_ id: String) -> Bool { devices[id]?.isRevoked == true }

    /// The devices that these keys are pinned to.
    func owners(of keys: [DeviceKey]) -> Set<String> { Set(keys.compactMap { byPin[$0] }) }

    /// The keys that name this device at a provider, strongest kind first, without those in conflict.
    func keys(of id: String) -> [DeviceKey] {
        guard let device = devices[id] else { return [] }
        let pinned = Self.pinnedKeys(device)
        return DeviceKey.Kind.allCases.compactMap { kind in pinned.first { $0.kind == kind } }
    }

    func conflicts(of id: String) -> Set<String> { conflicts[id] ?? [] }

    /// What a statement's ids did.
    struct Pinning: Sendable, Hashable {
        /// Newly pinned.
        var pinned: [DeviceKey] = []
        /// Changed, or pinned to another device: the match is ambiguous and somebody should look.
        var conflicting: [DeviceKey] = []
    }

    /// Pins ids that this key never stated before; an id that changed or belongs elsewhere is a conflict
    /// and is never pinned. A later statement without the contradiction ends the conflict.
    mutating func pin(_ keys: [DeviceKey], to id: String) -> Pinning {
        var outcome = Pinning()
        guard var device = devices[id] else { return outcome }
        for key in keys where key.kind.isPinned {
            if let known = device.pinnedIDs[key.kind.rawValue] {
                if known != key.value { outcome.conflicting.append(key) }
            } else if let other = byPin[key], other != id {
                outcome.conflicting.append(key)
            } else {
                device.pinnedIDs[key.kind.rawValue] = key.value
                outcome.pinned.append(key)
            }
        }
        let kinds = Set(outcome.conflicting.map(\.kind.rawValue))
        conflicts[id] = kinds.isEmpty ? nil : kinds
        if !outcome.pinned.isEmpty { keep(device) }
        return outcome
    }

    /// Counts a statement; false when this value was seen (a copy of the key is about).
    mutating func count(_ counter: Int64, of id: String) -> Bool {
        guard var device = devices[id] else { return false }
        var window = counters[id] ?? CounterWindow(highest: device.counter)
        guard window.accept(counter) else { return false }
        counters[id] = window
        device.counter = window.highest
        keep(device)
        return true
    }

    /// - Returns: the device as it is now, nil when there is none.
    mutating func revoke(_ id: String) -> StoredDevice? {
        guard var device = devices[id] else { return nil }
        device.isRevoked = true
        keep(device)
        return device
    }

    private static func pinnedKeys(_ device: StoredDevice) -> [DeviceKey] {
        device.pinnedIDs.compactMap { kind, value in
            DeviceKey.Kind(rawValue: kind).flatMap { DeviceKey($0, value) }
        }
    }
}
