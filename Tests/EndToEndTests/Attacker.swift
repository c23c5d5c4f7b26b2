import Foundation

/// A device check without a browser: what the page's script does, one step at a time.
struct ScriptedCheck {
    private static let auth = "https://\(PrivateNetwork.authHost)"

    let client: Client
    let transaction: String

    /// Signs in at an application that asks for a device, up to the device check.
    init(_ stack: Stack, application: String, user: String) throws {
        client = Client(stack)
        let form = try client.answerForm(of: application, user: user)
        let visited = try client.follow(form).visited
        guard let start = visited.last(where: { $0.contains("/.gatepost/posture/start?tx=") }),
            let id = start.split(separator: "=").last
        else { throw Failure(description: "no device check began: \(visited)") }
        transaction = String(id)
    }

    var address: String { "\(Self.auth)/.gatepost/posture/start?tx=\(transaction)" }

    /// A challenge of this device check.
    func challenge() throws -> String {
        let answer = try post("/.gatepost/posture/challenge", ["tx": transaction])
        let body = try JSONSerialization.jsonObject(with: Data(answer.body.utf8)) as? [String: Any]
        guard let challenge = body?["challenge"] as? String else {
            throw Failure(description: "no challenge: \(answer)")
        }
        return challenge
    }

    /// What the agent of the machine signs for whoever can send any field, as no page can.
    func assertion(for challenge: String) throws -> String {
        let answer = try client.post(
            json: ["challenge": challenge], to: "http://127.0.0.1:\(Stack.agentPort)/v1/attest",
            origin: Self.auth)
        let body = try JSONSerialization.jsonObject(with: Data(answer.body.utf8)) as? [String: Any]
        guard let assertion = body?["assertion"] as? String else {
            throw Failure(description: "no assertion: \(answer)")
        }
        return assertion
    }

    /// Brings an assertion to the gateway with the client's own session.
    func send(_ assertion: String) throws -> Answer {
        try post("/.gatepost/posture/assert", ["tx": transaction, "assertion": assertion])
    }

    private func post(_ path: String, _ body: [String: String]) throws -> Answer {
        try client.post(json: body, to: Self.auth + path, origin: Self.auth)
    }
}

/// Somebody with a session of his own and no healthy device, who wants another person's agent to answer for him.
struct Attacker {
    private let check: ScriptedCheck

    /// Signs in as Bob, up to the device check.
    init(_ stack: Stack) throws {
        check = try ScriptedCheck(stack, application: EngineStage.application, user: "bob")
    }

    var transaction: String { check.transaction }
    var address: String { check.address }

    /// A challenge of his own device check.
    func challenge() throws -> String { try check.challenge() }

    func assertion(for challenge: String) throws -> String { try check.assertion(for: challenge) }

    /// Brings an assertion to the gateway with his own session; "200" or the status and the reason.
    func assert(_ assertion: String) throws -> String {
        let answer = try check.send(assertion)
        return [String(answer.status), answer.field("gatepost-reason")].compactMap(\.self)
            .joined(separator: " ")
    }

    /// Whether his session sees the application.
    func isInside() throws -> Bool {
        try check.client.get(EngineStage.origin + "/attacker").status == 200
    }
}

extension Client {
    /// What the device-check page sends.
    func post(json body: [String: String], to url: String, origin: String) throws -> Answer {
        let data = try JSONSerialization.data(withJSONObject: body)
        return try fetch(
            url,
            [
                "-H", "Origin: \(origin)", "-H", "Content-Type: application/json", "-H",
                "X-Gatepost-Request: 1",
                "--data-binary", String(decoding: data, as: UTF8.self),
            ])
    }
}
