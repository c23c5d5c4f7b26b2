import JSON

/// `tpm`: the major version of the security chip, 0 when there is none.
struct SecurityChipFact: FactProbe {
    let names = ["tpm"]

    func read(_ machine: Machine) -> [Fact] {
        let root = machine.root
        let path = "/sys/class/tpm/tpm0/tpm_version_major"
        if let version = root.line(path), let major = Int64(version), (1...9).contains(major) {
            return [Fact(name: "tpm", value: .integer(major), source: path)]
        }
        // Without the class folder the kernel was built without drivers, or this is a container: unknown.
        guard root.exists("/sys/class/tpm"), root.names("/sys/class/tpm")?.isEmpty == true else { return [] }
        return [Fact(name: "tpm", value: 0, source: "/sys/class/tpm")]
    }
}
