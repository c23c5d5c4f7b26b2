import JSON

/// `disk_encryption`, `home_encryption` and `swap_encryption`: whether the devices under the root file
/// system, under /home and under the swap space are LUKS volumes (handshake.md 6).
///
/// The walk goes from the mounted device down its `slaves`, for btrfs over all of its devices; other file
/// systems without a block device (overlay, ZFS, network) are unknown, not unencrypted. So is encryption
/// inside of a file system (fscrypt).
struct DiskEncryptionFact: FactProbe {
    static let depthMax = 8
    /// As the first process sees them: ours may be kept from /home by its unit. Others than root see only
    /// their own.
    static let mountPaths = ["/proc/1/mountinfo", "/proc/self/mountinfo"]
    let names = ["disk_encryption", "home_encryption", "swap_encryption"]

    func read(_ machine: Machine) -> [Fact] {
        let root = machine.root
        var facts: [Fact] = []
        func note(_ name: String, _ value: Bool?, _ source: String) {
            guard let value else { return }
            facts.append(Fact(name: name, value: .bool(value), source: source))
        }
        let path = Self.mountPaths.first { root.text($0) != nil } ?? ""
        let mounts = Mount.all(root.text(path) ?? "")
        // The last mount on a place hides the earlier ones.
        let system = mounts.last { $0.place == "/" }
        note("disk_encryption", system.flatMap { Self.isEncrypted($0, root) }, path)
        let home = mounts.last { $0.place == "/home" } ?? system
        // Homes below /home may be mounts of their own; each of them counts.
        let single = mounts.filter { $0.place.hasPrefix("/home/") }
        let homes = (home.map { [$0] } ?? []) + single
        let answers = homes.map { Self.isEncrypted($0, root) }
        if !answers.isEmpty { note("home_encryption", Self.all(answers), path) }
        note("swap_encryption", Self.swap(root), "/proc/swaps")
        return facts
    }

    /// One line of proc_pid_mountinfo(5).
    struct Mount: Sendable, Hashable {
        /// MAJ:MIN; nil when it is no block device's (major 0).
        var number: String?
        var place: Substring
        var kind: Substring
        var source: Substring

        static func all(_ text: String) -> [Mount] {
            text.split(separator: "\n").compactMap { line in
                let parts = line.split(separator: " ")
                guard parts.count > 5, let dash = parts.firstIndex(of: "-"), dash >= 6, parts.count > dash + 2
                else { return nil }
                let number = parts[2].split(separator: ":").map { UInt32($0) }
                let isBlock = number.count == 2 && number[0] != nil && number[0] != 0 && number[1] != nil
                return Mount(
                    number: isBlock ? String(parts[2]) : nil, place: parts[4], kind: parts[dash + 1],
                    source: parts[dash + 2])
            }
        }
    }

    private static func isEncrypted(_ mount: Mount, _ root: HostRoot) -> Bool? {
        if let number = mount.number {
            let folder = "/sys/dev/block/\(number)"
            return root.exists(folder) ? isEncrypted(root, folder, depth: 0) : nil
        }
        return mount.kind == "btrfs" ? poolIsEncrypted(mount.source, root) : nil
    }

    /// Every device of the btrfs pool that the mounted device belongs to.
    private static func poolIsEncrypted(_ source: Substring, _ root: HostRoot) -> Bool? {
        guard let name = source.split(separator: "/").last, source.hasPrefix("/dev/") else { return nil }
        let isMapped = source.hasPrefix("/dev/mapper/")
        for pool in (root.names("/sys/fs/btrfs") ?? []).prefix(64) {
            let folder = "/sys/fs/btrfs/\(pool)/devices"
            guard let devices = root.names(folder), (1...64).contains(devices.count) else { continue }
            let isIts = devices.contains { device in
                isMapped
                    ? root.line("\(folder)/\(device)/dm/name").map { $0 == name } ?? false : device == name
            }
            guard isIts else { continue }
            return all(devices.map { isEncrypted(root, "\(folder)/\($0)", depth: 0) })
        }
        return nil
    }

    /// No swap, compressed memory and LUKS (also with a key made at random at every start) leave nothing to
    /// read on a disk.
    private static func swap(_ root: HostRoot) -> Bool? {
        guard let text = root.text("/proc/swaps", bytesMax: 64 << 10), text.hasPrefix("Filename") else {
            return nil
        }
        var answers: [Bool?] = []
        for line in text.split(separator: "\n").dropFirst() {
            let parts = line.split(whereSeparator: { $0 == " " || $0 == "\t" })
            guard parts.count > 1, parts[1] == "partition", let name = parts[0].split(separator: "/").last
            else {
                // A file: as safe as the file system that it lies on, which we do not look up.
                answers.append(nil)
                continue
            }
            let folder = "/sys/class/block/\(name)"
            let isCompressed =
                name.hasPrefix("zram") && root.line(folder + "/backing_dev").map { $0 == "none" } ?? true
            answers.append(
                isCompressed ? true : root.exists(folder) ? isEncrypted(root, folder, depth: 0) : nil)
        }
        return all(answers)
    }

    /// One plain part holds data in the clear; one unknown part makes the rest worth nothing.
    private static func all(_ answers: [Bool?]) -> Bool? {
        if answers.contains(false) { return false }
        return answers.contains(nil) ? nil : true
    }

    /// nil when something in between cannot be read.
    private static func isEncrypted(_ root: HostRoot, _ folder: String, depth: Int) -> Bool? {
        guard depth < depthMax else { return nil }
        if let kind = root.line(folder + "/dm/uuid"),
            kind.hasPrefix("CRYPT-LUKS1-") || kind.hasPrefix("CRYPT-LUKS2-") || kind.hasPrefix("CRYPT-PLAIN-")
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
        return all(slaves.prefix(64).map { isEncrypted(root, folder + "/slaves/" + $0, depth: depth + 1) })
    }
}
