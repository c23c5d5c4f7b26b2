import Access
import Border
import Config
import Testing

@testable import Control

@Suite("What the block page lists of an explanation")
struct FailedChecksTests {
    private static func line(
        _ rule: String, _ outcome: Ternary, _ remedy: String?, of integration: String? = nil
    ) -> ExplainLine {
        ExplainLine(
            rule: rule, condition: "\(rule) holds", outcome: outcome, observed: "", source: "",
            remedy: remedy,
            integration: integration)
    }

    private static func record(
        _ lines: [ExplainLine], _ deviceClass: DeviceClass? = .partial, by policy: String? = nil
    ) -> ExplainRecord {
        ExplainRecord(
            application: "wiki", policyIdentity: "", deviceClass: deviceClass, devicePolicy: policy,
            lines: lines,
            residual: Residual(
                policyIdentity: "", isSignedIn: true, validUntilSeconds: 0, policies: [],
                refusal: .deviceDenied, dependsOn: []))
    }

    private static let links = FailedChecks { name in
        [ShownLink(text: "Open \(name)", url: "https://\(name).example/", isLink: true)]
    }

    @Test("of a policy that denied, the rules that held are what has to be repaired, after its message")
    func denied() {
        let lines = [
            Self.line("other.rules[0]", .yes, "Not this one.", of: "intune"),
            Self.line("broken.rules[0]", .yes, "Install the update.", of: "fleet"),
            Self.line("staff.require[0]", .no, "The policy's message."),
        ]
        let checks = Self.links.of(Self.record(lines, .denied, by: "broken"))
        #expect(checks.map(\.remedy) == ["The policy's message.", "Install the update."])
        #expect(checks.map { $0.links.map(\.text) } == [[], ["Open fleet"]])
        // The same lines where another policy decided, and where none denied.
        #expect(
            Self.links.of(Self.record(lines, .denied, by: "x")).map(\.remedy) == ["The policy's message."])
        #expect(
            Self.links.of(Self.record(lines, .partial, by: "broken")).map(\.remedy) == [
                "The policy's message."
            ])
    }

    @Test("a policy's name that begins another's is not taken for it")
    func prefix() {
        let lines = [Self.line("broken-mac.rules[0]", .yes, "Of another policy.", of: "jamf")]
        #expect(Self.links.of(Self.record(lines, .denied, by: "broken")).isEmpty)
    }

    @Test("each remedy and each link stands once, and at most six remedies")
    func once() {
        let twice = [
            Self.line("a.rules[0]", .no, "Same.", of: "intune"),
            Self.line("b.rules[0]", .no, "Same.", of: "intune"),
            Self.line("c.rules[0]", .no, "Other.", of: "intune"),
        ]
        let checks = Self.links.of(Self.record(twice))
        #expect(checks.map(\.remedy) == ["Same.", "Other."])
        #expect(checks.map(\.links.count) == [1, 0])
        let many = (0..<7).map { Self.line("p.rules[\($0)]", .no, "Remedy \($0).", of: "intune") }
        #expect(Self.links.of(Self.record(many)).count == 6)
    }

    @Test("the general advice to follow the checks stands only where there are no checks")
    func general() {
        let general = Self.line("staff.require[0]", .no, DeviceCondition.generalRemedy)
        #expect(Self.links.of(Self.record([general])).map(\.remedy) == [DeviceCondition.generalRemedy])
        let check = Self.line("a.rules[0]", .indeterminate, "Wait.", of: "intune")
        #expect(Self.links.of(Self.record([check, general])).map(\.remedy) == ["Wait."])
    }

    @Test(
        "the browser's platform: its hint first, then its name for itself, else none",
        arguments: [
            (["sec-ch-ua-platform": "\"macOS\""], Platform.macos),
            (["sec-ch-ua-platform": "\"Chrome OS\"", "user-agent": "X11; CrOS x86_64"], .chromeos),
            (["sec-ch-ua-platform": "\"Amiga\"", "user-agent": "Macintosh; Intel Mac OS X"], .macos),
            (["user-agent": "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X)"], .ios),
            (["user-agent": "Mozilla/5.0 (Linux; Android 15)"], .android),
            (["user-agent": "Mozilla/5.0 (X11; Linux x86_64; rv:140.0)"], .linux),
            (["user-agent": "Mozilla/5.0 (Windows NT 10.0; Win64; x64)"], .windows),
            (["user-agent": "curl/8"], nil), ([:], nil),
        ])
    func platform(_ fields: [String: String], _ expected: Platform?) {
        #expect(Self.request(fields.map { Field($0.key, $0.value) }).browserPlatform == expected)
    }

    @Test("a hint that came twice is none") func twice() {
        let hints = [Field("sec-ch-ua-platform", "\"macOS\""), Field("sec-ch-ua-platform", "\"Windows\"")]
        #expect(Self.request(hints).browserPlatform == nil)
    }

    private static func request(_ fields: [Field]) -> ControlRequest {
        ControlRequest(
            ticket: Ticket(reactor: 0, slot: 0, generation: 0), purpose: .reserved, application: nil,
            host: "auth.example",
            method: "GET", path: "/", query: "", fields: fields, body: [], client: NetworkAddress(v4: 1),
            requestID: "1")
    }
}
