import JSON

/// `hostname`: lower case, without a dot at the end.
struct HostnameFact: FactProbe {
    let names = ["hostname"]

    func read(_ root: HostRoot, nowSeconds: Int64) -> [(String, JSONValue)] {
        guard var name = (root.line("/proc/sys/kernel/hostname") ?? root.line("/etc/hostname"))?.lowercased()
        else {
            return []
        }
        if name.hasSuffix(".") { name.removeLast() }
        return name.isEmpty || name.utf8.count > 253 ? [] : [("hostname", .string(name))]
    }
}
