import Foundation
import Testing

/// One posture provider: how the gateway is told of it, and what makes it call the device broken and whole.
struct ProviderCase: CustomTestStringConvertible, Sendable {
    /// The value of `provider`; also the integration's name and the emulator's path.
    var kind: String
    /// Keys of the integration beside `provider`, as a flow mapping's inside. `SITE` is the emulator's address.
    var keys: String
    /// Our credential at the emulator; it stands in secrets/<kind>.
    var secret: String
    /// What the device policy asks, beside the integration: it holds for a broken device.
    var rule: String
    var platform = "linux"
    var broken: LabChange
    var whole: LabChange
    var testDescription: String { kind }

    /// What the page says of the provider's own: its product's name and what it asks for.
    var remedy: String { Self.remedies[kind] ?? "no remedy is expected" }

    private static let remedies = [
        "intune": "Microsoft Intune says that this device does not meet",
        "entra": "Microsoft Entra says that this device does not meet",
        "defender": "Microsoft Defender for Endpoint sees a high risk", "workspace-one": "Workspace ONE",
        "tanium": "Tanium rates the risk of this device as critical",
        "custom": "custom gives this device a score of 40",
        "shared-signals": "device management reports a problem",
        "sentinelone": "SentinelOne reports a problem on this device: infected",
        "kolide": "Kolide blocks this device", "google": "Google has this device as blocked",
        "fleet": "Fleet asks for: Disk encryption", "crowdstrike": "CrowdStrike Falcon asks for",
        "jamf": "Jamf Pro says that this Mac does not meet", "kandji": "Kandji asks for: FileVault",
    ]

    /// On the block page, and nowhere else.
    var message: String { "Repair what \(kind) reports." }
}

/// A request to a control path of the lab, by which its vendor changes its mind.
struct LabChange: Sendable {
    enum Site: Sendable { case graph, vendors }
    var site = Site.vendors
    var path: String
    /// JSON. `TIME` becomes a number of seconds that grows with each change.
    var body: String

    /// Members that are written over those of Alice's device at a vendor.
    static func device(_ vendor: String, _ body: String) -> LabChange {
        LabChange(path: "/\(vendor)/lab/devices/alice-laptop", body: body)
    }
}

extension ProviderCase {
    static let serial = "LAB-ALICE-0001"
    static let macSerial = "LAB-ALICE-MAC-1"
    static let falconAgent = "4f1d2c3b4a5968778695a4b3c2d1e0f1"
    static let intuneDevice = "5c1d9b7e-0a0e-4d51-9a0f-8d7b7a0d1c11"
    static let directoryDevice = "9d3e2c10-7f6a-4f0e-8f30-2b9b8a7c6d5e"

    /// What stands in the demo's configuration already.
    static let intune = ProviderCase(
        kind: "intune", keys: "", secret: "", rule: "tags: { matches-any: [ noncompliant ] }",
        broken: LabChange(
            site: .graph, path: "/lab/devices/\(intuneDevice)", body: #"{"complianceState":"noncompliant"}"#),
        whole: LabChange(
            site: .graph, path: "/lab/devices/\(intuneDevice)", body: #"{"complianceState":"compliant"}"#))

    static let all = [intune] + onLinux + onMac

    private static let graph = "http://127.0.0.1:\(Stack.graphPort)"
    private static let parameters = #"[{"item_id":"p2","name":"FileVault","status":"%"}]"#
    private static let policies = #"[{"id":1,"name":"Disk encryption","critical":true,"response":"%"}]"#

    static let onLinux = [
        ProviderCase(
            kind: "entra",
            keys: "tenant: TENANT, client-id: GRAPH-CLIENT, client-secret: { file: secrets/intune }, "
                + "login-url: \"\(graph)\", graph-url: \"\(graph)\"",
            secret: "", rule: "tags: { matches-any: [ noncompliant ] }",
            broken: LabChange(
                site: .graph, path: "/lab/directory/\(directoryDevice)", body: #"{"isCompliant":false}"#),
            whole: LabChange(
                site: .graph, path: "/lab/directory/\(directoryDevice)", body: #"{"isCompliant":true}"#)),
        ProviderCase(
            kind: "defender",
            keys: "tenant: 72f988bf-0000-4000-8000-1a2b3c4d5e6f, login-url: \"SITE\", api-url: \"SITE\", "
                + "client-id: 8b1d0c3a-0000-4000-8000-9b8c7d6e5f41, client-secret: SECRET",
            secret: "defender-demo-secret", rule: "risk: \">= high\"",
            broken: .device("defender", #"{"riskScore":"High"}"#),
            whole: .device("defender", #"{"riskScore":"Low"}"#)),
        ProviderCase(
            kind: "workspace-one",
            keys: "api-url: \"SITE/API\", token-url: \"SITE/emea/connect/token\", "
                + "client-id: workspace-one-demo-client, client-secret: SECRET",
            secret: "workspace-one-demo-secret", rule: "tags: { matches-any: [ noncompliant ] }",
            broken: .device("workspace-one", #"{"ComplianceStatus":"NonCompliant"}"#),
            whole: .device("workspace-one", #"{"ComplianceStatus":"Compliant"}"#)),
        ProviderCase(
            kind: "tanium", keys: "api-url: \"SITE\", api-token: SECRET",
            secret: "token-0123456789abcdef-demo", rule: "score: \"> 500\"",
            broken: .device("tanium", #"{"totalScore":900,"riskLevel":"Critical"}"#),
            whole: .device("tanium", #"{"totalScore":210,"riskLevel":"Low"}"#)),
        ProviderCase(
            kind: "custom", keys: "api-url: \"SITE/evaluate\", api-token: SECRET",
            secret: "custom-demo-token", rule: "score: \"< 80\"",
            broken: .device("custom", #"{"score":40}"#), whole: .device("custom", #"{"score":100}"#)),
        ProviderCase(
            kind: "shared-signals",
            keys: "issuer: \"http://127.0.0.1:\(Stack.vendorsPort)/signals\", delivery: poll, "
                + "audience: \"https://gateway.example/ssf\", api-token: SECRET",
            secret: "lab-signals-token", rule: "tags: { matches-any: [ noncompliant ] }",
            broken: signal("not-compliant", after: "compliant"),
            whole: signal("compliant", after: "not-compliant")),
        ProviderCase(
            kind: "sentinelone", keys: "console-url: \"SITE\", api-token: SECRET",
            secret: "sentinelone-demo-token", rule: "tags: { matches-any: [ infected ] }",
            broken: .device("sentinelone", #"{"infected":true,"activeThreats":2}"#),
            whole: .device("sentinelone", #"{"infected":false,"activeThreats":0}"#)),
        ProviderCase(
            kind: "kolide", keys: "base-url: \"SITE\", api-token: SECRET", secret: "k2sk_v1_demo",
            rule: "tags: { matches-any: [ noncompliant ] }",
            broken: .device("kolide", #"{"auth_state":"Blocked"}"#),
            whole: .device("kolide", #"{"auth_state":"Good"}"#)),
        ProviderCase(
            kind: "google",
            keys: "base-url: \"SITE\", token-url: \"SITE/token\", service-account: "
                + "{ email: gatepost@demo.iam.gserviceaccount.com, admin: admin@corp.example, key: SECRET }",
            secret: "", rule: "managed: false",
            broken: .device("google", #"{"managementState":"BLOCKED"}"#),
            whole: .device("google", #"{"managementState":"APPROVED"}"#)),
        ProviderCase(
            kind: "fleet", keys: "base-url: \"SITE\", api-token: SECRET", secret: "fleet-demo-token",
            rule: "setting: { name: Disk encryption, states: [ fail ] }",
            broken: .device("fleet", "{\"policies\":\(policies.replacing("%", with: "fail"))}"),
            whole: .device("fleet", "{\"policies\":\(policies.replacing("%", with: "pass"))}")),
    ]

    /// Falcon scores Windows and macOS only, Jamf Pro and Kandji know Apple's devices only.
    static let onMac = [
        ProviderCase(
            kind: "crowdstrike",
            keys: "cloud: us-1, client-id: falcon-demo-client, client-secret: SECRET, base-url: \"SITE\"",
            secret: "falcon-demo-secret", rule: "score: \"< 60\"", platform: "macos",
            broken: .device("crowdstrike", #"{"zta":41}"#), whole: .device("crowdstrike", #"{"zta":83}"#)),
        ProviderCase(
            kind: "jamf", keys: "base-url: \"SITE\", client-id: jamf-demo-client, client-secret: SECRET",
            secret: "jamf-demo-secret", rule: "tags: { matches-any: [ noncompliant ] }", platform: "macos",
            broken: .device("jamf", #"{"compliance":"NON_COMPLIANT"}"#),
            whole: .device("jamf", #"{"compliance":"COMPLIANT"}"#)),
        ProviderCase(
            kind: "kandji", keys: "api-url: \"SITE\", api-token: SECRET", secret: "kandji-demo-token",
            rule: "setting: { name: FileVault, states: [ fail ] }", platform: "macos",
            broken: .device("kandji", "{\"parameters\":\(parameters.replacing("%", with: "ERROR"))}"),
            whole: .device("kandji", "{\"parameters\":\(parameters.replacing("%", with: "PASS"))}")),
    ]

    private static func signal(_ now: String, after before: String) -> LabChange {
        LabChange(
            path: "/signals/lab/events",
            body: """
                {"type": "device-compliance-change",
                 "subject": {"format": "complex", "device": {"format": "opaque", "id": "\(serial)"}},
                 "event": {"current_status": "\(now)", "previous_status": "\(before)", "event_timestamp": TIME}}
                """)
    }
}
