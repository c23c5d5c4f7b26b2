import Glibc
import JSON
import Testing

@testable import gatepost_agent

@Suite("Parsers of what other programs write: whole, cut at every place, and changed at random")
struct FactParserTests {
    static func ruleset(_ items: String) -> [UInt8] {
        Array(#"{"nftables": [{"metainfo": {"version": "1.0.6"}}, \#(items)]}"#.utf8)
    }
    static func chain(
        _ name: String, hook: String? = "input", policy: String = "accept", family: String = "inet"
    ) -> String {
        let base =
            hook.map { #", "type": "filter", "hook": "\#($0)", "prio": 0, "policy": "\#(policy)""# } ?? ""
        return #"{"chain": {"family": "\#(family)", "table": "t", "name": "\#(name)", "handle": 1\#(base)}}"#
    }
    static func rule(_ chain: String, _ parts: String) -> String {
        #"{"rule": {"family": "inet", "table": "t", "chain": "\#(chain)", "handle": 2, "expr": [\#(parts)]}}"#
    }
    static let match =
        #"{"match": {"op": "==", "left": {"payload": {"protocol": "tcp", "field": "dport"}}, "right": 22}}"#

    static let rulesets: [(String, [UInt8], Bool?)] = [
        ("the policy drops", ruleset(chain("in", policy: "drop")), true),
        ("the policy accepts", ruleset(chain("in")), false),
        ("a policy of the output", ruleset(chain("out", hook: "output", policy: "drop")), false),
        ("only IPv6", ruleset(chain("in", policy: "drop", family: "ip6")), false),
        (
            "a last rule refuses",
            ruleset(
                chain("in") + ","
                    + rule("in", #"{"counter": {"packets": 0, "bytes": 0}}, {"reject": {"type": "icmpx"}}"#)),
            true
        ),
        (
            "fail2ban refuses some", ruleset(chain("in") + "," + rule("in", match + #", {"reject": null}"#)),
            false
        ),
        (
            "a limited drop",
            ruleset(chain("in") + "," + rule("in", #"{"limit": {"rate": 1}}, {"drop": null}"#)), false
        ),
        (
            "a jump to a chain that refuses",
            ruleset(
                chain("in") + "," + chain("next", hook: nil) + ","
                    + rule("in", #"{"jump": {"target": "next"}}"#) + ","
                    + rule("next", #"{"drop": null}"#)), true
        ),
        (
            "chains that jump in a circle",
            ruleset(
                chain("in") + "," + chain("next", hook: nil) + ","
                    + rule("in", #"{"jump": {"target": "next"}}"#) + ","
                    + rule("next", #"{"jump": {"target": "in"}}"#)), false
        ),
        ("no rules at all", ruleset(#"{"table": {"family": "inet", "name": "t"}}"#), false),
        ("another format", Array("table inet t {}".utf8), nil), ("nothing", [], nil),
        ("a chain without a name", ruleset(#"{"chain": {"hook": "input", "policy": "drop"}}"#), nil),
    ]

    @Test("the kernel's rules: only what refuses everything else is a firewall") func netfilter() {
        for (name, bytes, expected) in Self.rulesets {
            #expect(NetfilterRules.refuses(bytes) == expected, "\(name)")
        }
    }

    @Test("rules cut off anywhere are not understood") func cutRules() {
        for (name, bytes, _) in Self.rulesets.prefix(9) {
            for count in 0..<bytes.count {
                #expect(NetfilterRules.refuses(Array(bytes.prefix(count))) == nil, "\(name) \(count)")
            }
        }
    }

    @Test("root asks the kernel, others believe ufw; rules of the old tables make a no unknown")
    func firewall() throws {
        let list = FirewallFact.list.description
        let open = String(decoding: Self.ruleset(Self.chain("in")), as: UTF8.self)
        let shut = String(decoding: Self.ruleset(Self.chain("in", policy: "drop")), as: UTF8.self)
        let ufw = ["/etc/ufw/ufw.conf": "ENABLED=yes\n"]
        let table = [
            FactCase("shut", FirewallFact(), "firewall", true, [:], commands: [list: says(shut)]),
            FactCase("open", FirewallFact(), "firewall", false, [:], commands: [list: says(open)]),
            FactCase(
                "ufw is set, the kernel has nothing", FirewallFact(), "firewall", false, ufw,
                commands: [list: says(open)]),
            FactCase(
                "not root", FirewallFact(), "firewall", true, ufw, commands: [list: says("", status: 1)]),
            FactCase(
                "old tables", FirewallFact(), "firewall", nil, ["/proc/net/ip_tables_names": "filter\n"],
                commands: [list: says(open)]),
            FactCase(
                "no old tables", FirewallFact(), "firewall", false, ["/proc/net/ip_tables_names": ""],
                commands: [list: says(open)]),
            FactCase(
                "firewalld runs", FirewallFact(), "firewall", geteuid() == 0 ? true : nil,
                ["/run/firewalld.pid": "77", "/proc/77/comm": "firewalld\n"]),
            FactCase(
                "another process has its number", FirewallFact(), "firewall", nil,
                ["/run/firewalld.pid": "77", "/proc/77/comm": "sh\n"]),
        ]
        for entry in table { #expect(try entry.found() == entry.expected, "\(entry.name)") }
    }

    static let status = """
        Package: openssl
        Status: install ok installed
        Architecture: amd64
        Version: 3.0.15-1~deb12u1

        Package: libc6
        Status: install ok installed
        Architecture: amd64
        Version: 2.36-9+deb12u9

        Package: libc6
        Status: install ok installed
        Architecture: i386
        Version: 2.36-9+deb12u4

        Package: gone
        Status: deinstall ok config-files
        Version: 9

        Package: half
        Status: install ok half-configured
        Version: 9


        """

    @Test("dpkg: what is fully installed, every architecture new enough") func dpkg() throws {
        let table: [(String, String?, Bool?)] = [
            ("openssl", nil, true), ("openssl", "3.0.15-1~deb12u1", true), ("openssl", "3.0.15-1", false),
            ("openssl", "3.0.14", true), ("openssl", "1:1", false), ("libc6", "2.36-9+deb12u4", true),
            ("libc6", "2.36-9+deb12u5", false), ("gone", nil, false), ("half", nil, false),
            ("none", nil, false),
        ]
        let folder = try TemporaryFolder()
        try folder.put("/var/lib/dpkg/status", Self.status)
        let database = PackageDatabase(
            Machine(root: HostRoot(folder.path), commands: NoCommands(), nowSeconds: 0))
        for (name, version, expected) in table {
            #expect(database.has(name, minimumVersion: version) == expected, "\(name) \(version ?? "")")
        }
    }

    @Test("a package whose paragraph was cut off is not installed") func cutStatus() {
        let bytes = Array(Self.status.utf8)
        let whole = PackageDatabase.installed("openssl", status: bytes)
        #expect(whole == ["3.0.15-1~deb12u1"])
        for count in 0..<bytes.count {
            let found = PackageDatabase.installed("openssl", status: Array(bytes.prefix(count)))
            #expect(found.isEmpty || found == whole, "\(count)")
        }
    }

    @Test("rpm is asked where there is no dpkg; a failure is no answer") func rpm() {
        func database(_ outcome: CommandOutcome) -> PackageDatabase {
            let command = "/usr/bin/rpm -q --queryformat %{EPOCHNUM}:%{VERSION}-%{RELEASE}\\n openssl"
            return PackageDatabase(
                Machine(
                    root: HostRoot("/nonexistent"), commands: ScriptedCommands([command: outcome]),
                    nowSeconds: 0))
        }
        #expect(database(says("1:3.0.7-27.el9\n")).has("openssl", minimumVersion: "1:3.0.7") == true)
        #expect(database(says("1:3.0.7-27.el9\n")).has("openssl", minimumVersion: "1:3.0.8") == false)
        #expect(
            database(says("package openssl is not installed\n", status: 1)).has(
                "openssl", minimumVersion: nil) == false)
        #expect(
            database(says("error: cannot open Packages index", status: 1)).has("openssl", minimumVersion: nil)
                == nil)
        #expect(database(.timedOut).has("openssl", minimumVersion: nil) == nil)
        #expect(database(.notRun).has("openssl", minimumVersion: nil) == nil)
    }

    /// Each list in rising order.
    static let debian = [
        "0~~", "0~~a", "0~", "0", "0a", "0a1", "0+", "1", "1.0~rc1", "1.0", "1.0-0.1", "1.0-1~bpo1", "1.0-1",
        "1.0-1+b1", "1.0-2", "1.0-10", "1.0.1", "1.2", "1.10", "99999999999999999998", "99999999999999999999",
        "1:0", "2:0.1",
    ]
    static let redHat = ["1.0~rc1", "1.0", "1.0^git1", "1.0a", "1.0.1", "1.2", "1.10", "2", "1:0.1"]

    @Test("versions are ordered as the package managers order them, both ways round") func order() {
        for (list, compare) in [(Self.debian, PackageVersion.debian), (Self.redHat, PackageVersion.rpm)] {
            for (index, left) in list.enumerated() {
                for (place, right) in list.enumerated() {
                    let expected = index < place ? -1 : index > place ? 1 : 0
                    #expect(compare(left, right).signum() == expected, "\(left) \(right)")
                }
            }
        }
    }

    @Test("answers of vendors' tools cut off anywhere say nothing wrong") func cutAnswers() {
        let falcon = Array(
            "cid=\"79391c24113773b01d8181c38c3e111a\", aid is not set, rfm-state=false, rfm-reason=None".utf8)
        for count in 0...falcon.count {
            let found = FalconFact.value("aid", in: Array(falcon.prefix(count)))
            #expect(found == nil)
            let state = FalconFact.value("rfm-state", in: Array(falcon.prefix(count)))
            #expect(state != "true")
        }
        let health = Array(#"{"healthy":true,"orgId":"0b0c0d0e-0000-4000-8000-000000000009"}"#.utf8)
        for count in 0..<health.count { #expect(DefenderFact.facts(Array(health.prefix(count))).isEmpty) }
        let units = Array(LinuxFactTests.units(["mdatp": "active"]).utf8)
        for count in 0..<(units.count - 40) {
            #expect(ProtectionUnitsFact.states(Array(units.prefix(count))) == nil, "\(count)")
        }
    }

    @Test("random bytes are no answer of anybody, and no trap") func random() {
        var generator = SystemRandomNumberGenerator()
        for _ in 0..<300 {
            let bytes = (0..<Int.random(in: 0...200, using: &generator)).map { _ in
                UInt8.random(in: 0...255, using: &generator)
            }
            #expect(NetfilterRules.refuses(bytes) == nil, "\(bytes)")
            #expect(DefenderFact.facts(bytes).isEmpty, "\(bytes)")
            _ = DconfDatabase(Array("GVariant".utf8) + [0, 0, 0, 0, 0, 0, 0, 0] + bytes)?.setting("/a")
            _ = PackageDatabase.installed("x", status: bytes)
            _ = PendingUpdatesFact.apt(bytes)
        }
    }
}
