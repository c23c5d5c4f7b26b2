/// A Shared Signals transmitter (SSF 1.0): stream management, push and poll, key rotation, and faults.

import Foundation
import JSON
import Signatures
import Synchronization

final class SignalTransmitter: Site {
    static let token = "lab-signals-token"
    static let clientID = "gatepost"
    static let clientSecret = "lab-signals-secret"
    static let audience = "https://gateway.example/ssf"
    static let queueMax = 10_000

    /// One stream and what waits on it.
    struct Stream: Sendable {
        var id: String
        var method: String
        var endpointURL: String?
        var authorization: String?
        var requested: [String]
        var description: String?
        var status = "enabled"
        var reason: String?
        var waiting: [Delivery] = []
        /// What receivers said of tokens that they refused, by `jti`.
        var refused: [String: String] = [:]
        var acknowledged: [String] = []
        var verifiedAtSeconds: Int64?
        /// Where nobody is on it by default, those that receivers added, each as it came.
        var subjects: [JSONValue] = []

        /// Whether one of these subjects, or of the names of one, is what the event is about.
        func tells(about subject: JSONObject) -> Bool {
            let about = SignalTransmitter.names(.object(subject))
            return subjects.contains { !SignalTransmitter.names($0).isDisjoint(with: about) }
        }
    }

    /// The simple identifiers of a subject, written out: two subjects that share one are the same here.
    static func names(_ subject: JSONValue) -> Set<String> {
        switch subject["format"]?.string {
        case "complex":
            Set((subject.object?.members ?? []).flatMap { $0.value.object == nil ? [] : names($0.value) })
        case "aliases": Set((subject["identifiers"]?.array ?? []).flatMap { names($0) })
        case _:
            [
                (subject.object?.members ?? []).sorted { $0.name < $1.name }
                    .map { "\($0.name)=\($0.value.string ?? "")" }.joined(separator: ";")
            ]
        }
    }

    /// A token that was not acknowledged yet.
    struct Delivery: Sendable {
        var tokenID: String
        var compact: String
        var madeAtSeconds: Int64
        var attempt = 0
        var dueAtSeconds: Int64
    }

    struct State: Sendable {
        var streams: [Stream] = []
        /// The first one signs; all are published.
        var keys: [SigningKey]
        var tokens: [String: Int64] = [:]
        var calls: [String: Int] = [:]
        var made = 0
        var verificationSecondsMin: Int64 = 0
        var inactivitySeconds: Int64?
        var longPollMilliseconds = 20_000
        var lastTokenID = ""
        var isPushing = false
    }

    let name = "signals"
    let clock: LabClock
    let faults = FaultSwitch<SignalFault>()
    let state: Mutex<State>
    /// `http://127.0.0.1:port/signals`: the issuer.
    let address: String
    private let pushesByItself: Bool

    /// - Parameter pushesByItself: delivers from a thread of its own; otherwise only when `push` is called.
    init(port: UInt16, clock: LabClock, pushesByItself: Bool = true) {
        self.clock = clock
        address = "http://127.0.0.1:\(port)/signals"
        state = Mutex(State(keys: [Self.newKey(1)]))
        self.pushesByItself = pushesByItself
    }

    /// From the first stream on that wants it.
    func startPushing() {
        let isFirst = state.withLock { state in
            defer { state.isPushing = true }
            return !state.isPushing
        }
        guard pushesByItself, isFirst else { return }
        Thread.detachNewThread { [weak self] in
            while self != nil {
                self?.push()
                Thread.sleep(forTimeInterval: 0.2)
            }
        }
    }

    static func newKey(_ number: Int) -> SigningKey {
        let key = SigningKey.generateP256()
        return (try? SigningKey(pem: key.pem, keyID: "key-\(number)")) ?? key
    }

    func answer(_ exchange: Exchange) throws {
        let path = exchange.head.path.split(separator: "/").map { Parameters.decode($0) ?? "" }
        state.withLock { $0.calls[exchange.head.method + " " + exchange.head.path, default: 0] += 1 }
        if path.first == ".well-known" { return try exchange.send(metadata(path)) }
        guard path.first == "signals" else { return try exchange.send(.text("Not here.\n", status: 404)) }
        let rest = Array(path.dropFirst())
        if rest.first == "lab" { return try exchange.send(control(Array(rest.dropFirst()), exchange)) }
        if faults.fires(.serverError) != nil { return try exchange.send(.json([:], status: 500)) }
        switch rest.first {
        case "jwks": return try exchange.send(keySet())
        case "token": return try exchange.send(issueToken(exchange))
        default: break
        }
        guard isAuthorized(exchange) else {
            return try exchange.send(
                .json([:], status: 401, fields: [("WWW-Authenticate", "Bearer")]))
        }
        switch rest.first {
        case "streams": try exchange.send(streams(exchange))
        case "status": try exchange.send(status(exchange))
        case "verify": try exchange.send(verify(exchange))
        case "subjects": try exchange.send(subjects(rest.last, exchange))
        case "poll": try exchange.send(poll(rest.last ?? "", exchange))
        default: try exchange.send(.json([:], status: 404))
        }
    }

    // MARK: Documents

    private func metadata(_ path: [String]) -> Response {
        guard path == [".well-known", "ssf-configuration", "signals"] else { return .json([:], status: 404) }
        let issuer = faults.fires(.metadataIssuer) == nil ? address : address + "/other"
        let own = faults.fires(.foreignEndpoint) == nil ? address : "https://elsewhere.example/signals"
        var document: JSONObject = [
            "spec_version": "1_0", "issuer": .string(issuer), "jwks_uri": .string(address + "/jwks"),
            "delivery_methods_supported": ["urn:ietf:rfc:8935", "urn:ietf:rfc:8936"],
            "configuration_endpoint": .string(own + "/streams"), "status_endpoint": .string(own + "/status"),
            "add_subject_endpoint": .string(own + "/subjects/add"),
            "remove_subject_endpoint": .string(own + "/subjects/remove"),
            "verification_endpoint": .string(own + "/verify"),
            "critical_subject_members": ["user", "application"],
            "authorization_schemes": [["spec_urn": "urn:ietf:rfc:6749"]], "default_subjects": "ALL",
        ]
        if faults.isActive(.nobodyByDefault) { document["default_subjects"] = "NONE" }
        if faults.fires(.wrongDefaultSubjects) != nil { document["default_subjects"] = "SOME" }
        if faults.fires(.noSubjectEndpoints) != nil {
            document["add_subject_endpoint"] = nil
            document["remove_subject_endpoint"] = nil
        }
        return .json(.object(document))
    }

    private func keySet() -> Response {
        let keys = faults.fires(.noKeys) == nil ? state.withLock { $0.keys } : []
        return .json(["keys": .array(keys.map { .object($0.publicKey.jwk) })])
    }

    private func issueToken(_ exchange: Exchange) throws -> Response {
        guard let form = Parameters(parsing: try exchange.readBody()),
            form["grant_type"] == "client_credentials", form["client_id"] == Self.clientID,
            form["client_secret"] == Self.clientSecret
        else { return .json(["error": "invalid_client"], status: 401) }
        let token = Base64URL.encode(Random.bytes(24))
        state.withLock { $0.tokens[token] = exchange.nowSeconds + 3_600 }
        return .json(["access_token": .string(token), "token_type": "Bearer", "expires_in": 3600])
    }

    private func isAuthorized(_ exchange: Exchange) -> Bool {
        guard let field = exchange.head.field("authorization"), field.hasPrefix("Bearer ") else {
            return false
        }
        let token = String(field.dropFirst(7))
        return token == Self.token || state.withLock { $0.tokens[token] ?? 0 } > exchange.nowSeconds
    }
}
