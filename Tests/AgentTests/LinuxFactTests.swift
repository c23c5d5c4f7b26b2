import Glibc
import JSON
import Testing

@testable import gatepost_agent

/// One machine and what is to be found out about one fact of it.
struct FactCase: Sendable {
    var name: String
    var probe: any FactProbe
    var files: [String: String]
    var commands: [String: CommandOutcome] = [:]
    var fact: String
    var expected: JSONValue?

    init(
        _ name: String, _ probe: any FactProbe, _ fact: String, _ expected: JSONValue?,
        _ files: [String: String],
        commands: [String: CommandOutcome] = [:]
    ) {
        self.name = name
        self.probe = probe
        self.fact = fact
        self.expected = expected
        self.files = files
        self.commands = commands
    }

    func found() throws -> JSONValue? {
        let folder = try TemporaryFolder()
        for (path, text) in files {
            if text.hasPrefix("-> ") {
                try folder.put(path + ".x", "")
                symlink(String(text.dropFirst(3)), folder.path + path)
            } else {
                try folder.put(path, text)
            }
        }
        return FactCollector(
            root: HostRoot(folder.path), probes: [probe], commands: ScriptedCommands(commands)
        )
        .facts(nowSeconds: 1_900_000_000).facts[fact]
    }
}

func says(_ text: String, status: Int32 = 0) -> CommandOutcome {
    .ended(status: status, output: Array(text.utf8))
}

@Suite("Facts of Linux machines: present, absent, malformed")
struct LinuxFactTests {
    static let luks = "CRYPT-LUKS2-0123-home"
    static let rootOnPlain = "22 1 8:1 / / rw - ext4 /dev/sda1 rw\n"
    static let btrfs = "22 1 0:27 /root / rw - btrfs /dev/mapper/luks-a rw\n"

    static let disks: [FactCase] = [
        FactCase(
            "a home of its own that is plain", DiskEncryptionFact(), "home_encryption", false,
            [
                "/proc/self/mountinfo":
                    "22 1 253:0 / / rw - ext4 /dev/mapper/r rw\n23 22 8:2 / /home rw - ext4 /dev/sda2 rw\n",
                "/sys/dev/block/253:0/dm/uuid": luks, "/sys/dev/block/8:2/partition": "2",
            ]),
        FactCase(
            "home lies on the encrypted root", DiskEncryptionFact(), "home_encryption", true,
            [
                "/proc/self/mountinfo": "22 1 253:0 / / rw - ext4 /dev/mapper/r rw\n",
                "/sys/dev/block/253:0/dm/uuid": luks,
            ]),
        FactCase(
            "one person's home from elsewhere", DiskEncryptionFact(), "home_encryption", nil,
            [
                "/proc/self/mountinfo":
                    "22 1 253:0 / / rw - ext4 /dev/mapper/r rw\n23 22 0:50 / /home/a rw - nfs server:/a rw\n",
                "/sys/dev/block/253:0/dm/uuid": luks,
            ]),
        FactCase(
            "btrfs on LUKS", DiskEncryptionFact(), "disk_encryption", true,
            [
                "/proc/self/mountinfo": btrfs, "/sys/fs/btrfs/u/devices/dm-0/dm/name": "luks-a",
                "/sys/fs/btrfs/u/devices/dm-0/dm/uuid": luks,
            ]),
        FactCase(
            "btrfs with a second, plain device", DiskEncryptionFact(), "disk_encryption", false,
            [
                "/proc/self/mountinfo": btrfs, "/sys/fs/btrfs/u/devices/dm-0/dm/name": "luks-a",
                "/sys/fs/btrfs/u/devices/dm-0/dm/uuid": luks, "/sys/fs/btrfs/u/devices/sdb1/partition": "1",
            ]),
        FactCase(
            "another btrfs pool says nothing", DiskEncryptionFact(), "disk_encryption", nil,
            ["/proc/self/mountinfo": btrfs, "/sys/fs/btrfs/u/devices/dm-0/dm/name": "luks-b"]),
        FactCase(
            "ZFS", DiskEncryptionFact(), "disk_encryption", nil,
            ["/proc/self/mountinfo": "22 1 0:30 / / rw - zfs rpool/root rw\n"]),
        FactCase(
            "a mount line that is cut off", DiskEncryptionFact(), "disk_encryption", nil,
            ["/proc/self/mountinfo": "22 1 8:1 / / rw -", "/sys/dev/block/8:1/partition": "1"]),
        FactCase(
            "the same whole", DiskEncryptionFact(), "disk_encryption", false,
            ["/proc/self/mountinfo": rootOnPlain, "/sys/dev/block/8:1/partition": "1"]),
        FactCase(
            "no swap", DiskEncryptionFact(), "swap_encryption", true, ["/proc/swaps": "Filename\tType\n"]),
        FactCase(
            "compressed memory", DiskEncryptionFact(), "swap_encryption", true,
            [
                "/proc/swaps": "Filename Type\n/dev/zram0 partition 1 0 1\n",
                "/sys/class/block/zram0/size": "1",
            ]),
        FactCase(
            "compressed memory that spills to a disk", DiskEncryptionFact(), "swap_encryption", nil,
            [
                "/proc/swaps": "Filename Type\n/dev/zram0 partition 1 0 1\n",
                "/sys/class/block/zram0/backing_dev": "/dev/sda3",
            ]),
        FactCase(
            "plain swap", DiskEncryptionFact(), "swap_encryption", false,
            [
                "/proc/swaps": "Filename Type\n/dev/sda3 partition 1 0 1\n",
                "/sys/class/block/sda3/partition": "3",
            ]),
        FactCase(
            "swap with a key made at random", DiskEncryptionFact(), "swap_encryption", true,
            [
                "/proc/swaps": "Filename Type\n/dev/dm-1 partition 1 0 1\n",
                "/sys/class/block/dm-1/dm/uuid": "CRYPT-PLAIN-swap",
            ]),
        FactCase(
            "a swap file", DiskEncryptionFact(), "swap_encryption", nil,
            ["/proc/swaps": "Filename Type\n/swapfile file 1 0 1\n"]),
        FactCase("no table of swaps", DiskEncryptionFact(), "swap_encryption", nil, [:]),
    ]

    static let protection: [FactCase] = [
        FactCase(
            "Falcon in full and in reduced mode", FalconFact(), "falcon_reduced", true,
            ["/opt/CrowdStrike/falconctl": ""],
            commands: ["/opt/CrowdStrike/falconctl -g --rfm-state": says("rfm-state=true.\n")]),
        FactCase(
            "Falcon not set up", FalconFact(), "falcon_cid", nil, ["/opt/CrowdStrike/falconctl": ""],
            commands: ["/opt/CrowdStrike/falconctl -g --cid": says("cid is not set.\n")]),
        FactCase(
            "Falcon's customer", FalconFact(), "falcon_cid", "79391c24113773b01d8181c38c3e111a",
            ["/opt/CrowdStrike/falconctl": ""],
            commands: [
                "/opt/CrowdStrike/falconctl -g --cid": says("cid=\"79391C24113773b01d8181c38c3e111a\".\n")
            ]),
        FactCase(
            "Falcon's agent id", DeviceIDsFact(path: "/none"), "device_ids",
            ["falcon_aid": "44e3b7d20b434a2bb2815d9808fa3a8b"], ["/opt/CrowdStrike/falconctl": ""],
            commands: [
                "/opt/CrowdStrike/falconctl -g --aid": says("aid=\"44e3b7d20b434a2bb2815d9808fa3a8b\".\n")
            ]),
        FactCase(
            "an id of another length", DeviceIDsFact(path: "/none"), "device_ids", nil,
            ["/opt/CrowdStrike/falconctl": ""],
            commands: ["/opt/CrowdStrike/falconctl -g --aid": says("aid=\"44e3b7d2\".\n")]),
        FactCase(
            "an answer with a failure's status", DeviceIDsFact(path: "/none"), "device_ids", nil,
            ["/opt/CrowdStrike/falconctl": ""],
            commands: [
                "/opt/CrowdStrike/falconctl -g --aid": says(
                    "aid=\"44e3b7d20b434a2bb2815d9808fa3a8b\".", status: 1)
            ]),
        FactCase(
            "Entra's id by the identity broker", DeviceIDsFact(path: "/none"), "device_ids",
            ["entra_device_id": "0b0c0d0e-0000-4000-8000-000000000001"], ["/usr/bin/dsreg": ""],
            commands: ["/usr/bin/dsreg --status": says(" Device ID : 0B0C0D0E-0000-4000-8000-000000000001\n")]
        ),
        FactCase(
            "registered with two tenants", DeviceIDsFact(path: "/none"), "device_ids", nil,
            ["/usr/bin/dsreg": ""],
            commands: [
                "/usr/bin/dsreg --status": says(
                    "DeviceId: 0b0c0d0e-0000-4000-8000-000000000001\n"
                        + "DeviceId: 0b0c0d0e-0000-4000-8000-000000000002\n"
                )
            ]),
        FactCase(
            "a tenant id is no device id", DeviceIDsFact(path: "/none"), "device_ids", nil,
            ["/usr/bin/dsreg": ""],
            commands: ["/usr/bin/dsreg --status": says("Tenant ID: 0b0c0d0e-0000-4000-8000-000000000001\n")]),
        FactCase(
            "Defender, settings as objects", DefenderFact(), "defender_real_time", false,
            ["/usr/bin/mdatp": ""],
            commands: [
                "/usr/bin/mdatp health --output json": says(
                    #"{"healthy": true, "realTimeProtectionEnabled": {"value": false, "source": "managed"}}"#)
            ]),
        FactCase(
            "Defender, settings as they are", DefenderFact(), "defender_real_time", true,
            ["/usr/bin/mdatp": ""],
            commands: ["/usr/bin/mdatp health --output json": says(#"{"realTimeProtectionEnabled": true}"#)]),
        FactCase(
            "Defender, a word for a flag", DefenderFact(), "defender_real_time", nil, ["/usr/bin/mdatp": ""],
            commands: ["/usr/bin/mdatp health --output json": says(#"{"realTimeProtectionEnabled": "true"}"#)]
        ),
        FactCase(
            "Defender's organisation", DefenderFact(), "defender_org_id",
            "0b0c0d0e-0000-4000-8000-000000000009",
            ["/usr/bin/mdatp": ""],
            commands: [
                "/usr/bin/mdatp health --output json": says(
                    #"{"orgId": "0B0C0D0E-0000-4000-8000-000000000009"}"#)
            ]),
        FactCase(
            "Defender, not JSON", DefenderFact(), "defender_healthy", nil, ["/usr/bin/mdatp": ""],
            commands: ["/usr/bin/mdatp health --output json": says("healthy: true\n")]),
        FactCase(
            "units that are installed", ProtectionUnitsFact(), "edr_units",
            ["crowdstrike=active", "defender=failed"],
            [:],
            commands: [
                ProtectionUnitsFact.command.description: says(
                    units(["falcon-sensor": "active", "mdatp": "failed"]))
            ]),
        FactCase(
            "an answer about fewer units than asked", ProtectionUnitsFact(), "edr_units", nil, [:],
            commands: [
                ProtectionUnitsFact.command.description: says(
                    "Id=mdatp.service\nLoadState=loaded\nActiveState=active\n")
            ]),
        FactCase("no service manager", ProtectionUnitsFact(), "edr_units", nil, [:]),
    ]

    static func units(_ loaded: [String: String]) -> String {
        ProtectionUnitsFact.units.map { entry in
            let state = loaded[String(entry.unit.dropLast(".service".count))]
            return
                "Id=\(entry.unit)\nLoadState=\(state == nil ? "not-found" : "loaded")\n"
                + "ActiveState=\(state ?? "inactive")\n"
        }.joined(separator: "\n")
    }

    static let updates: [FactCase] = [
        FactCase(
            "a reboot is due", UpdatesFact(), "reboot_required", true,
            ["/run/reboot-required": "*** System restart ***"]),
        FactCase(
            "no reboot is due, and somebody would say so", UpdatesFact(), "reboot_required", false,
            ["/etc/kernel/postinst.d/unattended-upgrades": "#!/bin/sh"]),
        FactCase("nobody would say so", UpdatesFact(), "reboot_required", nil, [:]),
        FactCase(
            "dnf says yes", UpdatesFact(), "reboot_required", true, ["/usr/bin/needs-restarting": ""],
            commands: ["/usr/bin/needs-restarting -r": says("Core libraries\n", status: 1)]),
        FactCase(
            "dnf fails", UpdatesFact(), "reboot_required", nil, ["/usr/bin/needs-restarting": ""],
            commands: ["/usr/bin/needs-restarting -r": says("", status: 2)]),
        FactCase(
            "apt counts", PendingUpdatesFact(), "pending_security_updates", 1, apt,
            commands: [
                PendingUpdatesFact.apt.description: says(
                    "Inst a [1] (2 Debian:12.8/stable [amd64])\n"
                        + "Inst b [1] (2 Debian-Security:12/stable-security [amd64])\n"
                        + "Inst new (1 Debian:12.8/stable [amd64])\n"
                        + "2 upgraded, 1 newly installed, 0 to remove and 0 not upgraded.\n"
                )
            ]),
        FactCase(
            "apt's own sum is another", PendingUpdatesFact(), "pending_updates", nil, apt,
            commands: [
                PendingUpdatesFact.apt.description: says(
                    "0 upgraded, 0 newly installed.\nInst a [1] (2 Debian:12/x [amd64])\n")
            ]),
        FactCase(
            "apt fails", PendingUpdatesFact(), "pending_updates", nil, apt,
            commands: [PendingUpdatesFact.apt.description: says("", status: 100)]),
        FactCase(
            "dnf counts", PendingUpdatesFact(), "pending_updates", 2, ["/usr/bin/dnf": ""],
            commands: [
                "/usr/bin/dnf -q -C check-update": says(
                    "\nkernel.x86_64  6.8-1  updates\nbash.x86_64 5.2-2 updates\n"
                        + "Obsoleting Packages\nx.y 1 z\n",
                    status: 100)
            ]),
        FactCase(
            "dnf has nothing", PendingUpdatesFact(), "pending_updates", 0, ["/usr/bin/dnf": ""],
            commands: ["/usr/bin/dnf -q -C check-update": says("")]),
        FactCase(
            "dnf fails", PendingUpdatesFact(), "pending_updates", nil, ["/usr/bin/dnf": ""],
            commands: ["/usr/bin/dnf -q -C check-update": says("", status: 1)]),
    ]
    static let apt = ["/var/lib/dpkg/status": "", "/usr/bin/apt-get": ""]

    static let machines: [FactCase] = [
        FactCase("a container", VirtualizationFact(), "virtualization", "container", ["/.dockerenv": ""]),
        FactCase(
            "KVM", VirtualizationFact(), "virtualization", "kvm", ["/sys/class/dmi/id/sys_vendor": "QEMU\n"]),
        FactCase(
            "a virtual machine of a kind that hides", VirtualizationFact(), "virtualization", "vm",
            ["/sys/class/dmi/id/sys_vendor": "ACME", "/proc/cpuinfo": "flags\t\t: fpu hypervisor lm\n"]),
        FactCase(
            "hardware", VirtualizationFact(), "virtualization", "none",
            ["/sys/class/dmi/id/sys_vendor": "LENOVO", "/proc/cpuinfo": "flags\t\t: fpu lm\n"]),
        FactCase(
            "no firmware table", VirtualizationFact(), "virtualization", nil,
            ["/proc/cpuinfo": "flags : fpu\n"]),
        FactCase(
            "an ARM processor", VirtualizationFact(), "virtualization", nil,
            ["/sys/class/dmi/id/sys_vendor": "ACME", "/proc/cpuinfo": "Features: fp\n"]),
        FactCase("TPM 2", SecurityChipFact(), "tpm", 2, ["/sys/class/tpm/tpm0/tpm_version_major": "2\n"]),
        FactCase(
            "TPM of a strange version", SecurityChipFact(), "tpm", nil,
            ["/sys/class/tpm/tpm0/tpm_version_major": "-2\n"]),
        FactCase(
            "a host name with capitals and a dot", HostnameFact(), "hostname", "box.corp",
            ["/etc/hostname": "Box.corp.\n"]),
        FactCase(
            "a host name that is too long", HostnameFact(), "hostname", nil,
            ["/etc/hostname": String(repeating: "a", count: 254)]),
        FactCase(
            "a machine id that is not set yet", MachineIDFact(key: [1]), "machine_id", nil,
            ["/etc/machine-id": "uninitialized\n"]),
    ]

    @Test("what is there is said, what is not clear is not") func table() throws {
        for entry in Self.disks + Self.protection + Self.updates + Self.machines {
            #expect(try entry.found() == entry.expected, "\(entry.name)")
        }
    }

    @Test("the machine id is never sent as it is, and differs for every gateway") func machineID() throws {
        let id = String(repeating: "ab", count: 16)
        let one = try FactCase("", MachineIDFact(key: [1]), "machine_id", nil, ["/etc/machine-id": id])
            .found()
        let other = try FactCase("", MachineIDFact(key: [2]), "machine_id", nil, ["/etc/machine-id": id])
            .found()
        #expect(one?.string?.contains("ab") != nil && one != other && one != .string(id))
        #expect(one?.string?.contains(id.prefix(8)) == false)
    }
}
