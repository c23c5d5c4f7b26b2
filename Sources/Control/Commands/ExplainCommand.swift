import Access
import Config
import Identity
import JSON
import Posture
import Store

/// `gatepost explain`: why somebody gets what they get, and what one request of theirs would get.
extension ControlPlane {
    func explain(_ command: JSONValue) async throws(StoreError) -> JSONValue {
        guard let name = command["application"]?.string else {
            return ["error": "explain needs an application"]
        }
        let services = services
        guard let policy = services.policy(name) else {
            let names = services.config.applications.map(\.name).joined(separator: ", ")
            return ["error": .string("no application \(name); there are: \(names)")]
        }
        let request: AskedRequest?
        switch AskedRequest.read(command, services.config.gateway.listeners) {
        case .success(let asked): request = asked
        case .failure(let refusal): return ["error": .string(refusal.what)]
        }
        let live = nowSeconds()
        let user = command["user"]?.string.map(EmailAddress.folded)
        var found: [StoredSession] = []
        if let user {
            found = try await store.sessions(.email(user), limit: 1_000).filter { $0.expiresAtSeconds > live }
        }
        let global =
            found.first {
                $0.kind == .global && policy.identityProviders.contains($0.identityProvider)
            } ?? found.first { $0.kind == .global }
        var device: DeviceFacts?
        if let id = command["device"]?.string {
            device = await services.posture.deviceFacts(
                id: id, statement: found.first { $0.deviceID == id }?.statement)
            guard device != nil else { return ["error": .string("no enrolled device \(id)")] }
            if let global { device = device?.asSeen(by: global) }
        } else if let global {
            device = await services.records.facts(of: global)
            // Connections show different certificates: it is about the one that was used last.
            let own = found.filter {
                $0.kind == .application && $0.globalID == global.id && $0.application == name
            }
            if let use = certified.lastUse(of: own.map(\.id)) {
                device = await services.records.shown(
                    device, use.claim, of: global, at: policy, nowSeconds: live)
            }
        }
        if let user, global == nil {
            return [
                "error": .string(
                    "nobody with the address \(user) is signed in, so nothing is known of them; "
                        + "leave the user out to ask about somebody who is not signed in")
            ]
        }
        let now = command["at"]?.integer ?? live
        let record = services.config.policy.explain(global?.facts, device, for: policy, atSeconds: now)
            .saying(services.config.checkRemedies)
        return ExplainText(
            record: record, user: user ?? "somebody", isSignedIn: global != nil, nowSeconds: now,
            request: request
        ).answer
    }
}

/// One request that somebody asks about, as the access log would have it.
struct AskedRequest: Sendable {
    var facts: RequestFacts
    var path: String
    var method: String
    var client: String
    /// The word of the access log (`client_from`); nil: the connection's own peer.
    var clientFrom: String?

    struct Refusal: Error { var what: String }

    /// - Returns: nil when no request is asked about.
    static func read(
        _ command: JSONValue, _ listeners: [ListenerSettings]
    ) -> Result<AskedRequest?, Refusal> {
        let path = command["path"]?.string
        let client = command["client"]?.string
        let method = command["method"]?.string
        var from = command["client_from"]?.string
        if path == nil, client == nil, method == nil, from == nil { return .success(nil) }
        if let refusal = problem(from, listeners) { return .failure(refusal) }
        if from == "connection" { from = nil }
        guard let path, let client else {
            return .failure(
                Refusal(what: "a request needs a path and the client's address; its method is GET"))
        }
        guard let address = NetworkAddress(parsing: client) else {
            return .failure(
                Refusal(what: "\(client) is not a numeric address; write for example 10.0.4.7 or 2001:db8::7")
            )
        }
        guard isCanonical(path) else {
            return .failure(
                Refusal(
                    what:
                        "\(path) is not a path as the access log has it: it begins with /, without a query, "
                        + "without // and dot segments"))
        }
        let word = method ?? RequestMethod.get.rawValue
        return .success(
            AskedRequest(
                facts: RequestFacts(method: RequestMethod(rawValue: word) ?? .other, client: address),
                path: path, method: word, client: client, clientFrom: from))
    }

    /// An address that nobody is believed to name is the connection's, whatever a request says.
    private static func problem(_ source: String?, _ listeners: [ListenerSettings]) -> Refusal? {
        let peers: [NetworkRange]
        switch source {
        case nil, "connection": return nil
        case "proxy-protocol": peers = listeners.flatMap(\.clientAddresses.proxyProtocolFrom)
        case "forwarded": peers = listeners.flatMap(\.clientAddresses.forwardedFrom)
        case .some(let word):
            return Refusal(
                what: "no client's address comes from \(word); write connection, proxy-protocol or forwarded")
        }
        guard peers.isEmpty else { return nil }
        return Refusal(
            what:
                "no listener believes anybody about clients (\(source ?? "")), so the address is the connection's; "
                + "see gateway.listeners[].\(source ?? "")")
    }

    /// What the gateway itself would refuse or write otherwise is no path to ask about.
    private static func isCanonical(_ path: String) -> Bool {
        path.hasPrefix("/") && !path.contains("//") && !path.contains("?") && !path.contains("#")
            && path.utf8.allSatisfy { $0 > 0x20 && $0 < 0x7f }
            && !path.split(separator: "/").contains { $0 == "." || $0 == ".." }
    }

    private func decision(_ residual: Residual) -> (word: String, reason: Reason, policy: String?) {
        // An answer about another second than now must not be "too old".
        var residual = residual
        residual.validUntilSeconds = .max
        switch residual.decide(facts, path: Array(path.utf8).span, atSeconds: 0) {
        case .forward(let index):
            return ("forward", residual.policies[index].reason, residual.policies[index].name)
        case .signIn, .recompute: return ("sign-in", .signInRequired, nil)
        case .refuse(let reason): return ("refuse", reason, nil)
        }
    }

    /// `GET /docs from 10.0.4.7: forward by staff (policy-allows)`.
    func text(by residual: Residual) -> String {
        let (word, reason, policy) = decision(residual)
        let source = clientFrom.map { " (by \($0))" } ?? ""
        return
            "\(method) \(path) from \(client)\(source): \(word)\(policy.map { " by \($0)" } ?? "") (\(reason.rawValue))"
    }

    func json(by residual: Residual) -> JSONValue {
        let (word, reason, policy) = decision(residual)
        return [
            "method": .string(method), "path": .string(path), "client": .string(client),
            "client_from": .string(clientFrom ?? "connection"), "outcome": .string(word),
            "reason": .string(reason.rawValue),
            "policy": policy.map { .string($0) } ?? .null,
        ]
    }
}
