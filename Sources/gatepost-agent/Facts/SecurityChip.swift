import JSON

/// `tpm`: the major version of the security chip, 0 when there is none.
struct SecurityChipFact: FactProbe {
    let names = ["tpm"]

    func read(_ root: HostRoot, nowSeconds: Int64) -> [(String, JSONValue)] {
        if let version = root.line("/sys/class/tpm/tpm0/tpm_version_major"), let major = Int64(version) {
            return [("tpm", .integer(major))]
        }
        // Without the class folder the kernel was built without drivers, or this is a container: unknown.
        guard root.exists("/sys/class/tpm"), root.names("/sys/class/tpm")?.isEmpty == true else { return [] }
        return [("tpm", 0)]
    }
}
