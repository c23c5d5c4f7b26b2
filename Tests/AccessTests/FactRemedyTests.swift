import Testing

@testable import Access

@Suite("What people read about a fact of their device that is not as policy asks")
struct FactRemedyTests {
    private static func fact(_ name: String, _ value: ClaimValue) -> DeviceRule {
        .agentFact(integration: "agents", name: name, values: [value])
    }
    private static func fact(_ name: String, _ comparison: Comparison, _ value: String) -> DeviceRule {
        .agentFactIs(integration: "agents", name: name, comparison: comparison, value: value)
    }

    @Test("the way there is the platform's own; where the platform is not known there are words all the same")
    func platforms() {
        let rule = Self.fact("disk-encryption", .flag(true))
        #expect(rule.remedy(on: .windows).contains("BitLocker"))
        #expect(rule.remedy(on: .macos).contains("FileVault"))
        #expect(rule.remedy(on: .linux).contains("LUKS"))
        for platform in [Platform?.none, .chromeos] {
            #expect(rule.remedy(on: platform).hasPrefix("Switch on the encryption of this device’s disk"))
        }
        #expect(Set(Platform.allCases.map { rule.remedy(on: $0) }).count == Platform.allCases.count)
    }

    static let asked: [(DeviceRule, String)] = [
        (fact("os-version", .greaterOrEqual, "14.5"), "Asked for: at least 14.5."),
        (fact("screen-lock-seconds", .lessOrEqual, "900"), "Asked for: at most 15 minutes."),
        (fact("screen-lock-seconds", .lessOrEqual, "60"), "Asked for: at most 1 minute."),
        (fact("screen-lock-seconds", .less, "90"), "Asked for: less than 90 seconds."),
        (fact("screen-lock-seconds", .less, "0"), "Asked for: less than 0 seconds."),
        (fact("patch-age-days", .lessOrEqual, "14"), "Asked for: at most 14 days."),
        (fact("pending-security-updates", .equal, "0"), "Asked for: exactly 0."),
        (fact("tpm", .greater, "1"), "Asked for: more than 1."),
        (
            .agentFact(
                integration: "agents", name: "os-name", values: [.text("debian"), .text("ubuntu")]),
            "Asked for: debian or ubuntu."
        ),
    ]

    @Test("what is asked for follows as people say it", arguments: asked)
    func value(_ rule: DeviceRule, _ end: String) {
        #expect(rule.remedy(on: .macos).hasSuffix(" " + end), "\(rule.remedy(on: .macos))")
    }

    @Test("nobody is told to switch a protection off, nor on what has to be off") func opposite() {
        #expect(
            Self.fact("firewall", .flag(false)).remedy(on: .linux)
                == "Set firewall on this device to false.")
        #expect(
            Self.fact("reboot-required", .flag(true)).remedy(on: .linux)
                == "Set reboot-required on this device to true.")
        #expect(
            Self.fact("reboot-required", .flag(false)).remedy(on: .linux).hasPrefix("Restart this device"))
        // A flag is no number, and a fact of nobody's has no words.
        #expect(
            Self.fact("firewall", .equal, "1").remedy(on: nil) == "Bring firewall of this device to = 1.")
        #expect(Self.fact("colour", .text("red")).remedy(on: nil) == "Set colour on this device to red.")
        #expect(Self.fact("colour", .less, "2").remedy(on: nil) == "Bring colour of this device to < 2.")
    }

    @Test("an agent that is too old, a key outside the chip, protection software that stands still")
    func others() {
        let version = DeviceRule.agentVersion(integration: "agents", minimum: "1.4")
        let update = "Update Gatepost’s agent on this device to version 1.4 or later"
        #expect(version.remedy(on: .linux) == update + ": install the newest package gatepost-agent.")
        #expect(version.remedy(on: .windows) == update + ".")
        let key = DeviceRule.agentKey(integration: "agents", minimum: .attested)
        #expect(key.remedy(on: .linux).hasSuffix("--key-storage tpm."))
        #expect(!key.remedy(on: .macos).contains("tpm"))
        let sensor = DeviceRule.sensorRunning(integration: "falcon", true)
        #expect(sensor.remedy(on: .windows).contains("falcon"))
        #expect(sensor.remedy(on: nil).contains("restart the device"))
        #expect(
            DeviceRule.sensorRunning(integration: "falcon", false).remedy(on: nil)
                == "Stop the sensor of falcon.")
    }

    @Test("explanations of device policies and of conditions say it for the device's own platform")
    func explained() throws {
        let rule = Self.fact("firewall", .flag(true))
        let app = application([
            ApplicationPolicy(
                name: "p", action: .allow, include: [.everyone],
                require: [.check(.init(integration: "agents", name: "firewall", isAgent: true))])
        ])
        for (platform, word) in [(Platform.macos, "System Settings › Network"), (.linux, "sudo ufw enable")] {
            var policy = devicePolicy("only", 1, [rule], .compliant)
            policy.platform = platform
            let facts = device(
                statement: statement(facts: ["firewall": .flag(false)]), platform: platform)
            let result = snapshot([policy]).deviceResult(
                of: facts, for: person(), owner: .samePerson, atSeconds: now)
            let line = try #require(result.lines.first { $0.rule == "only.rules[0]" })
            #expect(line.remedy?.contains(word) == true, "\(line)")
            let record = snapshot().explain(session(), facts, for: app, atSeconds: now)
            #expect(record.lines.contains { $0.rule.hasPrefix("p.require") && $0.remedy == line.remedy })
        }
    }

    @Test("what is not known is not called wrong") func unknown() throws {
        let policy = devicePolicy("only", 1, [Self.fact("firewall", .flag(true))], .compliant)
        let result = snapshot([policy]).deviceResult(
            of: device(statement: statement(facts: [:])), for: person(), owner: .samePerson, atSeconds: now)
        let line = try #require(result.lines.first { $0.rule == "only.rules[0]" })
        #expect(line.outcome == .indeterminate && line.remedy?.contains("firewall") == false)
    }
}
