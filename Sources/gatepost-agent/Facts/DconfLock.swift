/// When screens lock by a desktop's settings in dconf: locks by the administrator first, then the person's own, then
/// the administrator's default, then the schema's where no vendor changed it.
struct DconfLock {
    /// Whose settings, and how they are written.
    struct Desktop: Sendable {
        var screensaver: String
        var session: String
        /// Files of the schemas that say what holds where nobody set anything.
        var schemaFiles: [String]
        /// Of a number in settings: seconds in GNOME and Cinnamon, minutes in MATE.
        var unitSeconds: Int64
        /// Whether numbers are signed; one of the other kind is as good as not set, as for the desktop itself.
        var isSigned = false
        /// Whether there is a switch of its own for going blank when nobody is there; without that nothing locks.
        var hasActivation = true
        /// What the schema says, where that has been the same for ever; nil: it is read.
        var standards: [String: DconfDatabase.Setting]?

        static let gnome = Desktop(
            screensaver: "/org/gnome/desktop/screensaver/", session: "/org/gnome/desktop/session/",
            schemaFiles: ["org.gnome.desktop.screensaver", "org.gnome.desktop.session"], unitSeconds: 1,
            hasActivation: false,
            standards: ["lock-enabled": .flag(true), "idle-delay": .number(300), "lock-delay": .number(0)])
        static let cinnamon = Desktop(
            screensaver: "/org/cinnamon/desktop/screensaver/", session: "/org/cinnamon/desktop/session/",
            schemaFiles: ["org.cinnamon.desktop.screensaver", "org.cinnamon.desktop.session"], unitSeconds: 1)
        static let mate = Desktop(
            screensaver: "/org/mate/screensaver/", session: "/org/mate/desktop/session/",
            schemaFiles: ["org.mate.screensaver", "org.mate.session"], unitSeconds: 60, isSigned: true)
    }

    static let schemas = "/usr/share/glib-2.0/schemas"
    private static let names = ["lock-enabled", "lock-delay", "idle-delay", "idle-activation-enabled"]

    private let desktop: Desktop
    private let root: HostRoot
    private let system: [DconfDatabase]
    private let isVendorDefault: Bool

    init(_ desktop: Desktop, _ root: HostRoot) {
        self.desktop = desktop
        self.root = root
        let profile = root.text("/etc/dconf/profile/user", bytesMax: 16 << 10) ?? "system-db:local"
        system = profile.split(separator: "\n").compactMap { line -> DconfDatabase? in
            let plain = line.filter { $0 != " " }
            guard plain.hasPrefix("system-db:") else { return nil }
            let name = plain.dropFirst("system-db:".count)
            guard !name.isEmpty, !name.contains("/"), name != ".." else { return nil }
            return root.bytes("/etc/dconf/db/\(name)", bytesMax: DconfDatabase.bytesMax).flatMap(
                DconfDatabase.init)
        }
        let overrides = (root.names(Self.schemas) ?? []).filter { $0.hasSuffix(".gschema.override") }
        isVendorDefault = overrides.allSatisfy { name in
            guard let text = root.text(Self.schemas + "/" + name, bytesMax: 1 << 20) else { return false }
            return !Self.names.contains {
                (desktop.hasActivation || $0 != "idle-activation-enabled") && text.contains($0)
            }
        }
    }

    /// What holds whoever sits there.
    var enforced: ScreenLockFact.Lock {
        guard case .flag(let isOn)? = locked(desktop.screensaver + "lock-enabled") else { return .init() }
        guard isOn else { return .init(isOn: false) }
        let idle = seconds(locked(desktop.session + "idle-delay"))
        // Never idle is never locked.
        if idle == 0 { return .init(isOn: false) }
        guard let idle, let delay = seconds(locked(desktop.screensaver + "lock-delay")) else {
            return .init(isOn: true)
        }
        return .init(isOn: true, seconds: idle + delay)
    }

    func lock(home: String?) -> ScreenLockFact.Lock {
        var own: DconfDatabase?
        var isReadable = false
        if let home {
            let path = home + "/.config/dconf/user"
            let bytes = root.bytes(path, bytesMax: DconfDatabase.bytesMax)
            own = bytes.flatMap(DconfDatabase.init)
            isReadable = own != nil || root.presence(path) == .absent
        }
        func value(_ folder: String, _ name: String, isFlag: Bool = false) -> DconfDatabase.Setting? {
            let path = folder + name
            func usable(_ found: DconfDatabase.Setting?) -> DconfDatabase.Setting? {
                guard let found else { return nil }
                if case .flag = found { return isFlag ? found : nil }
                return !isFlag && seconds(found) != nil ? found : nil
            }
            if let value = usable(locked(path)) { return value }
            guard isReadable else { return nil }
            if let value = usable(own?.setting(path)) { return value }
            if let value = system.lazy.compactMap({ usable($0.setting(path)) }).first { return value }
            return isVendorDefault ? standard(name) : nil
        }
        guard case .flag(let isOn)? = value(desktop.screensaver, "lock-enabled", isFlag: true) else {
            return .init()
        }
        guard isOn else { return .init(isOn: false) }
        if desktop.hasActivation {
            switch value(desktop.screensaver, "idle-activation-enabled", isFlag: true) {
            case .flag(true): break
            case .flag(false): return .init(isOn: false)
            case .number, .signed, nil: return .init()
            }
        }
        guard let idle = seconds(value(desktop.session, "idle-delay")) else { return .init() }
        guard idle > 0 else { return .init(isOn: false) }
        guard let delay = seconds(value(desktop.screensaver, "lock-delay")) else { return .init(isOn: true) }
        return .init(isOn: true, seconds: idle + delay)
    }

    /// nil: of another kind than the desktop's own numbers, or below zero.
    private func seconds(_ setting: DconfDatabase.Setting?) -> Int64? {
        switch setting {
        case .number(let number) where !desktop.isSigned: Int64(number) * desktop.unitSeconds
        case .signed(let number) where desktop.isSigned && number >= 0: Int64(number) * desktop.unitSeconds
        case .number, .signed, .flag, nil: nil
        }
    }

    private func locked(_ path: String) -> DconfDatabase.Setting? {
        guard let database = system.first(where: { $0.isLocked(path) }) else { return nil }
        return database.setting(path) ?? system.lazy.compactMap { $0.setting(path) }.first
    }

    /// What the desktop's own schema says; nil where it is not installed or does not say it plainly.
    private func standard(_ name: String) -> DconfDatabase.Setting? {
        if let standards = desktop.standards {
            return root.exists("\(Self.schemas)/\(desktop.schemaFiles[0]).gschema.xml")
                ? standards[name] : nil
        }
        for file in desktop.schemaFiles {
            guard let text = root.text("\(Self.schemas)/\(file).gschema.xml", bytesMax: 1 << 20),
                let key = text.firstRange(of: "<key name=\"\(name)\"")
            else { continue }
            let rest = text[key.upperBound...]
            guard let end = rest.firstRange(of: "</key>"),
                let begin = rest[..<end.lowerBound].firstRange(of: "<default>"),
                let close = rest[begin.upperBound..<end.lowerBound].firstRange(of: "</default>")
            else { return nil }
            let words = rest[begin.upperBound..<close.lowerBound].split { $0 == " " || $0 == "\n" }
            guard let word = words.last, words.count <= 2 else { return nil }
            if word == "true" || word == "false" { return .flag(word == "true") }
            return desktop.isSigned
                ? Int32(word).map { .signed($0) } : UInt32(word).map { .number($0) }
        }
        return nil
    }
}
