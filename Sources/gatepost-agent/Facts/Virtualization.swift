import JSON

/// `virtualization`: `none`, `container`, or what kind of virtual machine this is, as far as it shows.
struct VirtualizationFact: FactProbe {
    /// Of the firmware's vendor and product, lower case.
    static let vendors = [
        ("qemu", "kvm"), ("kvm", "kvm"), ("vmware", "vmware"), ("virtualbox", "virtualbox"),
        ("innotek", "virtualbox"),
        ("xen", "xen"), ("amazon ec2", "amazon"), ("google compute engine", "google"),
        ("parallels", "parallels"),
        ("virtual machine", "microsoft"), ("bochs", "bochs"),
    ]
    let names = ["virtualization"]

    func read(_ machine: Machine) -> [Fact] {
        let root = machine.root
        for path in ["/run/systemd/container", "/.dockerenv", "/run/.containerenv"] where root.exists(path) {
            return [Fact(name: "virtualization", value: "container", source: path)]
        }
        let folder = "/sys/class/dmi/id/"
        let firmware = ["sys_vendor", "product_name"].compactMap { root.line(folder + $0)?.lowercased() }
        for (mark, word) in Self.vendors where firmware.contains(where: { $0.contains(mark) }) {
            return [Fact(name: "virtualization", value: .string(word), source: folder + "product_name")]
        }
        guard let flags = Self.processorFlags(root) else { return [] }
        if flags.contains("hypervisor") {
            return [Fact(name: "virtualization", value: "vm", source: "/proc/cpuinfo")]
        }
        // Firmware that says nothing could be anything.
        guard !firmware.isEmpty else { return [] }
        return [Fact(name: "virtualization", value: "none", source: "/proc/cpuinfo")]
    }

    /// nil on processors that do not list them so.
    private static func processorFlags(_ root: HostRoot) -> Set<Substring>? {
        guard let text = root.text("/proc/cpuinfo"),
            let line = text.split(separator: "\n").first(where: { $0.hasPrefix("flags") }),
            let colon = line.firstIndex(of: ":")
        else { return nil }
        return Set(line[line.index(after: colon)...].split(separator: " "))
    }
}
