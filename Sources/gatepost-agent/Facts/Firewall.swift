import JSON

/// `firewall`: ufw or firewalld, as far as files tell without privileges.
///
/// A machine with neither is unknown: nftables rules may stand there that only root can list.
struct FirewallFact: FactProbe {
    let names = ["firewall"]

    func read(_ root: HostRoot, nowSeconds: Int64) -> [(String, JSONValue)] {
        if let text = root.text("/etc/ufw/ufw.conf"),
            let enabled = OperatingSystemFact.assignments(text)["ENABLED"]?.lowercased()
        {
            if enabled == "yes" { return [("firewall", true)] }
            if !root.exists("/run/firewalld"), !root.exists("/etc/nftables.conf") {
                return [("firewall", false)]
            }
        }
        // firewalld writes its process id while it runs.
        if let number = root.line("/run/firewalld.pid"), UInt32(number) != nil, root.exists("/proc/\(number)")
        {
            return [("firewall", true)]
        }
        return []
    }
}
