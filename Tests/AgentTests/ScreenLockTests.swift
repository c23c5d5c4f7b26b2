import Glibc
import JSON
import Testing

@testable import gatepost_agent

/// Writes dconf databases as dconf does: one root table with named items, and one of locks.
enum DconfWriter {
    static func number(_ value: Int) -> [UInt8] { (0..<4).map { UInt8(value >> (8 * $0) & 0xff) } }
    static func flag(_ value: Bool) -> [UInt8] { [value ? 1 : 0, 0, UInt8(ascii: "b")] }
    static func count(_ value: Int) -> [UInt8] { number(value) + [0, UInt8(ascii: "u")] }

    private struct Item {
        var name: String
        var parent: Int?
        var kind: Character
        var value: [UInt8]
    }

    /// A folder item and a value item for each setting, and a table of locks.
    static func database(_ values: [(String, [UInt8])], locks: [String] = []) -> [UInt8] {
        var items: [Item] = []
        for (path, value) in values {
            let cut = path.lastIndex(of: "/").map { path.index(after: $0) } ?? path.startIndex
            items.append(Item(name: String(path[..<cut]), parent: nil, kind: "L", value: []))
            items.append(Item(name: String(path[cut...]), parent: items.count - 1, kind: "v", value: value))
        }
        let names = locks.map { Item(name: $0, parent: nil, kind: "v", value: []) }
        if !locks.isEmpty {
            items.append(
                Item(name: ".locks", parent: nil, kind: "H", value: table(names, at: 0, inner: 0).bytes))
        }
        let inner = 8 + 24 * locks.count
        var result = table(items, at: 24, inner: inner)
        if !locks.isEmpty, let place = result.lastPlace {
            // What it points to is counted from the beginning of the file.
            let again = table(names, at: place, inner: 0).bytes
            result.bytes.replaceSubrange((place - 24)..<(place - 24 + again.count), with: again)
        }
        let end = 24 + 8 + items.count * 24
        return Array("GVariant".utf8) + number(0) + number(0) + number(24) + number(end) + result.bytes
    }

    private static func table(
        _ items: [Item], at start: Int, inner: Int
    ) -> (bytes: [UInt8], lastPlace: Int?) {
        let length = 8 + items.count * 24
        var head = number(0) + number(0)
        var rest: [UInt8] = []
        var last: Int?
        for item in items {
            let key = start + length + rest.count
            rest += item.name.utf8
            while (start + length + rest.count) % 8 != 0 { rest.append(0) }
            let value = start + length + rest.count
            last = value
            rest += item.value
            let size = item.kind == "H" ? inner : item.value.count
            head += number(0) + number(item.parent ?? 0xffff_ffff) + number(key)
            head += [UInt8(item.name.utf8.count), 0, item.kind.asciiValue ?? 0, 0]
            head += number(value) + number(value + size)
        }
        return (head + rest, last)
    }
}

@Suite("Screens that lock by themselves")
struct ScreenLockTests {
    static let enabled = "/org/gnome/desktop/screensaver/lock-enabled"
    static let idle = "/org/gnome/desktop/session/idle-delay"
    static let delay = "/org/gnome/desktop/screensaver/lock-delay"
    static let gnome = "UID=1000\nUSER=alice\nCLASS=user\nTYPE=wayland\nSTATE=active\nDESKTOP=gnome\n"
    static let plasma = gnome.replacing("DESKTOP=gnome", with: "DESKTOP=KDE")
    static let people = "alice:x:1000:1000::/home/alice:/bin/sh\n"
    static let schema = "/usr/share/glib-2.0/schemas/org.gnome.desktop.screensaver.gschema.xml"

    static func read(_ files: [String: [UInt8]]) throws -> JSONObject {
        try FactTests.read(ScreenLockFact()) { folder in
            for (path, bytes) in files { try folder.put(path, bytes: bytes) }
        }
    }

    static func machine(_ session: String, _ more: [String: [UInt8]]) throws -> JSONObject {
        try read(
            ["/run/systemd/sessions/2": Array(session.utf8), "/etc/passwd": Array(people.utf8)]
                .merging(more) { $1 })
    }

    @Test("GNOME: a person's own setting, and how long it takes") func own() throws {
        let on = DconfWriter.database([
            (Self.enabled, DconfWriter.flag(true)), (Self.idle, DconfWriter.count(600)),
            (Self.delay, DconfWriter.count(30)),
        ])
        let facts = try Self.machine(Self.gnome, ["/home/alice/.config/dconf/user": on])
        #expect(facts["screen_lock"] == true)
        #expect(facts["screen_lock_seconds"] == 630)
        let off = DconfWriter.database([(Self.enabled, DconfWriter.flag(false))])
        #expect(try Self.machine(Self.gnome, ["/home/alice/.config/dconf/user": off])["screen_lock"] == false)
        let never = DconfWriter.database([
            (Self.enabled, DconfWriter.flag(true)), (Self.idle, DconfWriter.count(0)),
        ])
        #expect(
            try Self.machine(Self.gnome, ["/home/alice/.config/dconf/user": never])["screen_lock"] == false)
    }

    @Test("GNOME: nothing set is the schema's default, unless a vendor changed it or there is no schema")
    func standard() throws {
        #expect(try Self.machine(Self.gnome, [:])["screen_lock"] == nil)
        let facts = try Self.machine(Self.gnome, [Self.schema: []])
        #expect(facts["screen_lock"] == true)
        #expect(facts["screen_lock_seconds"] == 300)
        let vendor = "/usr/share/glib-2.0/schemas/10_live.gschema.override"
        let text = Array("[org.gnome.desktop.screensaver]\nlock-enabled=false\n".utf8)
        #expect(try Self.machine(Self.gnome, [Self.schema: [], vendor: text])["screen_lock"] == nil)
    }

    @Test(
        "GNOME: what the administrator locks holds against a person's own setting, with and without a session"
    )
    func enforced() throws {
        let system = DconfWriter.database([(Self.enabled, DconfWriter.flag(true))], locks: [Self.enabled])
        let database = try #require(DconfDatabase(system))
        #expect(database.isLocked(Self.enabled))
        #expect(!database.isLocked(Self.idle))
        #expect(try Self.read(["/etc/dconf/db/local": system])["screen_lock"] == true)
        let own = DconfWriter.database([
            (Self.enabled, DconfWriter.flag(false)), (Self.idle, DconfWriter.count(60)),
        ])
        let more = ["/etc/dconf/db/local": system, "/home/alice/.config/dconf/user": own]
        #expect(try Self.machine(Self.gnome, more)["screen_lock"] == true)
        let unlocked = DconfWriter.database([(Self.enabled, DconfWriter.flag(true))])
        #expect(try Self.read(["/etc/dconf/db/local": unlocked])["screen_lock"] == nil)
    }

    @Test("Plasma: on unless switched off; what the administrator fixes holds") func kde() throws {
        let own = "/home/alice/.config/kscreenlockerrc"
        let table: [([String: String], JSONValue?, JSONValue?)] = [
            ([:], true, 305), ([own: "[Daemon]\nAutolock=false\n"], false, nil),
            ([own: "[Daemon]\nTimeout=10\nLockGrace=0\n"], true, 600),
            ([own: "[Other]\nAutolock=false\n"], true, 305),
            ([own: "[Daemon]\nAutolock=perhaps\n"], nil, nil),
            ([own: "[Daemon]\nTimeout=never\n"], true, nil),
            (
                [
                    own: "[Daemon]\nAutolock=false\n",
                    "/etc/xdg/kscreenlockerrc": "[Daemon]\nAutolock[$i]=true\n",
                ], true, 305
            ),
        ]
        for (files, lock, seconds) in table {
            let facts = try Self.machine(Self.plasma, files.mapValues { Array($0.utf8) })
            #expect(facts["screen_lock"] == lock, "\(files)")
            #expect(facts["screen_lock_seconds"] == seconds, "\(files)")
        }
    }

    @Test("everybody's screen counts: one that does not lock is a no, one that is not known makes it unknown")
    func several() throws {
        let bob = Self.gnome.replacing("1000", with: "1001")
        let people = Array((Self.people + "bob:x:1001:1001::/home/bob:/bin/sh\n").utf8)
        let files: [String: [UInt8]] = [
            "/run/systemd/sessions/2": Array(Self.plasma.utf8), "/run/systemd/sessions/3": Array(bob.utf8),
            "/etc/passwd": people,
        ]
        #expect(try Self.read(files)["screen_lock"] == nil)
        let off = DconfWriter.database([(Self.enabled, DconfWriter.flag(false))])
        #expect(
            try Self.read(files.merging(["/home/bob/.config/dconf/user": off]) { $1 })["screen_lock"] == false
        )
        // A text terminal and a greeter have no screen to lock.
        let terminal = Self.gnome.replacing("wayland", with: "tty")
        let greeter = Self.gnome.replacing("CLASS=user", with: "CLASS=greeter")
        let more = [
            "/run/systemd/sessions/3": Array(terminal.utf8), "/run/systemd/sessions/4": Array(greeter.utf8),
        ]
        #expect(try Self.read(files.merging(more) { $1 })["screen_lock"] == true)
    }

    @Test("another desktop, a person whom the machine does not list, and a damaged database are unknown")
    func unknown() throws {
        let sway = Self.gnome.replacing("DESKTOP=gnome", with: "DESKTOP=sway")
        #expect(try Self.machine(sway, [Self.schema: []])["screen_lock"] == nil)
        #expect(
            try Self.machine(Self.gnome.replacing("1000", with: "9"), [Self.schema: []])["screen_lock"] == nil
        )
        let whole = DconfWriter.database([
            (Self.enabled, DconfWriter.flag(true)), (Self.idle, DconfWriter.count(600)),
        ])
        for count in 0..<whole.count {
            let cut = Array(whole.prefix(count))
            #expect(DconfDatabase(cut)?.setting(Self.enabled) != .flag(false), "\(count)")
            var changed = whole
            changed[count] ^= 0xff
            _ = DconfDatabase(changed)?.setting(Self.enabled)
            _ = DconfDatabase(changed)?.isLocked(Self.idle)
        }
    }
}

@Suite("Protection software that runs")
struct EndpointProtectionTests {
    static func facts(_ build: (TemporaryFolder) throws -> Void) throws -> JSONObject {
        try FactTests.read(EndpointProtectionFact()) { folder in
            try folder.put("/proc/1/comm", "systemd\n")
            try build(folder)
        }
    }

    static func process(
        _ folder: TemporaryFolder, _ number: Int, _ name: String, program: String?, group: String = ""
    ) throws {
        try folder.put("/proc/\(number)/comm", name + "\n")
        try folder.put("/proc/\(number)/cgroup", "0::\(group)\n")
        if let program {
            symlink(program, folder.path + "/proc/\(number)/exe")
            if !program.hasSuffix(" (deleted)") { try folder.put(program, "x") }
        }
    }

    @Test("counts when its program lies where only root can write") func running() throws {
        let facts = try Self.facts {
            try Self.process($0, 50, "falcon-sensor", program: "/opt/CrowdStrike/falcon-sensor")
        }
        #expect(facts["av_edr"] == ["crowdstrike"])
        #expect(facts["edr_running"] == true)
    }

    @Test("nothing runs: an empty list and a no; no view of other processes: unknown") func absent() throws {
        #expect(try Self.facts { _ in }["edr_running"] == false)
        let hidden = try FactTests.read(EndpointProtectionFact()) { try $0.put("/proc/4711/comm", "sh\n") }
        #expect(hidden.isEmpty)
    }

    @Test("a process that only has the name does not count: replaced, or where others can write")
    func impostor() throws {
        let deleted = try Self.facts {
            try Self.process($0, 50, "falcon-sensor", program: "/opt/x (deleted)")
        }
        #expect(deleted["edr_running"] == false)
        let loose = try Self.facts {
            try Self.process($0, 50, "mdatp", program: "/opt/mdatp")
            try Self.process($0, 51, "wdavdaemon", program: "/opt/wdavdaemon")
            chmod($0.path + "/opt", 0o777)
        }
        #expect(loose["edr_running"] == false)
        // A link called falcon-sensor to a program that everybody may run as root.
        let borrowed = try Self.facts { try Self.process($0, 50, "falcon-sensor", program: "/usr/bin/su") }
        #expect(borrowed["edr_running"] == false)
        if geteuid() == 0 {
            let own = try Self.facts {
                try Self.process($0, 50, "clamd", program: "/usr/sbin/clamd")
                chown($0.path + "/proc/50", 1_000, 1_000)
            }
            #expect(own["edr_running"] == false)
            let service = try Self.facts {
                try Self.process($0, 50, "clamd", program: "/usr/sbin/clamd")
                chown($0.path + "/proc/50", 999, 999)
            }
            #expect(service["av_edr"] == ["clamav"])
        }
    }

    @Test("who may not read the program believes the service manager, and else says nothing")
    func unreadable() throws {
        let unit = try Self.facts {
            try Self.process(
                $0, 50, "falcon-sensor", program: nil, group: "/system.slice/falcon-sensor.service")
        }
        #expect(unit["av_edr"] == ["crowdstrike"])
        for group in [
            "/user.slice/falcon-sensor.service", "/system.slice/other.service", "/system.slice/mdatp.service",
        ] {
            let facts = try Self.facts {
                try Self.process($0, 50, "falcon-sensor", program: nil, group: group)
            }
            #expect(facts.isEmpty, "\(group)")
        }
    }

    @Test("a check of a process wants its own program, where it is named") func check() throws {
        let folder = try TemporaryFolder()
        try folder.put("/proc/1/comm", "systemd\n")
        try Self.process(folder, 60, "auditd", program: "/usr/sbin/auditd")
        let table = try #require(ProcessTable(HostRoot(folder.path)))
        #expect(table.runs("auditd", path: nil) == true)
        #expect(table.runs("auditd", path: "/usr/sbin/auditd") == true)
        #expect(table.runs("auditd", path: "/usr/bin/auditd") == false)
        #expect(table.runs("other", path: nil) == false)
        try Self.process(folder, 61, "hidden", program: nil)
        #expect(ProcessTable(HostRoot(folder.path))?.runs("hidden", path: nil) == nil)
    }
}
