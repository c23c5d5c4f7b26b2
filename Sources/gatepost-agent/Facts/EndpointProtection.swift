import JSON

/// `av_edr`: known protection software that is running from a program that only root can change.
struct EndpointProtectionFact: FactProbe {
    /// Process name (at most 15 characters, as the kernel keeps it) → the word in the fact.
    static let known = [
        "falcon-sensor": "crowdstrike", "wdavdaemon": "defender", "mdatp": "defender", "clamd": "clamav",
        "TaniumClient": "tanium", "sentinelone-age": "sentinelone", "s1-agent": "sentinelone",
    ]
    static let processesMax = 20_000
    let names = ["av_edr"]

    func read(_ root: HostRoot, nowSeconds: Int64) -> [(String, JSONValue)] {
        guard let entries = root.names("/proc") else { return [] }
        let processes = entries.filter { $0.utf8.allSatisfy { (0x30...0x39).contains($0) } }
        guard !processes.isEmpty, processes.count <= Self.processesMax else { return [] }
        var found: Set<String> = []
        for process in processes {
            guard let name = root.line("/proc/\(process)/comm"), let word = Self.known[name],
                // Anybody can call a process falcon-sensor; only root can own its program and run as root.
                root.owner("/proc/\(process)") == 0, root.owner("/proc/\(process)/exe") ?? 0 == 0,
                !root.isWritableByOthers("/proc/\(process)/exe")
            else { continue }
            found.insert(word)
        }
        return [("av_edr", .array(found.sorted().map { .string($0) }))]
    }
}
