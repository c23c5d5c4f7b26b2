import Access
import Testing

private let plain = application([allow()], providers: ["entra"])
private let managedOnly = application([allow()], providers: ["entra-managed"])
private let either = application([allow()], providers: ["entra", "entra-managed"])
private let good = device([verdict()])
private let bad = device([verdict(.noncompliant)])
private let agentRule = DeviceRule.agentManaged(integration: "agents", lastSeenSecondsMax: 604_800)
private let agentPolicy = [devicePolicy("agent", 1, [agentRule], .compliant)]
private let ran = device(statement: statement())
private let outsider = session(person(email: "eve@other.example"))
private let quarantine = application([
    allow("corporate", require: [deviceIs(.compliant)]),
    allow(
        "quarantine", require: [deviceIs(.partial)],
        restriction: Restriction(pathPrefixes: ["/remediation"])),
])
private let zta = [
    devicePolicy(
        "zta", 1,
        [
            .score(integration: "falcon", comparison: .greaterOrEqual, value: 60),
            .sensorRunning(integration: "falcon", true),
        ], .compliant)
]
private func falcon(_ score: Int64?, _ sensor: Bool?) -> DeviceFacts {
    device([verdict(integration: "falcon", score: score, sensor: sensor)])
}

@Suite("Requirement statements (providers.md 15) that a decision alone can meet")
struct RequirementTests {
    static let table: [DecisionCase] = [
        .init(
            name: "000.4 compliant gets full access", device: good, application: quarantine, path: "/any",
            decision: .forward(policy: 0), reason: .policyAllows),
        .init(
            name: "000.4 non-compliant gets the restricted part", device: bad, application: quarantine,
            path: "/remediation/x", decision: .forward(policy: 0), reason: .policyAllows),
        .init(
            name: "000.4 denied gets nothing", device: good,
            devicePolicies: [devicePolicy("no", 1, [compliantTag], .denied)], application: quarantine,
            path: "/remediation/x", decision: .refuse(.deviceDenied), reason: .deviceDenied),
        .init(
            name: "000.23 the score at the bound", device: falcon(60, true), devicePolicies: zta,
            application: wantsCompliant, decision: .forward(policy: 0), reason: .policyAllows),
        .init(
            name: "000.23 the score one below", device: falcon(59, true), devicePolicies: zta,
            application: wantsCompliant, decision: .refuse(.postureNonCompliant), reason: .postureNonCompliant
        ),
        .init(
            name: "000.24 the score is enough but the sensor is off", device: falcon(90, false),
            devicePolicies: zta,
            application: wantsCompliant, decision: .refuse(.postureNonCompliant), reason: .postureNonCompliant
        ),
        .init(
            name: "000.24 nothing is known of the sensor", device: falcon(90, nil), devicePolicies: zta,
            application: wantsCompliant, decision: .refuse(.postureIndeterminate),
            reason: .postureIndeterminate),
        .init(
            name: "003.14 compliant is unrestricted", device: good, application: quarantine, path: "/payroll",
            decision: .forward(policy: 0), reason: .policyAllows),
        .init(
            name: "003.14 non-compliant is held in quarantine", device: bad, application: quarantine,
            path: "/payroll",
            decision: .refuse(.restrictedPath), reason: .restrictedPath),
        .init(
            name: "004.1 an unmanaged device does not connect", device: device([verdict(.notManaged)]),
            application: wantsCompliant, decision: .refuse(.postureNonCompliant), reason: .postureNonCompliant
        ),
        .init(
            name: "004.12 include is OR: the second of two",
            application: application([allow("a", [inGroup("x"), everyDomain])]),
            decision: .forward(policy: 0),
            reason: .policyAllows),
        .init(
            name: "004.12 require is AND: one of two",
            application: application([allow("a", [.everyone], require: [everyDomain, inGroup("x")])]),
            decision: .refuse(.noPolicyMatches), reason: .noPolicyMatches),
        .init(
            name: "004.12 exclude is NOT: one of two",
            application: application([allow("a", [.everyone], exclude: [inGroup("x"), everyDomain])]),
            decision: .refuse(.noPolicyMatches), reason: .noPolicyMatches),
        .init(
            name: "004.13 seen exactly 7 days ago",
            device: device(statement: statement(lastSeen: now - 604_800)),
            devicePolicies: agentPolicy, application: wantsCompliant, decision: .forward(policy: 0),
            reason: .policyAllows),
        .init(
            name: "004.13 seen 7 days and a second ago",
            device: device(statement: statement(lastSeen: now - 604_801)), devicePolicies: agentPolicy,
            application: wantsCompliant, decision: .refuse(.lastSeenStale), reason: .lastSeenStale),
        .init(
            name: "004.18 the one provider that the application lists", session: session(by: "entra-managed"),
            application: managedOnly, decision: .forward(policy: 0), reason: .policyAllows),
        .init(
            name: "004.18 one of several", session: session(by: "entra-managed"), application: either,
            decision: .forward(policy: 0), reason: .policyAllows),
        .init(
            name: "004.18 none listed accepts nobody", application: application([allow()], providers: []),
            decision: .signIn, reason: .identityProviderNotAccepted),
        .init(
            name: "004.19 plain sign-in reaches the plain application", application: plain,
            decision: .forward(policy: 0), reason: .policyAllows),
        .init(
            name: "004.19 a session of the plain provider does not count at the other application",
            application: managedOnly, decision: .signIn, reason: .identityProviderNotAccepted),
        .init(
            name: "004.19 nor does its person pass by a bypass for a group",
            application: application([bypass([inGroup("staff")])], providers: ["entra-managed"]),
            decision: .signIn,
            reason: .identityProviderNotAccepted),
        .init(
            name: "004.20 domain and agent", device: ran, devicePolicies: agentPolicy,
            application: wantsCompliant,
            decision: .forward(policy: 0), reason: .policyAllows),
        .init(
            name: "004.20 domain without agent", devicePolicies: agentPolicy, application: wantsCompliant,
            decision: .refuse(.deviceRequired), reason: .deviceRequired),
        .init(
            name: "004.20 agent without domain", session: outsider, device: ran, devicePolicies: agentPolicy,
            application: wantsCompliant, decision: .refuse(.noPolicyMatches), reason: .noPolicyMatches),
        .init(
            name: "004.20 neither", session: outsider, devicePolicies: agentPolicy,
            application: wantsCompliant,
            decision: .refuse(.noPolicyMatches), reason: .noPolicyMatches),
    ]

    /// All rows of one number decide as the table says; a number without rows is a mistake.
    private func check(_ number: String) {
        let rows = Self.table.filter { $0.name.hasPrefix(number + " ") }
        #expect(!rows.isEmpty)
        for row in rows {
            let residual = snapshot(row.devicePolicies)
                .residual(of: row.session, row.device, for: row.application, atSeconds: now)
            let decision = residual.decide(row.request, path: Array(row.path.utf8).span, atSeconds: now)
            #expect(decision == row.decision, "\(row.name)")
            #expect(residual.reason(for: decision) == row.reason, "\(row.name)")
        }
    }

    @Test("000.4 a device is compliant, partial or denied, and denied reaches no application that asks")
    func row000_4() { check("000.4") }

    @Test("000.13 a device policy is about exactly one platform")
    func row000_13() {
        for platform in Platform.allCases {
            let result = snapshot().deviceResult(
                of: device([verdict()], platform: platform), for: person(), owner: .samePerson, atSeconds: now
            )
            #expect((result.deviceClass == .compliant) == (platform == .macos))
        }
    }

    @Test("000.15 matches-any is OR, matches-all is AND, and an empty list never holds")
    func row000_15() {
        let wanted: [([String], Bool, DeviceClass)] = [
            (["x", "registered"], false, .compliant), (["x", "registered"], true, .partial),
            (["compliant", "registered"], true, .compliant), (["x"], false, .partial), ([], true, .partial),
            ([], false, .partial),
        ]
        for (values, all, expected) in wanted {
            let rule = DeviceRule.tags(integration: "intune", matchesAll: all, values: values)
            let result = snapshot([devicePolicy("t", 1, [rule], .compliant)])
                .deviceResult(of: good, for: person(), owner: .samePerson, atSeconds: now)
            #expect(result.deviceClass == expected, "\(values) \(all)")
        }
    }

    @Test(
        "000.17 the result of a device policy is compliant, partial or denied",
        arguments: DeviceClass.allCases)
    func row000_17(_ result: DeviceClass) {
        let policy = snapshot([devicePolicy("p", 1, [compliantTag], result)])
        let given = policy.deviceResult(of: good, for: person(), owner: .samePerson, atSeconds: now)
        #expect(given.deviceClass == result)
        #expect(given.policyName == "p")
    }

    @Test("000.23 a score is compared with <, <=, =, >= and >, at the bound and beside it")
    func row000_23() { check("000.23") }

    @Test("000.24 the sensor qualifier is ANDed to the score")
    func row000_24() { check("000.24") }

    @Test("003.13 the labels compliant and noncompliant are built in and come from the state alone")
    func row003_13() {
        for state in Verdict.State.allCases {
            for label in ["compliant", "noncompliant"] {
                let rule = DeviceRule.tags(integration: "intune", matchesAll: false, values: [label])
                let facts = device([verdict(state, labels: state == .noncompliant ? ["compliant"] : [])])
                let result = snapshot([devicePolicy("l", 1, [rule], .compliant)])
                    .deviceResult(of: facts, for: person(), owner: .samePerson, atSeconds: now)
                #expect((result.deviceClass == .compliant) == (state.rawValue == label), "\(state) \(label)")
            }
        }
    }

    @Test("003.14 compliant is unrestricted, non-compliant is held in quarantine")
    func row003_14() { check("003.14") }

    @Test("004.1 only a managed or healthy device connects")
    func row004_1() { check("004.1") }

    @Test("004.12 include is OR, require is AND, exclude is NOT")
    func row004_12() { check("004.12") }

    @Test("004.13 managed and seen within the last 7 days, at the bound and one second past it")
    func row004_13() { check("004.13") }

    @Test("004.18 an application lists the providers that it accepts")
    func row004_18() { check("004.18") }

    @Test("004.19 a session of one provider never counts where only another is accepted")
    func row004_19() { check("004.19") }

    @Test("004.20 of domain yes or no and agent yes or no, only both pass")
    func row004_20() { check("004.20") }
}
