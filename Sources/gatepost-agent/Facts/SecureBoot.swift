import JSON

/// `secure_boot` from the EFI variable: four bytes of attributes, then 1 for on. Without EFI it is off.
struct SecureBootFact: FactProbe {
    static let variable = "/sys/firmware/efi/efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c"
    let names = ["secure_boot"]

    func read(_ root: HostRoot, nowSeconds: Int64) -> [(String, JSONValue)] {
        // A container without /sys says nothing about the machine.
        guard root.exists("/sys/firmware") else { return [] }
        guard root.exists("/sys/firmware/efi") else { return [("secure_boot", false)] }
        guard let bytes = root.bytes(Self.variable), bytes.count == 5 else { return [] }
        return [("secure_boot", .bool(bytes[4] == 1))]
    }
}
