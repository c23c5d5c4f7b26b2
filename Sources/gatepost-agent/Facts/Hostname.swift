import JSON

/// `hostname`: lower case, without a dot at the end.
struct HostnameFact: FactProbe {
    let names = ["hostname"]

    func read(_ machine: Machine) -> [Fact] {
        let root = machine.root
        let kernel = "/proc/sys/kernel/hostname"
        let source = root.line(kernel) == nil ? "/etc/hostname" : kernel
        guard var name = root.line(source)?.lowercased() else { return [] }
        if name.hasSuffix(".") { name.removeLast() }
        return name.isEmpty || name.utf8.count > 253
            ? [] : [Fact(name: "hostname", value: .string(name), source: source)]
    }
}
