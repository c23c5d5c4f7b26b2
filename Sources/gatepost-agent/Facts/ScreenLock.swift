import JSON

/// `screen_lock`: whether the screens of everybody who sits at this machine lock by themselves, and
/// `screen_lock_seconds`: after how long at most.
///
/// By what the administrator enforces where there is such a thing, else by each person's own setting of the
/// desktop that they run. Other desktops (Xfce, sway and the like keep it in programs of the person's choice), and
/// homes that we may not read, are unknown. logind's LockedHint is no answer: it says that a screen is locked
/// now, not that it will be.
struct ScreenLockFact: FactProbe {
    static let sessionsMax = 64
    let names = ["screen_lock", "screen_lock_seconds"]

    /// Of one person; nil members are unknown.
    struct Lock: Hashable {
        var isOn: Bool?
        /// From the last touch; nil also where it never locks.
        var seconds: Int64?
    }

    func read(_ machine: Machine) -> [Fact] {
        let root = machine.root
        let gnome = DconfLock(.gnome, root)
        guard let sessions = Self.sessions(root) else { return Self.facts(gnome.enforced, "dconf, locked") }
        if sessions.isEmpty { return Self.facts(gnome.enforced, "dconf, locked") }
        var answers: [Lock] = []
        for session in sessions {
            switch session.desktop {
            case .gnome: answers.append(gnome.lock(home: session.home))
            case .cinnamon: answers.append(DconfLock(.cinnamon, root).lock(home: session.home))
            case .mate: answers.append(DconfLock(.mate, root).lock(home: session.home))
            case .plasma: answers.append(PlasmaLock.lock(root, home: session.home))
            case .other: answers.append(Lock())
            }
        }
        if answers.contains(where: { $0.isOn == false }) {
            return [Fact(name: "screen_lock", value: false, source: "settings of the desktop")]
        }
        guard answers.allSatisfy({ $0.isOn == true }) else { return [] }
        let seconds = answers.map(\.seconds)
        let longest = seconds.contains(nil) ? nil : seconds.compactMap { $0 }.max()
        return Self.facts(Lock(isOn: true, seconds: longest), "settings of the desktop")
    }

    private static func facts(_ lock: Lock, _ source: String) -> [Fact] {
        guard let isOn = lock.isOn else { return [] }
        var facts = [Fact(name: "screen_lock", value: .bool(isOn), source: source)]
        if isOn, let seconds = lock.seconds {
            facts.append(Fact(name: "screen_lock_seconds", value: .integer(seconds), source: source))
        }
        return facts
    }

    private struct Session {
        enum Desktop { case gnome, cinnamon, mate, plasma, other }
        var desktop: Desktop
        /// nil: not known to the machine's own list of users.
        var home: String?
    }

    /// Graphical sessions of people by logind's files; nil when they cannot be read.
    private static func sessions(_ root: HostRoot) -> [Session]? {
        let folder = "/run/systemd/sessions"
        guard let names = root.names(folder) else { return nil }
        var found: [Session] = []
        for name in names.prefix(sessionsMax) where !name.hasSuffix(".ref") {
            guard let text = root.text("\(folder)/\(name)", bytesMax: 16 << 10) else { continue }
            let values = OperatingSystemFact.assignments(text)
            guard values["CLASS"] == "user", ["x11", "wayland", "mir"].contains(values["TYPE"]),
                values["STATE"] != "closing", let user = values["UID"]
            else { continue }
            let desktop = values["DESKTOP"]?.lowercased() ?? ""
            found.append(Session(desktop: desktops[desktop] ?? .other, home: home(root, user)))
        }
        return found
    }

    /// By the names that display managers give to sessions (the files in /usr/share/xsessions).
    private static let desktops: [String: Session.Desktop] = [
        "gnome": .gnome, "ubuntu": .gnome, "gnome-classic": .gnome, "gnome-xorg": .gnome,
        "ubuntu-xorg": .gnome, "kde": .plasma, "plasma": .plasma, "plasmax11": .plasma,
        "cinnamon": .cinnamon, "cinnamon2d": .cinnamon, "cinnamon-wayland": .cinnamon,
        "x-cinnamon": .cinnamon, "mate": .mate,
    ]

    private static func home(_ root: HostRoot, _ user: String) -> String? {
        for line in (root.text("/etc/passwd", bytesMax: 1 << 20) ?? "").split(separator: "\n") {
            let columns = line.split(separator: ":", omittingEmptySubsequences: false)
            if columns.count == 7, columns[2] == user, columns[5].hasPrefix("/") { return String(columns[5]) }
        }
        return nil
    }
}

/// Plasma's kscreenlockerrc: on, after five minutes, unless somebody changed it.
private enum PlasmaLock {
    static func lock(_ root: HostRoot, home: String?) -> ScreenLockFact.Lock {
        guard let home else { return .init() }
        let own = home + "/.config/kscreenlockerrc"
        let system = "/etc/xdg/kscreenlockerrc"
        var values: [String: String] = [:]
        for path in [system, own] {
            guard let text = root.text(path, bytesMax: 64 << 10) else {
                guard root.presence(path) == .absent else { return .init() }
                continue
            }
            for (name, entry) in daemon(text) where values["!" + name] == nil {
                values[name] = entry.value
                // Marked as not to be changed by later files.
                if entry.isFixed { values["!" + name] = "" }
            }
        }
        if let isOn = values["Autolock"], isOn != "true" { return .init(isOn: isOn == "false" ? false : nil) }
        guard let minutes = Int64(values["Timeout"] ?? "5"), (1...10_000).contains(minutes),
            let grace = Int64(values["LockGrace"] ?? "5"), (0...86_400).contains(grace)
        else { return .init(isOn: true) }
        return .init(isOn: true, seconds: minutes * 60 + grace)
    }

    private static func daemon(_ text: String) -> [String: (value: String, isFixed: Bool)] {
        var values: [String: (value: String, isFixed: Bool)] = [:]
        var isInside = false
        for line in text.split(separator: "\n") {
            if line.hasPrefix("[") { isInside = line.hasPrefix("[Daemon]") }
            let pair = line.split(separator: "=", maxSplits: 1)
            guard isInside, pair.count == 2 else { continue }
            let isFixed = pair[0].hasSuffix("[$i]")
            let name = isFixed ? pair[0].dropLast(4) : pair[0]
            values[String(name)] = (String(pair[1]), isFixed)
        }
        return values
    }
}
