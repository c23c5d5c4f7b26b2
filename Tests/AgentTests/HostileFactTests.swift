import JSON
import Testing

@testable import gatepost_agent

@Suite("Facts of machines where somebody has put something else in their place")
struct HostileFactTests {
    /// Where each fact is read from first.
    static let places: [(path: String, probe: any FactProbe)] = [
        ("/etc/os-release", OperatingSystemFact()), ("/proc/sys/kernel/osrelease", OperatingSystemFact()),
        ("/proc/self/mountinfo", DiskEncryptionFact()), ("/proc/swaps", DiskEncryptionFact()),
        ("/etc/ufw/ufw.conf", FirewallFact()), ("/run/firewalld.pid", FirewallFact()),
        (SecureBootFact.variable, SecureBootFact()), ("/etc/dconf/db/local", ScreenLockFact()),
        ("/run/systemd/sessions/1", ScreenLockFact()), ("/proc/1/comm", EndpointProtectionFact()),
        ("/proc/sys/kernel/hostname", HostnameFact()), ("/etc/machine-id", MachineIDFact(key: [1])),
        ("/sys/class/net/eth0/address", NetworkAdaptersFact()),
        ("/sys/class/tpm/tpm0/tpm_version_major", SecurityChipFact()),
        ("/etc/ids.json", DeviceIDsFact(path: "/etc/ids.json")),
        ("/sys/class/dmi/id/product_serial", DeviceIDsFact(path: "/none")),
        ("/sys/class/dmi/id/sys_vendor", VirtualizationFact()),
        ("/etc/rules.json", CustomChecksFact(rulesPath: "/etc/rules.json")),
    ]

    @Test(
        "whatever lies where a fact is read from, no probe waits, fails or says something good",
        arguments: HostileFile.allCases)
    func hostile(_ kind: HostileFile) throws {
        let harmless: Set<String> = ["platform"]
        for (path, probe) in Self.places {
            let folder = try TemporaryFolder()
            try kind.put(path, in: folder)
            let facts = FactCollector(root: HostRoot(folder.path), probes: [probe]).facts(
                nowSeconds: 1_900_000_000
            ).facts
            let said = facts.members.filter {
                !harmless.contains($0.name) && $0.value != false && $0.value != []
            }
            #expect(said.isEmpty, "\(path) \(kind): \(facts.names)")
        }
    }
}
