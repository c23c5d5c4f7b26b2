import Access
import JSON
import Testing

@testable import Posture

@Suite("Facts of a statement: of the type and size that each has, or not known")
struct StatementFactsTests {
    private static func read(_ posture: JSONObject, _ requested: [String] = HandshakeSettings.knownFacts)
        -> [String: ClaimValue]
    { StatementFacts.facts(posture, requested: requested) }

    @Test("004.2 patch state, management state and vulnerability score arrive, exactly within their bounds")
    func patchState() {
        let facts = Self.read(
            JSONObject([
                ("patch_age_days", 3), ("pending_security_updates", 0), ("reboot_required", false),
                ("vulnerability_score", 1_000), ("tpm", 9), ("edr_running", true),
            ]))
        #expect(
            facts == [
                "patch-age-days": .integer(3), "pending-security-updates": .integer(0),
                "reboot-required": .flag(false), "vulnerability-score": .integer(1_000), "tpm": .integer(9),
                "edr-running": .flag(true),
            ])
    }

    static let refused: [(String, JSONValue)] = [
        ("vulnerability_score", 1_001), ("vulnerability_score", -1), ("vulnerability_score", "5"),
        ("vulnerability_score", 5.0), ("patch_age_days", -1), ("tpm", 10), ("tpm", true),
        ("firewall", "true"), ("firewall", 1), ("firewall", "unknown"), ("firewall", nil),
        ("os_name", "unknown"), ("os_name", ""), ("os_name", .string(String(repeating: "x", count: 65))),
        ("os_name", true), ("av_edr", "crowdstrike"), ("av_edr", [1]), ("av_edr", [""]),
        ("av_edr", .array(Array(repeating: "x", count: 17))), ("hostname", ["a"]), ("disk_encryption", [:]),
        ("made_up", true), ("device_id_conflict", []), ("device_ids", "x"), ("check_firewall", true),
        ("check-firewall", true), ("checks", true),
    ]

    @Test("what has another type or size, or no name, is as good as no answer") func shapes() {
        for (name, value) in Self.refused {
            #expect(Self.read(JSONObject([(name, value)])).isEmpty, "\(name) \(value)")
        }
    }

    @Test("lists and texts exactly at their bounds are taken") func bounds() {
        let names = JSONValue.array(Array(repeating: "x", count: 16))
        #expect(Self.read(JSONObject([("av_edr", names)]))["av-edr"] != nil)
        let text = JSONValue.string(String(repeating: "x", count: 64))
        #expect(Self.read(JSONObject([("os_name", text)]))["os-name"] != nil)
    }

    @Test("004.2 checks count by name, when asked for, and only as true or false") func checks() {
        let posture = JSONObject([
            (
                "checks",
                ["auditd": true, "ssh": false, "slow": "unknown", "odd": 1, "other": true, "firewall": true]
            )
        ])
        let asked = HandshakeSettings.requested(["tpm"], checks: ["auditd", "ssh", "slow", "odd"])
        #expect(Self.read(posture, asked) == ["check-auditd": .flag(true), "check-ssh": .flag(false)])
        #expect(Self.read(posture).isEmpty)
    }

    @Test("no check can pass for a fact of the agent itself") func collision() {
        for name in HandshakeSettings.knownFacts { #expect(!name.hasPrefix(StatementFacts.checkPrefix)) }
        let posture = JSONObject([("checks", ["firewall": true])])
        let asked = HandshakeSettings.requested(nil, checks: ["firewall"])
        #expect(Self.read(posture, asked) == ["check-firewall": .flag(true)])
    }

    @Test("a challenge names what is wanted, each once, and never more than agents read") func requested() {
        let few = HandshakeSettings.requested(["firewall", "platform"], checks: ["a"])
        #expect(few == ["firewall", "platform", "device-ids", "check-a"])
        let all = HandshakeSettings.requested(nil, checks: (1...32).map { "c\($0)" })
        #expect(all.count <= 64, "agents read at most 64 names of a challenge")
        #expect(Set(all).count == all.count)
        #expect(all.contains("device-ids") && all.contains("platform"))
    }
}
