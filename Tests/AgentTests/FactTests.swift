import Glibc
import JSON
import Testing

@testable import gatepost_agent

@Suite("Facts of a Linux machine: absent is unknown, never false")
struct FactTests {
    static func read(_ probe: any FactProbe, _ build: (TemporaryFolder) throws -> Void) throws -> JSONObject {
        let folder = try TemporaryFolder()
        try build(folder)
        return FactCollector(root: HostRoot(folder.path), probes: [probe]).collect(
            nowSeconds: 1_900_000_000, patience: 60_000)
    }

    @Test("an empty machine says nothing but its platform") func empty() throws {
        let folder = try TemporaryFolder()
        let all = FactProbes.all(deviceIDsPath: "/etc/ids.json", machineIDKey: [1])
        let facts = FactCollector(root: HostRoot(folder.path), probes: all).collect(
            nowSeconds: 1, patience: 60_000)
        #expect(facts.names == ["platform"])
    }

    @Test("secure boot: the fifth byte, off without EFI, unknown for another length") func secureBoot() throws
    {
        let table: [([UInt8]?, JSONValue?)] = [
            ([6, 0, 0, 0, 1], true), ([6, 0, 0, 0, 0], false), ([6, 0, 0, 0], nil),
            ([6, 0, 0, 0, 1, 1], nil),
        ]
        for (bytes, expected) in table {
            let facts = try Self.read(SecureBootFact()) {
                try $0.put(SecureBootFact.variable, bytes: bytes ?? [])
            }
            #expect(facts["secure_boot"] == expected)
        }
        #expect(try Self.read(SecureBootFact()) { try $0.put("/sys/firmware/x", "") }["secure_boot"] == false)
    }

    static let mounts = "22 1 254:0 / / rw - ext4 /dev/mapper/root rw\n"

    @Test("disk encryption: LUKS anywhere below the root device, all legs of a mirror, else unencrypted")
    func disk() throws {
        let block = "/sys/dev/block/254:0"
        let encrypted = try Self.read(DiskEncryptionFact()) {
            try $0.put("/proc/self/mountinfo", Self.mounts)
            try $0.put(block + "/dm/uuid", "LVM-abc")
            try $0.put(block + "/slaves/dm-1/dm/uuid", "CRYPT-LUKS2-abc-root")
        }
        #expect(encrypted["disk_encryption"] == true)
        let half = try Self.read(DiskEncryptionFact()) {
            try $0.put("/proc/self/mountinfo", Self.mounts)
            try $0.put(block + "/slaves/dm-1/dm/uuid", "CRYPT-LUKS2-abc-root")
            try $0.put(block + "/slaves/sda1/partition", "1")
        }
        #expect(half["disk_encryption"] == false)
        let overlay = try Self.read(DiskEncryptionFact()) {
            try $0.put("/proc/self/mountinfo", "22 1 0:44 / / rw - overlay overlay rw\n")
        }
        #expect(overlay["disk_encryption"] == nil)
    }

    @Test("firewall: ufw on, off, and unknown without either") func firewall() throws {
        for (text, expected) in [("ENABLED=yes", true), ("ENABLED=no", false), ("", nil)]
            as [(String, JSONValue?)]
        {
            let facts = try Self.read(FirewallFact()) { try $0.put("/etc/ufw/ufw.conf", text + "\n") }
            #expect(facts["firewall"] == expected)
        }
    }

    @Test(
        "device ids: the administrator's file first, each with its source, ignored when others can write it")
    func deviceIDs() throws {
        let json = #"{"intune_device_id": "i", "serial": "FILE", "unknown": "x"}"#
        let facts = try Self.read(DeviceIDsFact(path: "/etc/ids.json")) {
            try $0.put("/etc/ids.json", json)
            try $0.put("/sys/class/dmi/id/product_serial", "DMI\n")
            try $0.put("/sys/class/dmi/id/product_uuid", "AB\n")
        }
        #expect(facts["device_ids"] == ["intune_device_id": "i", "serial": "FILE", "hardware_uuid": "ab"])
        #expect(facts["device_id_sources"]?["hardware_uuid"] == "dmi")
        let loose = try Self.read(DeviceIDsFact(path: "/etc/ids.json")) {
            try $0.put("/etc/ids.json", json)
            chmod($0.path + "/etc/ids.json", 0o666)
        }
        #expect(loose["device_ids"] == nil)
    }

    @Test("only permanent addresses of hardware adapters are named") func adapters() throws {
        let facts = try Self.read(NetworkAdaptersFact()) {
            for (name, assigned) in [("eth0", "0"), ("wlan0", "3")] {
                let folder = "/sys/class/net/\(name)"
                try $0.put(folder + "/type", "1\n")
                try $0.put(folder + "/addr_assign_type", assigned)
                try $0.put(folder + "/address", "7c:21:4a:0b:1c:2d\n")
                try $0.put(folder + "/device/vendor", "x")
            }
        }
        #expect(facts["mac_addresses"] == ["7c214a0b1c2d"])
    }

    @Test("the peer's user is the kernel's word, for IPv4 and mapped sockets") func peer() throws {
        let head = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid\n"
        let row = "   0: 0100007F:9C40 0100007F:4440 01 00000000:00000000 00:00000000 00000000  1000 0 1\n"
        let folder = try TemporaryFolder()
        let peer = Peer(address: 127 << 24 | 1, port: 40_000, localPort: 17_472)
        #expect(PeerUser.find(peer, root: HostRoot(folder.path)) == nil)
        try folder.put("/proc/net/tcp", head + row)
        #expect(PeerUser.find(peer, root: HostRoot(folder.path)) == 1000)
        var other = peer
        other.port = 40_001
        #expect(PeerUser.find(other, root: HostRoot(folder.path)) == nil)
        let mapped = row.replacing("0100007F", with: "0000000000000000FFFF00000100007F").replacing(
            "1000 0", with: "33 0")
        try folder.put("/proc/net/tcp", head)
        try folder.put("/proc/net/tcp6", head + mapped)
        #expect(PeerUser.find(peer, root: HostRoot(folder.path)) == 33)
    }
}
