import Access
import JSON
import Testing

@testable import Posture
@testable import gatepost_agent

@Suite("What leaves the machine: what a gateway asks for, of what the machine permits and knows")
struct DisclosureTests {
    static let folderFacts = JSONObject([
        ("firewall", true), ("os_name", "debian"), ("checks", ["auditd": true, "ssh": "unknown"]),
        ("device_ids", ["serial": "PF3ABCDE"]),
    ])

    @Test("nothing that was not asked for, and of the checks only the named ones") func asked() {
        func sent(_ requested: [String]) -> JSONObject {
            PermittedClaims.all.disclosed(of: Self.folderFacts, requested: requested)
        }
        #expect(sent([]).isEmpty)
        #expect(sent(["os-name", "vulnerability-score"]).names == ["os_name"])
        #expect(sent(["check-auditd"]) == JSONObject([("checks", ["auditd": true])]))
        #expect(sent(["check-auditd", "check-ssh"])["checks"] == ["auditd": true, "ssh": "unknown"])
        // The whole object cannot be had by its own name: it would tell what else is checked here.
        #expect(sent(["checks"]).isEmpty)
        #expect(sent(["check-", "check-auditd2", "auditd"]).isEmpty)
    }

    @Test("004.2 every fact that a probe can find out is one that the gateway asks for and reads")
    func vocabulary() {
        let names = FactProbes.all(deviceIDsPath: "/x", machineIDKey: [1]).flatMap(\.names)
        #expect(Set(names).count == names.count)
        let carriers: Set<String> = ["device_id_sources", "checks"]
        for name in names where !carriers.contains(name) {
            let fact = String(name.map { $0 == "_" ? "-" : $0 })
            #expect(HandshakeSettings.knownFacts.contains(fact), "\(name)")
        }
        for fact in HandshakeSettings.knownFacts {
            #expect(names.contains(String(fact.map { $0 == "-" ? "_" : $0 })), "\(fact)")
        }
    }

    @Test("004.2 what the machine finds out is what policy gets: patch state, score, checks, protection")
    func endToEnd() throws {
        let folder = try TemporaryFolder()
        try folder.put("/etc/os-release", "ID=debian\nVERSION_ID=\"12\"\n")
        try folder.put("/proc/sys/kernel/osrelease", "6.1.0-18-amd64\n")
        try folder.put("/run/reboot-required", "")
        try folder.put("/score", "12\n")
        try folder.put("/proc/1/comm", "systemd\n")
        let rules =
            #"{"checks": {"a": {"file": "/score"}, "b": {"file": "/none"}, "c": {"command": ["/x"]}}, "#
            + #""vulnerability_score": {"file": "/score"}}"#
        try folder.put("/rules.json", rules)
        let now = AgentClock.system.nowSeconds()
        let probes = FactProbes.all(deviceIDsPath: "/none", machineIDKey: [1], rulesPath: "/rules.json")
        let facts = FactCollector(root: HostRoot(folder.path), probes: probes, rulesPath: "/rules.json")
            .facts(nowSeconds: now).facts
        let requested = HandshakeSettings.requested(nil, checks: ["a", "b", "c"])
        let read = StatementFacts.facts(
            PermittedClaims.all.disclosed(of: facts, requested: requested), requested: requested)
        let expected: [String: ClaimValue] = [
            "platform": .text("linux"), "os-name": .text("debian"), "os-version": .text("12"),
            "kernel-version": .text("6.1.0-18-amd64"), "reboot-required": .flag(true),
            "vulnerability-score": .integer(12), "edr-running": .flag(false), "av-edr": .list([]),
            "check-a": .flag(true), "check-b": .flag(false),
        ]
        #expect(read == expected)
    }
}
