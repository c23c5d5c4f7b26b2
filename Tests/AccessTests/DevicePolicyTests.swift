import Access
import Testing

private let denyUnmanaged = DeviceRule.managed(integration: "falcon", false)
private let quarantine = DeviceRule.tags(integration: "falcon", matchesAll: false, values: ["quarantine"])

private struct ClassCase: Sendable, CustomTestStringConvertible {
    let name: String, policies: [DevicePolicy], device: DeviceFacts
    let deviceClass: DeviceClass, reason: Reason?, policy: String?
    init(
        _ name: String, _ policies: [DevicePolicy], _ device: DeviceFacts, _ deviceClass: DeviceClass,
        _ reason: Reason?, by policy: String?
    ) {
        (self.name, self.policies, self.device) = (name, policies, device)
        (self.deviceClass, self.reason, self.policy) = (deviceClass, reason, policy)
    }
    var testDescription: String { name }
}

@Suite("Device policies on macOS, defaults partial, asked by the device's owner")
struct DevicePolicyTests {
    private static func denying(_ onUnknown: OnUnknown) -> [DevicePolicy] {
        [devicePolicy("edr", 5, [denyUnmanaged], .denied, onUnknown: onUnknown), healthy]
    }
    private static let fallback = devicePolicy("rest", 20, [], .partial)
    private static let fine = device([verdict()])

    private static let table: [ClassCase] = [
        ClassCase("000.4 000.17 compliant", [healthy], fine, .compliant, nil, by: "healthy"),
        ClassCase(
            "000.4 000.17 partial", [devicePolicy("byod", 1, [compliantTag], .partial)], fine, .partial,
            .devicePartial, by: "byod"),
        ClassCase(
            "000.4 000.17 denied", [devicePolicy("no", 1, [compliantTag], .denied)], fine, .denied,
            .deviceDenied, by: "no"),
        ClassCase(
            "no policy is true: the default, and what was missing", [healthy],
            device([verdict(.noncompliant)]),
            .partial, .postureNonCompliant, by: nil),
        ClassCase(
            "an indeterminate policy never grants", [healthy], device([verdict(.unknown)]), .partial,
            .postureIndeterminate, by: nil),
        ClassCase(
            "the lowest priority number is asked first, whatever the order in the file",
            [
                devicePolicy("late", 2, [compliantTag], .compliant),
                devicePolicy("early", 1, [compliantTag], .partial),
            ],
            fine, .partial, .devicePartial, by: "early"),
        ClassCase(
            "a fallback tells what kept the device from compliant", [healthy, fallback],
            device([verdict(expires: now)]), .partial, .postureStale, by: "rest"),
        ClassCase(
            "compliant without any rule never grants", [devicePolicy("hole", 1, [], .compliant)], fine,
            .partial,
            .postureIndeterminate, by: nil),
        ClassCase(
            "denied without any rule denies", [devicePolicy("none", 1, [], .denied)], fine, .denied,
            .deviceDenied,
            by: "none"),
        ClassCase(
            "a definite no lets the later policies decide", denying(.cap),
            device([verdict(), verdict(integration: "falcon")]), .compliant, nil, by: "healthy"),
        ClassCase(
            "an indeterminate deny caps at partial", denying(.cap), fine, .partial, .postureMissing,
            by: "healthy"),
        ClassCase(
            "on-unknown deny: an indeterminate deny denies", denying(.deny), fine, .denied, .postureMissing,
            by: "edr"),
        ClassCase(
            "on-unknown unsafe-ignore: an indeterminate deny does nothing", denying(.unsafeIgnore), fine,
            .compliant, nil, by: "healthy"),
        ClassCase(
            "an indeterminate partial policy caps too",
            [devicePolicy("q", 5, [quarantine], .partial), healthy], fine, .partial, .postureMissing,
            by: "healthy"),
        ClassCase(
            "a cap does not weaken a later denial",
            denying(.cap) + [devicePolicy("no", 7, [compliantTag], .denied)], fine, .denied, .deviceDenied,
            by: "no"),
        ClassCase(
            "000.13 a policy of another platform is not asked",
            [devicePolicy("win", 1, [compliantTag], .compliant, platform: .windows)], fine, .partial,
            .devicePartial,
            by: nil),
        ClassCase(
            "000.13 an unknown platform has no policies", [healthy], device([verdict()], platform: nil),
            .partial,
            .devicePartial, by: nil),
        ClassCase(
            "000.16 heterogeneous rules must all hold",
            [
                devicePolicy(
                    "both", 1, [compliantTag, .agentKey(integration: "agents", minimum: .claimed)], .compliant
                )
            ],
            device([verdict()], statement: statement(key: .software)), .partial, .postureNonCompliant, by: nil
        ),
        ClassCase(
            "000.24 score and sensor are one rule set: both hold",
            [
                devicePolicy(
                    "zta", 1,
                    [
                        .score(integration: "falcon", comparison: .greaterOrEqual, value: 60),
                        .sensorRunning(integration: "falcon", true),
                    ], .compliant)
            ],
            device([verdict(integration: "falcon", score: 60, sensor: true)]), .compliant, nil, by: "zta"),
        ClassCase(
            "000.24 score and sensor: the sensor does not run",
            [
                devicePolicy(
                    "zta", 1,
                    [
                        .score(integration: "falcon", comparison: .greaterOrEqual, value: 60),
                        .sensorRunning(integration: "falcon", true),
                    ], .compliant)
            ],
            device([verdict(integration: "falcon", score: 60, sensor: false)]), .partial,
            .postureNonCompliant, by: nil),
        ClassCase(
            "somebody else's device is denied", [healthy], device([verdict()], owner: "bob"), .denied,
            .deviceOwnerMismatch, by: nil),
        ClassCase(
            "nobody's device is denied", [healthy], device([verdict()], owner: nil), .denied, .deviceUnknown,
            by: nil),
    ]

    @Test(arguments: table) private func classify(_ row: ClassCase) {
        let result = snapshot(row.policies)
            .deviceResult(of: row.device, for: person(), owner: .samePerson, atSeconds: now)
        #expect(result.deviceClass == row.deviceClass)
        #expect(result.reason == row.reason)
        #expect(result.policyName == row.policy)
    }

    @Test("defaults may deny, and a default of compliant counts as partial", arguments: DeviceClass.allCases)
    func defaults(_ setting: DeviceClass) {
        let policy = snapshot([healthy], noMatch: setting, unsupported: setting)
        let held = min(setting, .partial)
        for device in [device([verdict(.noncompliant)]), device(platform: nil), device(platform: .ios)] {
            let result = policy.deviceResult(of: device, for: person(), owner: .samePerson, atSeconds: now)
            #expect(result.deviceClass == held)
            #expect(result.reason != nil)
        }
        let none = snapshot([], unsupported: setting).deviceResult(
            of: device(), for: nil, owner: .any, atSeconds: now)
        #expect(none.reason == (held == .denied ? .deviceDenied : .devicePartial))
    }

    @Test("the same subject at another issuer is somebody else")
    func otherIssuer() {
        var facts = device([verdict()])
        facts.ownerIssuer = "https://other.example"
        let result = snapshot().deviceResult(of: facts, for: person(), owner: .samePerson, atSeconds: now)
        #expect(result.deviceClass == .denied)
        #expect(result.reason == .deviceOwnerMismatch)
    }

    @Test("an application that takes any owner asks nobody whose device it is")
    func anyOwner() {
        for owner in ["bob", nil] {
            let result = snapshot().deviceResult(
                of: device([verdict()], owner: owner), for: nil, owner: .any, atSeconds: now)
            #expect(result.deviceClass == .compliant)
        }
    }

    @Test("a result names what it read and ends with the first of it")
    func reads() {
        let policy = snapshot([
            devicePolicy(
                "p", 1,
                [
                    compliantTag, .agentManaged(integration: "agents", lastSeenSecondsMax: 3_700),
                ], .compliant)
        ])
        let facts = device(
            [verdict(expires: now + 500), verdict(integration: "x", expires: now + 1)],
            statement: statement(lastSeen: now - 3_600, expires: now + 400))
        let result = policy.deviceResult(of: facts, for: person(), owner: .samePerson, atSeconds: now)
        #expect(result.dependsOn.map(\.text) == ["device:mac-1", "verdict:intune:d-1"])
        #expect(
            result.validUntilSeconds == now + 101,
            "the last second at which it was seen recently enough, and one")
        #expect(result.deviceClass == .compliant)
        let later = policy.deviceResult(
            of: facts, for: person(), owner: .samePerson, atSeconds: result.validUntilSeconds)
        #expect(later.deviceClass == .partial)
    }

    @Test("000.4 the message of the policy that decided reaches the person")
    func message() {
        var deny = devicePolicy("no", 1, [compliantTag], .denied)
        deny.message = "Return this computer to the service desk."
        let app = application([
            ApplicationPolicy(
                name: "a", action: .allow, include: [.everyone], require: [deviceIs(.compliant)])
        ])
        let record = snapshot([deny]).explain(session(), device([verdict()]), for: app, atSeconds: now)
        #expect(record.lines.contains { $0.remedy == deny.message })
        #expect(record.residual.refusal == .deviceDenied)
    }
}
