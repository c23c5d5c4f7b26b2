import Access
public import JSON
import Signatures
import Store

/// Who may ask for our verdicts in the external evaluation contract (providers.md 8.6): services that hold a
/// key of one of these certificates and sign for this audience.
struct EvaluationCaller: Sendable {
    static let assertionSecondsMax: Int64 = 3_600
    static let skewSeconds: Int64 = 60

    var integration: String
    var audience: String
    private let key: VerificationKey

    /// nil for a provider that names no caller.
    init?(_ connection: ProviderConnection) throws(ConnectorFailure) {
        guard connection.provider == CustomConnector.vendor.name,
            let pem = connection.files["caller-certificate"]
        else { return nil }
        integration = connection.integration
        audience = try connection.text("caller-audience")
        do throws(SignatureError) {
            key = try Certificate(pem: pem).publicKey
        } catch {
            throw ConnectorFailure(
                .configError, "integrations.\(connection.integration).caller-certificate: \(error.what)")
        }
    }

    /// A signed assertion for us, of now, that ends soon: a copy of it is of little use.
    func accepts(_ assertion: JWS, nowSeconds: Int64) -> Bool {
        guard assertion.verify(with: key), let claims = try? assertion.payloadObject,
            let ends = claims["exp"]?.integer, nowSeconds < ends,
            ends
                <= nowSeconds.addingReportingOverflow(Self.assertionSecondsMax + Self.skewSeconds)
                .partialValue
        else { return false }
        let audiences = claims["aud"]?.array?.compactMap(\.string) ?? claims["aud"]?.string.map { [$0] } ?? []
        guard audiences.contains(where: { ExactText.isEqual($0, audience) }) else { return false }
        for name in ["nbf", "iat"] {
            guard let time = claims[name] else { continue }
            guard let seconds = time.integer, seconds <= nowSeconds + Self.skewSeconds else { return false }
        }
        return true
    }
}

/// The answer to somebody who asks for our verdicts.
public struct EvaluationReply: Sendable, Hashable {
    /// HTTP status.
    public var status: Int
    /// The document.
    public var document: JSONValue

    static func refused(_ status: Int, _ what: String) -> EvaluationReply {
        EvaluationReply(status: status, document: ["success": false, "error": .string(what)])
    }
}

extension PostureService {
    /// Says a score for each device of a request in the external evaluation contract. Every id that was asked
    /// for is in the answer; a device that is not known, or of which nothing is known now, scores 0.
    ///
    /// - Parameters:
    ///   - assertion: `Cf-Access-Jwt-Assertion` of the request.
    ///   - body: at most 1,000 devices.
    /// - Returns: 403 for everybody but the configured callers, 400 for what is no such request.
    public func evaluate(assertion: String?, body: [UInt8]) async -> EvaluationReply {
        let now = clock.nowSeconds()
        guard let token = assertion.flatMap({ try? JWS(compact: $0) }),
            let caller = evaluationCallers.first(where: { $0.accepts(token, nowSeconds: now) })
        else { return .refused(403, "missing or invalid assertion") }
        guard let devices = (try? JSONValue(parsing: body))?["devices"]?.array else {
            return .refused(400, "no devices array")
        }
        guard devices.count <= EvaluationRequest.devicesMax else {
            return .refused(400, "more than \(EvaluationRequest.devicesMax) devices")
        }
        var result = JSONObject()
        for device in devices {
            guard let id = device["device_id"]?.string, !id.isEmpty, id.utf8.count <= 256 else {
                return .refused(400, "a device without a device_id")
            }
            result[id] = await evaluation(
                id, serial: device["serial_number"]?.string, for: caller, nowSeconds: now)
        }
        return EvaluationReply(status: 200, document: ["result": .object(result)])
    }

    /// By our own id first, then by a serial number that is pinned to a device's key.
    private func evaluation(
        _ id: String, serial: String?, for caller: EvaluationCaller, nowSeconds: Int64
    ) async -> JSONValue {
        let pinned = serial.flatMap { DeviceKey(.serial, $0) }.flatMap { directory.owner(of: $0) }
        let device = directory[id]?.id ?? pinned ?? ""
        guard let facts = await deviceFacts(id: device, statement: nil) else {
            return ["s2s_id": "", "score": 0]
        }
        // What the caller said itself is no news to it, and must not come back as ours.
        let verdicts = facts.verdicts.filter { !ExactText.isEqual($0.integration, caller.integration) }
        // One fresh verdict of each provider; the worst one counts, and one that is not fresh is no good one.
        var score: Int64 = verdicts.isEmpty ? 0 : EvaluationAnswer.scores.upperBound
        var state = Verdict.State.compliant
        var ends = nowSeconds + 3_600
        for verdict in verdicts {
            let own = verdict.isFresh(atSeconds: nowSeconds) ? Self.score(verdict.state) : 0
            if own <= score {
                (score, state) = (own, verdict.isFresh(atSeconds: nowSeconds) ? verdict.state : .unknown)
            }
            ends = min(ends, max(verdict.endsAtSeconds, nowSeconds))
        }
        if verdicts.isEmpty { (state, ends) = (.unknown, nowSeconds) }
        return [
            "s2s_id": .string(device), "score": .integer(score), "state": .string(state.rawValue),
            "expires_in": .integer(ends - nowSeconds),
        ]
    }

    private static func score(_ state: Verdict.State) -> Int64 {
        switch state {
        case .compliant: 100
        case .grace: 50
        case .noncompliant, .notManaged, .notFound, .ambiguous, .unknown, .error, .delegated: 0
        }
    }
}
