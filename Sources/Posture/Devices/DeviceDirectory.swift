import Access
import Store

/// The enrolled devices in memory: owners, pinned provider ids and statement counters.
///
/// A value inside one actor, so that looking and changing are one step; what changed is written through by
/// the owner.
struct DeviceDirectory: Sendable {
    private var devices: [ExactKey: StoredDevice] = [:]
    private var byPin: [DeviceKey: String] = [:]
    private var byThumbprint: [ExactKey: String] = [:]
    private var counters: [ExactKey: CounterWindow] = [:]
    /// Kinds of ids about which a device's last statement contradicted what is pinned.
    private var conflicts: [ExactKey: Set<String>] = [:]
    /// Hardware addresses of devices' current statements, as far as those were used since the start.
    private var addresses: [ExactKey: [DeviceKey]] = [:]
    private var byAddress: [DeviceKey: Set<ExactKey>] = [:]
    /// Only where devices are found by their owners: by what a provider may call those.
    private var byOwner: [DeviceKey: Set<ExactKey>] = [:]
    private let indexesOwners: Bool
    /// What sign-ins call devices that state no such id themselves, as far as that was used since the start.
    private var claims: [ExactKey: DeviceKey] = [:]
    private var byClaim: [DeviceKey: Set<ExactKey>] = [:]
    /// Of one device.
    private static let addressesMax = 32
    /// Revoked by somebody, not by a succession that may still fail.
    private var revokedForGood: Set<ExactKey> = []
    /// What named them, until another device has it.
    private var revokedPins: Set<DeviceKey> = []

    /// - Parameters:
    ///   - revokedPins: what named revoked devices before the start.
    ///   - indexesOwners: whether `devices(ofOwners:)` is asked.
    init(_ stored: [StoredDevice] = [], revokedPins: [RevokedPin] = [], indexesOwners: Bool = false) {
        self.indexesOwners = indexesOwners
        self.revokedPins = Set(
            revokedPins.compactMap { pin in
                DeviceKey.Kind(rawValue: pin.kind).flatMap { DeviceKey($0, pin.value) }
            })
        for device in stored {
            keep(device)
            if device.isRevoked { revokedForGood.insert(ExactKey(device.id)) }
        }
    }

    var all: [StoredDevice] { devices.values.sorted { $0.id < $1.id } }

    subscript(id: String) -> StoredDevice? { devices[ExactKey(id)] }

    mutating func keep(_ device: StoredDevice) {
        if let old = self[device.id] {
            unpin(old)
            leaveOwner(old)
        }
        devices[ExactKey(device.id)] = device
        for key in ownerKeys(device) where !device.isRevoked {
            byOwner[key, default: []].insert(ExactKey(device.id))
        }
        byThumbprint[ExactKey(device.keyThumbprint)] = device.id
        for key in Self.pinnedKeys(device) {
            byPin[key] = device.id
            revokedPins.remove(key)
        }
    }

    /// Takes back an enrolment that could not be stored.
    ///
    /// - Parameter old: as it was before its place was taken. It counts again, unless somebody revoked it
    ///   while the disk was refusing: that revocation was acknowledged by itself.
    mutating func forget(_ id: String, restoring old: StoredDevice?) {
        forget(id)
        if let old, !revokedForGood.contains(ExactKey(old.id)) { keep(old) }
    }

    private mutating func forget(_ id: String) {
        guard let device = devices.removeValue(forKey: ExactKey(id)) else { return }
        unpin(device)
        leaveOwner(device)
        // Another device may have had the key before this one.
        let others = devices.values.filter { ExactText.isEqual($0.keyThumbprint, device.keyThumbprint) }
        byThumbprint[ExactKey(device.keyThumbprint)] = others.map(\.id).min()
        conflicts[ExactKey(id)] = nil
        counters[ExactKey(id)] = nil
    }

    func isRevoked(_ id: String) -> Bool { self[id]?.isRevoked == true }

    /// The device that this id is pinned to.
    func owner(of key: DeviceKey) -> String? { byPin[key] }

    /// Whether it named a device that was revoked, and names none now.
    func wasRevoked(_ key: DeviceKey) -> Bool { revokedPins.contains(key) }

    /// The devices that these keys are pinned to, and those that state them as their hardware's addresses.
    func owners(of keys: [DeviceKey]) -> Set<ExactKey> {
        var owners: Set<ExactKey> = []
        for key in keys {
            if let device = byPin[key] { owners.insert(ExactKey(device)) }
            if key.kind == .mac, let devices = byAddress[key] { owners.formUnion(devices) }
            if key.kind == .entra, let devices = byClaim[key] { owners.formUnion(devices) }
        }
        return owners
    }

    /// What a sign-in calls the device.
    func claimed(of id: String) -> DeviceKey? { claims[ExactKey(id)] }

    /// Takes what a sign-in calls a device; nil: that it is over. Nothing of one that is not known or was revoked.
    mutating func note(claimed key: DeviceKey?, of id: String) {
        let device = ExactKey(id)
        let wanted = self[id]?.isRevoked == false ? key : nil
        guard wanted != claims[device] else { return }
        if let old = claims[device] {
            byClaim[old]?.remove(device)
            if byClaim[old]?.isEmpty == true { byClaim[old] = nil }
        }
        claims[device] = wanted
        if let wanted { byClaim[wanted, default: []].insert(device) }
    }

    /// The devices of people whom any of these keys names.
    func devices(ofOwners keys: Set<DeviceKey>) -> Set<ExactKey> {
        keys.reduce(into: []) { $0.formUnion(byOwner[$1] ?? []) }
    }

    private func ownerKeys(_ device: StoredDevice) -> [DeviceKey] {
        guard indexesOwners else { return [] }
        return [device.ownerEmail, device.ownerSubject].compactMap { $0.flatMap { DeviceKey(.owner, $0) } }
    }

    private mutating func leaveOwner(_ device: StoredDevice) {
        for key in ownerKeys(device) {
            byOwner[key]?.remove(ExactKey(device.id))
            if byOwner[key]?.isEmpty == true { byOwner[key] = nil }
        }
    }

    /// The addresses that the device stated.
    func addresses(of id: String) -> [DeviceKey] { addresses[ExactKey(id)] ?? [] }

    /// Takes what a device's statement says, beside what its others said: each of them may have an open session, and
    /// who is asked about for nothing is only decided once more. Nothing of a device that is not known or was revoked.
    mutating func note(addresses stated: [DeviceKey], of id: String) {
        let device = ExactKey(id)
        let known = addresses[device] ?? []
        let isKnown = self[id]?.isRevoked == false
        let wanted = isKnown ? (known + stated.filter { !known.contains($0) }).suffix(Self.addressesMax) : []
        guard !wanted.elementsEqual(known) else { return }
        for key in addresses[device] ?? [] {
            byAddress[key]?.remove(device)
            if byAddress[key]?.isEmpty == true { byAddress[key] = nil }
        }
        addresses[device] = wanted.isEmpty ? nil : Array(wanted)
        for key in wanted { byAddress[key, default: []].insert(device) }
    }

    /// The keys that name this device at a provider, strongest kind first, without those in conflict.
    func keys(of id: String) -> [DeviceKey] {
        guard let device = self[id] else { return [] }
        let pinned = Self.pinnedKeys(device)
        return DeviceKey.Kind.allCases.compactMap { kind in pinned.first { $0.kind == kind } }
    }

    func conflicts(of id: String) -> Set<String> { conflicts[ExactKey(id)] ?? [] }

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
        guard var device = self[id], !device.isRevoked else { return outcome }
        for key in keys where key.kind.isPinned {
            if let known = device.pinnedIDs[key.kind.rawValue] {
                if !ExactText.isEqual(known, key.value) { outcome.conflicting.append(key) }
            } else if let other = byPin[key], !ExactText.isEqual(other, id) {
                outcome.conflicting.append(key)
            } else {
                device.pinnedIDs[key.kind.rawValue] = key.value
                outcome.pinned.append(key)
            }
        }
        let kinds = Set(outcome.conflicting.map(\.kind.rawValue))
        conflicts[ExactKey(id)] = kinds.isEmpty ? nil : kinds
        if !outcome.pinned.isEmpty { keep(device) }
        return outcome
    }

    /// Counts a statement of a device, which may be seen for the first time.
    ///
    /// - Returns: the highest value so far; nil when this one was seen (a copy of the key is about).
    mutating func count(_ counter: Int64, of device: StoredDevice) -> Int64? {
        let id = ExactKey(device.id)
        var window = counters[id] ?? CounterWindow(highest: device.counter)
        guard window.accept(counter) else { return nil }
        counters[id] = window
        if devices[id] != nil { devices[id]?.counter = window.highest }
        return window.highest
    }

    /// Ends a device for good. Its ids are free again: the machine may be enrolled anew, by whomever it then
    /// belongs to.
    ///
    /// - Parameter successor: the device that takes its place.
    /// - Returns: the device as it is now, nil when there is none.
    mutating func revoke(_ id: String, supersededBy successor: String? = nil) -> StoredDevice? {
        guard var device = self[id] else { return nil }
        device.isRevoked = true
        if successor == nil { revokedPins.formUnion(Self.pinnedKeys(device)) }
        device.pinnedIDs = [:]
        device.supersededBy = device.supersededBy ?? successor
        if successor == nil { revokedForGood.insert(ExactKey(id)) }
        conflicts[ExactKey(id)] = nil
        keep(device)
        note(addresses: [], of: id)
        note(claimed: nil, of: id)
        return device
    }

    /// The device that has this key, revoked or not.
    func holder(ofThumbprint thumbprint: String) -> String? { byThumbprint[ExactKey(thumbprint)] }

    /// The id under which a management server's device is known today: its own, or the one that took its place, which
    /// may not have been seen yet. A device that enrolled here is known by its certificate alone.
    func latest(_ id: String) -> String {
        var id = id
        guard id.hasPrefix("statement:") else { return id }
        for _ in 0..<64 {
            guard let next = self[id]?.supersededBy else { return id }
            id = next
        }
        return id
    }

    /// The device that stands today for the one with this key: itself, or what took its place.
    func successor(ofThumbprint thumbprint: String) -> String? {
        guard var id = byThumbprint[ExactKey(thumbprint)] else { return nil }
        // Bounded, although a chain cannot have a ring: every link was made by a later enrolment.
        for _ in 0..<64 {
            guard let next = self[id]?.supersededBy else { return id }
            id = next
        }
        return nil
    }

    private mutating func unpin(_ device: StoredDevice) {
        for key in Self.pinnedKeys(device) {
            if let owner = byPin[key], ExactText.isEqual(owner, device.id) { byPin[key] = nil }
        }
    }

    private static func pinnedKeys(_ device: StoredDevice) -> [DeviceKey] {
        device.pinnedIDs.compactMap { kind, value in
            DeviceKey.Kind(rawValue: kind).flatMap { DeviceKey($0, value) }
        }
    }
}
