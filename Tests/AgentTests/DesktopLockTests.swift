import JSON
import Testing

@testable import gatepost_agent

@Suite("Screens that lock by themselves, on Cinnamon and MATE")
struct DesktopLockTests {
    static let folder = "/usr/share/glib-2.0/schemas/"
    static let own = "/home/alice/.config/dconf/user"

    static func signed(_ value: Int) -> [UInt8] { DconfWriter.number(value) + [0, UInt8(ascii: "i")] }

    static func session(_ desktop: String) -> String {
        ScreenLockTests.gnome.replacing("DESKTOP=gnome", with: "DESKTOP=\(desktop)")
    }

    static func schema(_ keys: [(String, String)]) -> [UInt8] {
        let lines = keys.map { "<key name=\"\($0)\" type=\"x\">\n<default>\($1)</default>\n</key>" }
        return Array("<schemalist><schema>\n\(lines.joined(separator: "\n"))\n</schema></schemalist>".utf8)
    }

    /// As the packages of either desktop say it.
    static let cinnamon: [String: [UInt8]] = [
        folder + "org.cinnamon.desktop.screensaver.gschema.xml": schema([
            ("idle-activation-enabled", "true"), ("lock-enabled", "true"), ("lock-delay", "0"),
        ]), folder + "org.cinnamon.desktop.session.gschema.xml": schema([("idle-delay", "uint32 900")]),
    ]
    static let mate: [String: [UInt8]] = [
        folder + "org.mate.screensaver.gschema.xml": schema([
            ("idle-activation-enabled", "true"), ("lock-enabled", "true"), ("lock-delay", "0"),
        ]), folder + "org.mate.session.gschema.xml": schema([("idle-delay", "5")]),
    ]

    static func expect(
        _ desktop: String, _ files: [String: [UInt8]], _ lock: JSONValue?, _ seconds: JSONValue?,
        _ name: Comment
    ) throws {
        let facts = try ScreenLockTests.machine(session(desktop), files)
        #expect(facts["screen_lock"] == lock, name)
        #expect(facts["screen_lock_seconds"] == seconds, name)
    }

    @Test("nothing set is what the desktop's own schema says, and unknown without one") func standard() throws
    {
        for name in ["cinnamon", "X-Cinnamon"] { try Self.expect(name, Self.cinnamon, true, 900, "\(name)") }
        try Self.expect("mate", Self.mate, true, 300, "minutes")
        try Self.expect("cinnamon", [:], nil, nil, "no schema")
        try Self.expect("mate", Self.cinnamon, nil, nil, "another desktop's schema")
        let vendor = [Self.folder + "20_mint.gschema.override": Array("lock-delay=9".utf8)]
        try Self.expect("mate", Self.mate.merging(vendor) { $1 }, nil, nil, "a vendor changed it")
    }

    @Test("a person's own setting: off, never idle, never activated, and other times")
    func own() throws {
        let saver = "/org/cinnamon/desktop/screensaver/"
        let idle = "/org/cinnamon/desktop/session/idle-delay"
        let table: [([(String, [UInt8])], JSONValue?, JSONValue?)] = [
            ([(saver + "lock-enabled", DconfWriter.flag(false))], false, nil),
            ([(saver + "idle-activation-enabled", DconfWriter.flag(false))], false, nil),
            ([(idle, DconfWriter.count(0))], false, nil),
            ([(idle, DconfWriter.count(600)), (saver + "lock-delay", DconfWriter.count(30))], true, 630),
            // Of another type: the desktop itself reads its standard then.
            ([(idle, Self.signed(600))], true, 900),
            ([(saver + "lock-enabled", DconfWriter.count(0))], true, 900),
            // GNOME's settings are not Cinnamon's.
            ([(ScreenLockTests.enabled, DconfWriter.flag(false))], true, 900),
        ]
        for (values, lock, seconds) in table {
            let files = Self.cinnamon.merging([Self.own: DconfWriter.database(values)]) { $1 }
            try Self.expect("cinnamon", files, lock, seconds, "\(values.map(\.0))")
        }
    }

    @Test("MATE counts in minutes, in numbers with a sign") func minutes() throws {
        let saver = "/org/mate/screensaver/"
        let idle = "/org/mate/desktop/session/idle-delay"
        let table: [([(String, [UInt8])], JSONValue?, JSONValue?)] = [
            ([(idle, Self.signed(10)), (saver + "lock-delay", Self.signed(1))], true, 660),
            ([(idle, Self.signed(0))], false, nil), ([(idle, Self.signed(-1))], true, 300),
            ([(idle, DconfWriter.count(10))], true, 300),
            ([(saver + "lock-enabled", DconfWriter.flag(false))], false, nil),
            ([(saver + "idle-activation-enabled", DconfWriter.flag(false))], false, nil),
        ]
        for (values, lock, seconds) in table {
            let files = Self.mate.merging([Self.own: DconfWriter.database(values)]) { $1 }
            try Self.expect("mate", files, lock, seconds, "\(values.map(\.0))")
        }
    }

    @Test("what the administrator locks holds against a person's own setting") func enforced() throws {
        let enabled = "/org/mate/screensaver/lock-enabled"
        let system = DconfWriter.database([(enabled, DconfWriter.flag(true))], locks: [enabled])
        let own = DconfWriter.database([(enabled, DconfWriter.flag(false))])
        let files = Self.mate.merging(["/etc/dconf/db/local": system, Self.own: own]) { $1 }
        try Self.expect("mate", files, true, 300, "locked")
        let open = DconfWriter.database([(enabled, DconfWriter.flag(true))])
        try Self.expect(
            "mate", Self.mate.merging(["/etc/dconf/db/local": open, Self.own: own]) { $1 }, false, nil, "open"
        )
    }

    @Test("a schema that says it otherwise than plainly is no answer") func oddSchema() throws {
        let file = Self.folder + "org.mate.screensaver.gschema.xml"
        for text in [
            "", "<key name=\"lock-enabled\"", "<key name=\"lock-enabled\"></key><default>true</default>",
            "<key name=\"lock-enabled\"><default>perhaps</default></key>",
            "<key name=\"lock-enabled\"><default>@SOMETHING@ or other true</default></key>",
        ] {
            let files = Self.mate.merging([file: Array(text.utf8)]) { $1 }
            try Self.expect("mate", files, nil, nil, "\(text)")
        }
    }

    @Test("Xfce, sway and the like stay unknown", arguments: ["xfce", "sway", "lxqt", "i3", "", "Mate-x"])
    func others(_ desktop: String) throws {
        let files = Self.mate.merging(Self.cinnamon) { $1 }.merging([ScreenLockTests.schema: []]) { $1 }
        try Self.expect(desktop, files, nil, nil, "\(desktop)")
    }
}
