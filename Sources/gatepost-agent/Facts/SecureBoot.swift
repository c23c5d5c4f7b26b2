import JSON

/// `secure_boot` from the EFI variable: four bytes of attributes, then 1 for on. Without EFI it is off.
struct SecureBootFact: FactProbe {
    static let variable = "/sys/firmware/efi/efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c"
    let names = ["secure_boot"]

    func read(_ machine: Machine) -> [Fact] {
        let root = machine.root
        // A container without /sys says nothing about the machine.
        guard root.exists("/sys/firmware") else { return [] }
        guard root.exists("/sys/firmware/efi") else {
            return [Fact(name: "secure_boot", value: false, source: "/sys/firmware (no efi)")]
        }
        guard let bytes = root.bytes(Self.variable, bytesMax: 64), bytes.count == 5 else { return [] }
        return [Fact(name: "secure_boot", value: .bool(bytes[4] == 1), source: Self.variable)]
    }
}
