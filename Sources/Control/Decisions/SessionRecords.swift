import Access
import Border
import Config
import Posture
import Store

/// Makes what a reactor caches of a session: the residual decision and the fields that the upstream gets.
struct SessionRecords: Sendable {
    var config: ConfigSnapshot
    var assertion: Assertion
    var posture: PostureService
    var store: any GatewayStore
    var decisions: DecisionRecorder

    /// - Parameter sequence: the revocation sequence read *before* `session` was loaded.
    /// - Returns: nil when the session is not one of this application.
    func decided(_ session: StoredSession, sequence: UInt64, nowSeconds: Int64) async throws(StoreError)
        -> DecidedSession?
    {
        guard session.kind == .application, let name = session.application,
            let policy = config.policy.applications.first(where: { $0.name == name }),
            let settings = config.applications.first(where: { $0.name == name })
        else { return nil }
        // The device belongs to the person's global session: one proof counts for every application.
        guard let globalID = session.globalID, let global = try await store.session(id: globalID),
            global.expiresAtSeconds > nowSeconds
        else { return nil }
        let device = await facts(of: global)
        var residual = config.policy.residual(of: session.facts, device, for: policy, atSeconds: nowSeconds)
        let decided = residual
        // What is open has a grace of its own when only the handshake has grown old.
        let open = config.policy.residual(
            of: session.facts, device?.forWhatIsOpen, for: policy, atSeconds: nowSeconds)
        let decidedUntil = min(open.validUntilSeconds, session.expiresAtSeconds)
        // The assertion inside the record must not outlive its own expiry, so the record does not either.
        let assertionEnds = nowSeconds + Assertion.lifetimeSeconds - 20
        residual.validUntilSeconds = min(residual.validUntilSeconds, assertionEnds, session.expiresAtSeconds)
        let result = device.map {
            config.policy.deviceResult(
                of: $0, for: session.facts.person, owner: policy.deviceOwner, outage: policy.outage,
                atSeconds: nowSeconds,
                recordingLines: false)
        }
        let token = assertion.token(
            for: session, application: name, deviceID: global.deviceID, device: result, nowSeconds: nowSeconds
        )
        var record = SessionRecord(
            sequence: sequence, tokenDigest: session.tokenDigest, session: session.id,
            person: "\(session.issuer) \(session.subject)", device: global.deviceID, application: name,
            residual: residual, identityFields: fields(settings.fields, session, token: token),
            expiresAtSeconds: session.expiresAtSeconds)
        record.renewAtSeconds = nowSeconds + Assertion.lifetimeSeconds / 2
        record.streamsUntilSeconds = decidedUntil
        if open.policies != residual.policies || open.validUntilSeconds != decided.validUntilSeconds {
            record.openResidual = open
        }
        record.stepUps = config.policy.stepUps(
            of: session.facts, device, for: policy, atSeconds: nowSeconds
        ).map { $0.way }
        record.decision = decisions.record(
            MadeDecision(
                atSeconds: nowSeconds, application: name, session: session.facts, device: device,
                policy: config.policy, residual: decided, open: record.openResidual, deviceResult: result))
        return DecidedSession(session: session, record: record, device: device)
    }

    /// The device of a global session with the statement that this session itself obtained.
    func facts(of global: StoredSession) async -> DeviceFacts? {
        guard let id = global.deviceID else { return nil }
        return await posture.deviceFacts(id: id, statement: global.statement)
    }

    private func fields(_ configured: [FieldSettings], _ session: StoredSession, token: String) -> [UInt8] {
        var bytes = Array("Gatepost-Assertion: \(token)\r\n".utf8)
        for field in configured {
            guard let value = Self.value(of: field.claim, in: session), Self.isFieldValue(value) else {
                continue
            }
            bytes += Array("\(field.field): \(value)\r\n".utf8)
        }
        return bytes
    }

    private static func value(of claim: String, in session: StoredSession) -> String? {
        switch claim {
        case "email": return session.email
        case "name": return session.name
        case "subject": return session.subject
        case "groups": return joined(session.groups)
        case _: break
        }
        switch session.claims[claim] {
        case .text(let text): return text
        case .list(let list): return joined(list)
        case .flag(let flag): return flag ? "true" : "false"
        case .integer(let number): return String(number)
        case nil: return nil
        }
    }

    /// A value with a comma would read as two upstream; it is left out, never repaired.
    private static func joined(_ list: [String]) -> String {
        list.filter { !$0.utf8.contains(UInt8(ascii: ",")) }.joined(separator: ",")
    }

    /// RFC 9110 §5.5: no control characters. A value with one is left out, never repaired: a claim is the
    /// provider's text, and a line break in it would write further fields.
    private static func isFieldValue(_ text: String) -> Bool {
        !text.isEmpty && text.utf8.count <= 4_096 && text.utf8.allSatisfy { $0 >= 0x20 && $0 != 0x7f }
            && text.utf8.first != 0x20 && text.utf8.last != 0x20
    }
}
