import JSON

/// `screen_lock`: the lock that the administrator enforces for everybody (dconf keyfiles with a lock on the
/// key).
///
/// A person's own setting can be changed a second later and is not read: unknown.
struct ScreenLockFact: FactProbe {
    static let folder = "/etc/dconf/db/local.d"
    let names = ["screen_lock"]

    func read(_ root: HostRoot, nowSeconds: Int64) -> [(String, JSONValue)] {
        let locks = (root.names(Self.folder + "/locks") ?? []).compactMap {
            root.text(Self.folder + "/locks/" + $0)
        }
        let key = "/org/gnome/desktop/screensaver/lock-enabled"
        guard locks.contains(where: { $0.split(separator: "\n").contains { $0 == key } }) else { return [] }
        var value: Bool?
        for name in root.names(Self.folder) ?? [] where name != "locks" {
            guard let text = root.text(Self.folder + "/" + name) else { continue }
            value = Self.setting(text) ?? value
        }
        return value.map { [("screen_lock", .bool($0))] } ?? []
    }

    private static func setting(_ text: String) -> Bool? {
        var inSection = false
        for line in text.split(separator: "\n") {
            let plain = line.filter { $0 != " " }
            if plain.hasPrefix("[") { inSection = plain == "[org/gnome/desktop/screensaver]" }
            if inSection, plain == "lock-enabled=true" { return true }
            if inSection, plain == "lock-enabled=false" { return false }
        }
        return nil
    }
}
