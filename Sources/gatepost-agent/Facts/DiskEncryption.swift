import JSON

/// `disk_encryption`: whether the device under the root file system is a LUKS volume (handshake.md 6).
///
/// The walk goes from the mounted device down its `slaves`; file systems without a block device (overlay,
/// ZFS, network) are unknown, not unencrypted.
struct DiskEncryptionFact: FactProbe {
    static let depthMax = 8
    let names = ["disk_encryption"]

    func read(_ root: HostRoot, nowSeconds: Int64) -> [(String, JSONValue)] {
        guard let number = Self.rootDevice(root.text("/proc/self/mountinfo") ?? "") else { return [] }
        let folder = "/sys/dev/block/\(number)"
        guard root.exists(folder) else { return [] }
        guard let isEncrypted = Self.isEncrypted(root, folder, depth: 0) else { return [] }
        return [("disk_encryption", .bool(isEncrypted))]
    }

    /// MAJ:MIN of the last mount on "/" (proc_pid_mountinfo(5)); major 0 is no block device.
    static func rootDevice(_ mounts: String) -> String? {
        var found: String?
        for line in mounts.split(separator: "\n") {
            let parts = line.split(separator: " ")
            guard parts.count > 5, parts[4] == "/" else { continue }
            let number = parts[2].split(separator: ":").map { UInt32($0) }
            found =
                number.count == 2 && number[0] != nil && number[0] != 0 && number[1] != nil
                ? String(parts[2]) : nil
        }
        return found
    }

    /// nil when something in between cannot be read.
    private static func isEncrypted(_ root: HostRoot, _ folder: String, depth: Int) -> Bool? {
        guard depth < depthMax else { return nil }
        if let kind = root.line(folder + "/dm/uuid"),
            kind.hasPrefix("CRYPT-LUKS1-") || kind.hasPrefix("CRYPT-LUKS2-")
        {
            return true
        }
        guard root.exists(folder + "/slaves") else {
            // A partition has no slaves folder; neither does a device whose folder could not be read.
            return root.exists(folder + "/partition") ? false : nil
        }
        guard let slaves = root.names(folder + "/slaves") else { return nil }
        guard !slaves.isEmpty else { return false }
        // Every part must be encrypted: one plain leg of a mirror holds all the data.
        var result = true
        for slave in slaves {
            guard let part = isEncrypted(root, folder + "/slaves/" + slave, depth: depth + 1) else {
                return nil
            }
            result = result && part
        }
        return result
    }
}
