import Access
import Testing

@Suite("An explain record tells rule, condition, observed value, source and age")
struct ExplainTests {
    private func text(_ record: ExplainRecord) -> String { text(record.lines[...]) }

    private func text(_ lines: ArraySlice<ExplainLine>) -> String {
        lines.map { line in
            let age = line.ageSeconds.map { " \($0)s" } ?? ""
            let remedy = line.remedy.map { " => \($0)" } ?? ""
            let told = [line.rule, line.condition, line.outcome.rawValue, line.observed, line.source + age]
            return told.joined(separator: " | ") + remedy
        }.joined(separator: "\n")
    }

    @Test("a refused device: every step, with the provider's own remedy on the rule that failed")
    func refused() {
        let facts = device([verdict(.noncompliant, remedies: ["Turn on FileVault."])], statement: statement())
        let record = snapshot().explain(session(), facts, for: wantsCompliant, atSeconds: now)
        #expect(
            text(record) == """
                session | signed in with one of: entra | yes | entra | session s1 60s
                device-owner | the device was enrolled by the person who is signed in | yes | \
                https://id.example ada | enrolment of mac-1
                healthy.rules[0] | intune labels have any of: compliant | no | \
                state noncompliant, labels: registered | \
                intune (verdict v-d-1, match strong) 600s => Turn on FileVault.
                default-no-match | no device policy decides: partial | yes | platform macos | \
                device policies => Meet the checks of one of the device policies.
                staff.include[0] | email domain is one of: corp.example | yes | ada@corp.example | session 60s
                staff.require[0] | device is: compliant | no | partial (posture-non-compliant) | \
                device policies => Follow the remedies of the device's own checks; access returns by itself.
                staff | allow | no | does not match | policy
                """)
        #expect(record.deviceClass == .partial)
        #expect(record.devicePolicy == nil)
        #expect(record.residual.refusal == .postureNonCompliant)
        #expect(record.residual.dependsOn.map(\.text) == ["device:mac-1", "session:s1", "verdict:intune:d-1"])
        #expect(record.residual.validUntilSeconds == now + 900)
    }

    @Test("what held in a policy that denies is to be repaired, and never to be reached")
    func denied() {
        let broken = DevicePolicy(
            name: "broken", platform: .macos, priority: 1,
            rules: [.tags(integration: "intune", matchesAll: false, values: ["noncompliant"])],
            result: .denied)
        func remedy(_ remedies: [String], _ state: Verdict.State = .noncompliant) -> String? {
            let facts = device([verdict(state, remedies: remedies)], statement: statement())
            let record = snapshot([broken, healthy]).explain(
                session(), facts, for: wantsCompliant, atSeconds: now)
            return record.lines.first { $0.rule == "broken.rules[0]" }?.remedy
        }
        #expect(remedy(["Turn on FileVault.", "Restart."]) == "Turn on FileVault. Restart.")
        #expect(remedy([]) == "Repair what intune reports about this device.")
        #expect(remedy([], .compliant) == nil)
        #expect(remedy([], .unknown)?.contains("noncompliant") == false)
        let agents = DevicePolicy(
            name: "broken", platform: .macos, priority: 1,
            rules: [.agentFact(integration: "agents", name: "firewall", values: [.flag(true)])],
            result: .denied)
        let facts = device([verdict()], statement: statement(facts: ["firewall": .flag(true)]))
        let record = snapshot([agents]).explain(session(), facts, for: wantsCompliant, atSeconds: now)
        let line = record.lines.first { $0.rule == "broken.rules[0]" }
        #expect(line?.integration == "agents")
        #expect(line?.remedy == "Repair what agents reports about this device.")
    }

    @Test("nobody: only what signing in would settle")
    func nobody() {
        let record = snapshot().explain(nil, nil, for: application([allow()]), atSeconds: now)
        #expect(
            text(record) == """
                session | signed in with one of: entra | no | nobody | no session => Sign in.
                staff.include[0] | email domain is one of: corp.example | indeterminate | \
                no verified address | nobody is signed in => Sign in.
                staff | allow | no | does not match | policy
                """)
        #expect(record.residual.dependsOn.isEmpty)
    }

    @Test("conditions on the request are told as open, with a remedy")
    func request() {
        let app = application([allow("office", [.everyone], require: [methodIs(.get)])])
        let record = snapshot().explain(session(), nil, for: app, atSeconds: now)
        #expect(
            text(record.lines.suffix(3)) == """
                office.include[0] | everyone | yes | anybody | policy
                office.require[0] | method is one of: GET | indeterminate | asked of every request | \
                request => Only GET requests are meant here.
                office | allow | indeterminate | \
                matches the requests that meet what is asked of them (policy-allows) | policy
                """)
    }

    @Test("an application that asks for no device reads none")
    func noDevice() {
        let record = snapshot().explain(
            session(), device([verdict()]), for: application([allow()]), atSeconds: now)
        #expect(record.deviceClass == nil)
        #expect(record.residual.dependsOn == [.session(id: "s1")])
        #expect(!text(record).contains("mac-1"))
    }

    @Test("a refused provider, an ended session and a session grown too old each name their remedy")
    func sessions() {
        let managed = application([allow(session: 60)], providers: ["entra-managed"])
        let foreign = snapshot().explain(session(), nil, for: managed, atSeconds: now)
        #expect(foreign.lines[0].remedy == "Sign in with entra-managed.")
        let ended = snapshot().explain(
            session(expires: now), nil, for: application([allow()]), atSeconds: now)
        #expect(ended.lines[0].remedy == "Sign in again.")
        let old = snapshot().explain(session(), nil, for: application([allow(session: 60)]), atSeconds: now)
        #expect(old.lines.contains { $0.rule == "staff.session" && $0.remedy == "Sign in again." })
    }
}
