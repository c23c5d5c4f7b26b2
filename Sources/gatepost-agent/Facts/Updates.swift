import JSON

/// `patch_age_days`: days since the package lists were last fetched successfully; `reboot_required`.
struct UpdatesFact: FactProbe {
    /// What apt's timer touches after a successful update, and dnf's own stamps.
    static let stamps = [
        "/var/lib/apt/periodic/update-success-stamp",
        "/var/cache/dnf/last_makecache", "/var/lib/dnf/last_makecache",
    ]
    static let rebootFile = "/run/reboot-required"
    /// Who makes that file; without one of them its absence says nothing.
    static let rebootNoters = [
        "/etc/kernel/postinst.d/unattended-upgrades", "/usr/share/update-notifier/notify-reboot-required",
    ]
    let names = ["patch_age_days", "reboot_required"]

    func read(_ machine: Machine) -> [Fact] {
        let root = machine.root
        var facts: [Fact] = []
        let changes = Self.stamps.compactMap { path -> (path: String, seconds: Int64)? in
            root.changedAtSeconds(path).flatMap { $0 <= machine.nowSeconds ? (path, $0) : nil }
        }
        if let newest = changes.max(by: { $0.seconds < $1.seconds }) {
            let days = (machine.nowSeconds - newest.seconds) / 86_400
            facts.append(Fact(name: "patch_age_days", value: .integer(days), source: newest.path))
        }
        if root.exists(Self.rebootFile) {
            facts.append(Fact(name: "reboot_required", value: true, source: Self.rebootFile))
        } else if Self.rebootNoters.contains(where: root.exists) {
            facts.append(Fact(name: "reboot_required", value: false, source: Self.rebootFile))
        } else if let required = Self.askedDNF(machine) {
            facts.append(
                Fact(
                    name: "reboot_required", value: .bool(required), source: Self.needsRestarting.description)
            )
        }
        return facts
    }

    static let needsRestarting = ProbeCommand(
        path: "/usr/bin/needs-restarting", arguments: ["-r"], timeoutMilliseconds: 5_000)

    /// dnf-utils: 0 for no, 1 for yes.
    private static func askedDNF(_ machine: Machine) -> Bool? {
        guard machine.root.exists(needsRestarting.path) else { return nil }
        switch machine.commands.run(needsRestarting) {
        case .ended(0, _): return false
        case .ended(1, let output): return output.isEmpty ? nil : true
        case .ended, .notRun, .timedOut, .tooMuchOutput, .failed: return nil
        }
    }
}

/// `pending_updates` and `pending_security_updates`, from the package lists that are there: nothing is
/// fetched, nothing is locked. Slow, so it is asked every quarter of an hour only.
struct PendingUpdatesFact: FactProbe {
    static let apt = ProbeCommand(
        path: "/usr/bin/apt-get",
        arguments: [
            "-s", "-q", "-o", "Debug::NoLocking=true", "-o", "APT::Get::Show-User-Simulation-Note=false",
            "dist-upgrade",
        ],
        timeoutMilliseconds: 20_000, outputBytesMax: 4 << 20)
    static func dnf(isSecurity: Bool) -> ProbeCommand {
        ProbeCommand(
            path: "/usr/bin/dnf",
            arguments: ["-q", "-C", "check-update"] + (isSecurity ? ["--security"] : []),
            timeoutMilliseconds: 20_000, outputBytesMax: 4 << 20)
    }
    let names = ["pending_updates", "pending_security_updates"]
    let lifeSeconds: Int64 = 900
    let patienceMilliseconds: Int64 = 3_000

    func read(_ machine: Machine) -> [Fact] {
        if machine.root.exists(PackageDatabase.statusPath), machine.root.exists(Self.apt.path) {
            guard let output = machine.commands.run(Self.apt).success, let counts = Self.apt(output) else {
                return []
            }
            return facts(counts.all, counts.security, "apt-get -s dist-upgrade")
        }
        guard machine.root.exists("/usr/bin/dnf"), let all = Self.dnf(machine, isSecurity: false) else {
            return []
        }
        return facts(all, Self.dnf(machine, isSecurity: true), "dnf -C check-update")
    }

    private func facts(_ all: Int, _ security: Int?, _ source: String) -> [Fact] {
        var facts = [Fact(name: "pending_updates", value: .integer(Int64(all)), source: source)]
        if let security {
            facts.append(
                Fact(name: "pending_security_updates", value: .integer(Int64(security)), source: source))
        }
        return facts
    }

    /// Counts lines such as `Inst openssl [3.0.14-1] (3.0.15-1 Debian-Security:12/stable-security [amd64])`;
    /// nil when the line that sums them up is missing or says something else.
    static func apt(_ output: [UInt8]) -> (all: Int, security: Int)? {
        guard let text = String(validating: output, as: UTF8.self) else { return nil }
        var (all, security) = (0, 0)
        var sum: Int?
        for line in text.split(separator: "\n") {
            if line.hasPrefix("Inst ") {
                // Only what is installed already counts: its old version stands in brackets before the new.
                guard let bracket = line.firstIndex(of: "["), let parenthesis = line.firstIndex(of: "("),
                    bracket < parenthesis
                else { continue }
                all += 1
                let origin = line[parenthesis...]
                if origin.contains("-Security:") || origin.contains("-security") { security += 1 }
            } else if line.contains(" upgraded, "), let first = line.split(separator: " ").first {
                sum = Int(first)
            }
        }
        return sum == all ? (all, security) : nil
    }

    private static func dnf(_ machine: Machine, isSecurity: Bool) -> Int? {
        switch machine.commands.run(dnf(isSecurity: isSecurity)) {
        case .ended(0, _): 0
        case .ended(100, let output): count(output)
        case .ended, .notRun, .timedOut, .tooMuchOutput, .failed: nil
        }
    }

    /// Lines of exactly three columns, the first with an architecture, up to the list of obsoleted packages.
    static func count(_ output: [UInt8]) -> Int? {
        guard let text = String(validating: output, as: UTF8.self) else { return nil }
        var count = 0
        for line in text.split(separator: "\n") {
            if line.hasPrefix("Obsoleting") { break }
            let columns = line.split(separator: " ")
            if columns.count == 3, columns[0].contains("."), !line.hasPrefix(" ") { count += 1 }
        }
        return count
    }
}
