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
    let names = ["device_ids", "device_id_sources"]

    func read(_ root: HostRoot, nowSeconds: Int64) -> [(String, JSONValue)] {
        var ids = JSONObject()
        var sources = JSONObject()
        func note(_ member: String, _ value: String, _ source: String) {
            guard ids[member] == nil, !value.isEmpty, value.utf8.count <= 128 else { return }
            ids[member] = .string(value)
            sources[member] = .string(source)
        }
        if isTrusted(root), let bytes = root.bytes(path),
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
        return ids.isEmpty ? [] : [("device_ids", .object(ids)), ("device_id_sources", .object(sources))]
    }

    private func isTrusted(_ root: HostRoot) -> Bool {
        guard let owner = root.owner(path), owner == 0 || owner == geteuid() else { return false }
        return !root.isWritableByOthers(path)
    }
}
