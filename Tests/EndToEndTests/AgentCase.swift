import Foundation
import Testing

/// What may answer on the agent's port instead of the person's own healthy agent.
struct AgentCase: CustomTestStringConvertible, Sendable {
    enum Kind { case nobody, otherUsers, otherGateways, foreignKey, revoked, unseen }

    var kind: Kind
    var reason: String
    /// Where only a picture shows whether the agent is there, one that shows none is not there.
    var reasonInWebKit: String?
    /// Words that the person must find on the page: what happened, and what to do.
    var words: [String]

    var testDescription: String { reason }

    func reason(in engine: Engine) -> String { engine == .webkit ? reasonInWebKit ?? reason : reason }

    static let all = [
        AgentCase(kind: .nobody, reason: "agent-not-running", words: ["Start it on this device"]),
        AgentCase(kind: .otherUsers, reason: "wrong-user", words: ["Try again"]),
        AgentCase(
            kind: .otherGateways, reason: "gateway-not-trusted", reasonInWebKit: "agent-not-running",
            words: ["Try again"]),
        AgentCase(
            kind: .foreignKey, reason: "signature-invalid",
            words: ["not signed by the key", "Enrol the device again"]),
        AgentCase(
            kind: .revoked, reason: "certificate-revoked",
            words: ["The device was revoked", "Ask your administrator"]),
        AgentCase(
            kind: .unseen, reason: "last-seen-stale",
            words: ["last seen by its management 7 days ago", "check in with its management"]),
    ]

    /// Puts it in the place of the agent that runs.
    func start(_ stack: Stack) throws {
        try stack.child("agent").stop()
        switch kind {
        case .nobody: return
        case .otherUsers:
            try Self.copy(stack, to: "other-users") { $0["users"] = [65_534] }
            try Self.startAgent(stack, "other-users")
        case .otherGateways:
            // The right names with other keys, as if the device had been enrolled at somebody else's gateway.
            try Self.copy(stack, to: "other-gateways") { enrolment in
                let roots = (enrolment["root_keys"] as? [String: Any])?["keys"] as? [[String: Any]] ?? []
                var set = enrolment["gateway_keys"] as? [String: Any] ?? [:]
                set["keys"] = (set["keys"] as? [[String: Any]] ?? []).map {
                    $0.merging(["x": roots[0]["x"] ?? "", "y": roots[0]["y"] ?? ""]) { $1 }
                }
                enrolment["gateway_keys"] = set
            }
            try Self.startAgent(stack, "other-gateways")
        case .foreignKey:
            // Knows everything that is public about the device, and has not its key.
            try Self.copy(stack, to: "foreign-key") { _ in }
            try stack.run(
                "/usr/bin/openssl",
                [
                    "genpkey", "-quiet", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out",
                    stack.agentFile("foreign-key", "device-key.pem").path,
                ])
            try Self.startOther(stack, "foreign-key")
        case .revoked:
            try Self.enrol(stack, "revoked")
            _ = try stack.gatepost("device", "revoke", try stack.deviceID(state: "revoked"))
            try Self.startAgent(stack, "revoked")
        case .unseen:
            try Self.enrol(stack, "unseen")
            // One second more than the seven days, and more than two minutes of clocks that differ.
            try Self.startOther(stack, "unseen", ["\(7 * 86_400 + 121)"])
        }
    }

    /// A state folder as the person's own agent has it, with another enrolment.
    private static func copy(
        _ stack: Stack, to state: String, _ change: (inout [String: Any]) throws -> Void
    ) throws {
        try? FileManager.default.removeItem(atPath: stack.path(state))
        try FileManager.default.copyItem(atPath: stack.path("agent"), toPath: stack.path(state))
        let file = stack.agentFile(state, "enrolment.json")
        let old = try JSONSerialization.jsonObject(with: Data(contentsOf: file))
        var enrolment = try #require(old as? [String: Any])
        try change(&enrolment)
        try JSONSerialization.data(withJSONObject: enrolment).write(to: file)
    }

    private static func enrol(_ stack: Stack, _ state: String) throws {
        let enrolment = stack.agentFile(state, "enrolment.json").path
        guard !FileManager.default.fileExists(atPath: enrolment) else { return }
        try "{}".write(toFile: stack.path("no-ids.json"), atomically: true, encoding: .utf8)
        try stack.enrolAlice(state: state, ids: stack.path("no-ids.json"))
    }

    private static func startAgent(_ stack: Stack, _ state: String) throws {
        try stack.start(
            "agent", stack.program("gatepost-agent"), ["run", "--state-dir", stack.path(state)])
        try stack.waitForAgent("agent")
    }

    /// Somebody else's program, which has the folder's key and certificates.
    private static func startOther(_ stack: Stack, _ state: String, _ options: [String] = []) throws {
        try stack.start(
            "agent", Provider.python(),
            [
                Programs.root.appending(path: "scripts/lib/mac-agent.py").path, stack.path(state),
                "\(Stack.agentPort)", stack.path("agent/device-ids.json"),
            ] + options)
        try stack.waitForAgent("agent")
    }
}
