import JSON

/// `mac_addresses`: permanent addresses of physical Ethernet and WLAN adapters, 12 hex digits each.
struct NetworkAdaptersFact: FactProbe {
    static let adaptersMax = 16
    let names = ["mac_addresses"]

    func read(_ machine: Machine) -> [Fact] {
        let root = machine.root
        guard let adapters = root.names("/sys/class/net") else { return [] }
        var found: [String] = []
        for adapter in adapters.prefix(256) {
            let folder = "/sys/class/net/" + adapter
            // type 1 is Ethernet; only hardware has a device; 0 means that the address is burnt in, not
            // randomised.
            guard root.line(folder + "/type") == "1", root.exists(folder + "/device"),
                root.line(folder + "/addr_assign_type") == "0", let address = root.line(folder + "/address")
            else { continue }
            let digits = address.lowercased().filter { $0 != ":" }
            // Bit 1 of the first octet: made up by software, so it names no hardware.
            guard digits.utf8.count == 12, digits != "000000000000",
                let first = UInt8(digits.prefix(2), radix: 16),
                first & 0b11 == 0
            else { continue }
            found.append(digits)
        }
        guard !found.isEmpty else { return [] }
        let addresses = found.sorted().prefix(Self.adaptersMax).map { JSONValue.string($0) }
        return [Fact(name: "mac_addresses", value: .array(addresses), source: "/sys/class/net")]
    }
}
