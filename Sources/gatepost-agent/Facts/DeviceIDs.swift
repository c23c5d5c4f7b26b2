import Glibc
import JSON

/// `device_ids`: how providers know this device, each with where it was read (`device_id_sources`).
///
/// An administrator's file wins over what the machine says. It counts only while nobody but its owner can
/// change it, and its owner must be root or the person the agent runs as.
struct DeviceIDsFact: FactProbe {
    static let defaultPath = "/etc/gatepost-agent/device-ids.json"
    static let members = [
        "intune_device_id", "entra_device_id", "falcon_aid", "tanium_computer_id", "serial", "hardware_uuid",
    ]
    let path: String
    let patienceMilliseconds: Int64 = 3_000
    let names = ["device_ids", "device_id_sources"]

    func read(_ machine: Machine) -> [Fact] {
        let root = machine.root
        var ids = JSONObject()
        var sources = JSONObject()
        func note(_ member: String, _ value: String, _ source: String) {
            guard ids[member] == nil, !value.isEmpty, value.utf8.count <= 128 else { return }
            ids[member] = .string(value)
            sources[member] = .string(source)
        }
        if isTrusted(root), let bytes = root.bytes(path, bytesMax: 64 << 10),
            let file = try? JSONValue(parsing: bytes, limits: .token)
        {
            for member in Self.members {
                if let value = file[member]?.string { note(member, value, "administrator-file") }
            }
        }
        // Only root can read these; absent in containers and most virtual machines.
        if let serial = root.line("/sys/class/dmi/id/product_serial") { note("serial", serial, "dmi") }
        if let uuid = root.line("/sys/class/dmi/id/product_uuid") {
            note("hardware_uuid", uuid.lowercased(), "dmi")
        }
        if let id = FalconFact.agentID(machine) { note("falcon_aid", id, "falconctl") }
        if let id = DirectoryRegistration.deviceID(machine) { note("entra_device_id", id, "dsreg") }
        guard !ids.isEmpty else { return [] }
        let source = "by id, in device_id_sources"
        return [
            Fact(name: "device_ids", value: .object(ids), source: source),
            Fact(name: "device_id_sources", value: .object(sources), source: source),
        ]
    }

    private func isTrusted(_ root: HostRoot) -> Bool {
        guard let owner = root.owner(path), owner == 0 || owner == geteuid() else { return false }
        return !root.isWritableByOthers(path)
    }
}
