import Access
import Border
import Config
import Identity
import Posture
import Store

/// Makes what a reactor caches of a session: the residual decision and the fields that the upstream gets.
struct SessionRecords: Sendable {
    var config: ConfigSnapshot
    /// Of `config`.
    var applications: ApplicationPlaces
    var assertion: Assertion
    var posture: PostureService
    var store: any GatewayStore
    var decisions: DecisionRecorder
    /// The shortest idle time of this configuration; nil: there is none.
    var shortestIdleSeconds: Int64?

    /// Decides one session; see the one for many.
    func decided(
        _ session: StoredSession, beside use: CertifiedSession? = nil, sequence: UInt64, nowSeconds: Int64
    ) async throws(StoreError) -> DecidedSession? {
        try await decided([session], beside: [use], sequence: sequence, nowSeconds: nowSeconds)[0]
    }

    /// Decides sessions, in their order, with one read of the store and one question about devices for all of them.
    ///
    /// Their records have no identity fields yet; `signed` makes them for those that let somebody in.
    ///
    /// - Parameters:
    ///   - uses: of each session the certificate beside which it is decided; empty: none is.
    ///   - sequence: the revocation sequence read *before* the sessions were loaded.
    ///   - known: sign-ins by id that were loaded after `sequence` was read, too: they are not read again.
    /// - Returns: nil for a session that is not one of a configured application, or whose sign-in has ended.
    func decided(
        _ sessions: [StoredSession], beside uses: [CertifiedSession?] = [],
        under known: [String: StoredSession] = [:], sequence: UInt64,
        nowSeconds: Int64
    ) async throws(StoreError) -> [DecidedSession?] {
        let globals = try await globals(of: sessions, among: known, nowSeconds: nowSeconds)
        let owners = sessions.map { session in session.globalID.flatMap { globals[$0] } }
        let devices = await posture.deviceFacts(of: owners.map { $0.flatMap(question) })
        var all: [DecidedSession?] = []
        all.reserveCapacity(sessions.count)
        for (index, session) in sessions.enumerated() {
            guard let owner = owners[index] else {
                all.append(nil)
                continue
            }
            let agent = devices[index]?.asSeen(by: owner)
            var beside: Beside?
            if !uses.isEmpty, let use = uses[index] {
                beside = await self.beside(use, agent, of: owner, session, nowSeconds)
            }
            all.append(
                decided(
                    session, of: owner, on: beside == nil ? agent : beside?.device, beside,
                    sequence: sequence, nowSeconds: nowSeconds))
        }
        return all
    }

    /// A session on connections that showed a certificate.
    private struct Beside {
        var use: CertifiedSession
        /// That counts there.
        var device: DeviceFacts?
        /// What holds of what is open once the certificate counts no more.
        var without: Residual
        /// The certificate says nothing at the application any more: the next request asks anew.
        var isOver: Bool
    }

    private func beside(
        _ use: CertifiedSession, _ agent: DeviceFacts?, of global: StoredSession, _ session: StoredSession,
        _ nowSeconds: Int64
    ) async -> Beside? {
        guard let name = session.application, let policy = config.policy.application(named: name) else {
            return nil
        }
        return Beside(
            use: use,
            device: await shown(agent, use.claim, of: global, at: policy, nowSeconds: nowSeconds),
            without: config.policy.residual(
                of: session.facts, agent?.forWhatIsOpen, for: policy, atSeconds: nowSeconds),
            isOver: !policy.accepts(.certificate) || nowSeconds >= use.claim.notAfterSeconds)
    }

    /// The device belongs to the person's global session: one proof counts for every application.
    private func globals(
        of sessions: [StoredSession], among known: [String: StoredSession], nowSeconds: Int64
    ) async throws(StoreError) -> [String: StoredSession] {
        var globals: [String: StoredSession] = [:]
        var ids: Set<String> = []
        for session in sessions where session.kind == .application {
            guard let id = session.globalID, globals[id] == nil else { continue }
            if let global = known[id] { globals[id] = global } else { ids.insert(id) }
        }
        if !ids.isEmpty {
            for global in try await store.sessions(.ids(ids.sorted()), limit: ids.count) {
                globals[global.id] = global
            }
        }
        return globals.filter { $0.value.expiresAtSeconds > nowSeconds }
    }

    private func decided(
        _ session: StoredSession, of global: StoredSession, on device: DeviceFacts?, _ beside: Beside?,
        sequence: UInt64, nowSeconds: Int64
    ) -> DecidedSession? {
        guard session.kind == .application, let name = session.application,
            let policy = applications.policy(name), let settings = applications.settings(name)
        else { return nil }
        let facts = session.facts
        let assessed = config.policy.assess(facts, device, for: policy, atSeconds: nowSeconds)
        decisions.evaluations.add()
        let decided = assessed.residual
        var residual = decided
        let open = open(to: facts, device, policy, else: assessed, nowSeconds)
        // The assertion inside the record must not outlive its own expiry, so the record does not either.
        let assertionEnds = nowSeconds + Assertion.lifetimeSeconds - 20
        residual.validUntilSeconds = min(residual.validUntilSeconds, assertionEnds, session.expiresAtSeconds)
        // A use has to be heard of before its session, or the sign-in that others below it are judged by, counts as
        // unused; and a record that a reload makes for somebody who left must let nobody in unheard.
        let idleEnd = shortestIdleSeconds.map { Sessions.idleEndSeconds(session, idleSeconds: $0) } ?? .max
        residual.validUntilSeconds = min(residual.validUntilSeconds, idleEnd)
        // A proof that does not count tells the upstream nothing either.
        let counted = device.flatMap { policy.counted($0, atSeconds: nowSeconds).device }
        let result = counted.map {
            // What the policies asked of the device is the same question.
            assessed.device
                ?? config.policy.deviceResult(
                    of: $0, for: facts.person, owner: policy.deviceOwner, outage: policy.outage,
                    atSeconds: nowSeconds, recordingLines: false)
        }
        var record = SessionRecord(
            sequence: sequence, tokenDigest: session.tokenDigest, session: session.id,
            person: "\(session.issuer) \(session.subject)",
            device: device?.certificate?.isAlone == true ? device?.id : global.deviceID, application: name,
            residual: residual, identityFields: [], expiresAtSeconds: session.expiresAtSeconds)
        // Also of a record that nobody asked for: its note may be old, and the next use needs another.
        record.useNotedUntilSeconds =
            shortestIdleSeconds.map { Sessions.useNotedUntilSeconds(session, idleSeconds: $0) } ?? .max
        record.renewAtSeconds = min(
            nowSeconds + Assertion.lifetimeSeconds / 2, record.useNotedUntilSeconds)
        record.streamsUntilSeconds = min(open.validUntilSeconds, session.expiresAtSeconds)
        record.streamsUntilSeconds = min(record.streamsUntilSeconds, idleEnd)
        if open.policies != residual.policies || open.validUntilSeconds != decided.validUntilSeconds {
            record.openResidual = open
        }
        if let beside {
            let certificate = CertificateUse(digest: beside.use.claim.tokenDigest, without: beside.without)
            record.stand(beside: certificate, untilSeconds: beside.use.claim.notAfterSeconds)
            if beside.isOver { record.endForRequests() }
        }
        // Where a certificate proves the device, the agent is not asked ahead of need.
        if settings.agent != nil, let device = counted, device.certificate == nil,
            decided.policies.contains(where: \.grants)
        {
            record.recheckAtSeconds = recheckAtSeconds(of: device, for: policy) ?? .max
        }
        record.stepUps = config.policy.stepUps(
            of: facts, device, for: policy, decided: decided, atSeconds: nowSeconds
        ).map { $0.way }
        decisions.evaluations.add(record.stepUps.count)
        record.decision = decisions.record(
            MadeDecision(
                atSeconds: nowSeconds, application: name, session: facts, device: device,
                policy: config.policy, residual: decided, open: record.openResidual, deviceResult: result,
                connection: beside.map { Hexadecimal.text($0.use.claim.tokenDigest.prefix(8)) }))
        return DecidedSession(
            session: session, record: record, device: device, result: result, fields: settings.fields,
            atSeconds: nowSeconds, use: beside?.use)
    }

    /// What is open has a grace of its own when only the handshake has grown old; else it is the same decision, which
    /// may last longer.
    private func open(
        to facts: SessionFacts, _ device: DeviceFacts?, _ policy: Application, else assessed: Assessment,
        _ nowSeconds: Int64
    ) -> Residual {
        guard let statement = device?.statement,
            (statement.openUntilSeconds ?? .min) > statement.expiresAtSeconds
        else { return assessed.residual }
        if let until = assessed.openUntilSeconds {
            var open = assessed.residual
            open.validUntilSeconds = until
            return open
        }
        decisions.evaluations.add()
        return config.policy.residual(of: facts, device?.forWhatIsOpen, for: policy, atSeconds: nowSeconds)
    }

    /// The record with what the upstream gets: the assertion and the configured fields. One that lets nobody in
    /// needs neither, and a signature is what costs most of a decision.
    func signed(_ record: SessionRecord, of decided: DecidedSession) -> SessionRecord {
        guard record.residual.policies.contains(where: \.grants) else { return record }
        let made = assertion.token(
            for: decided.session, application: record.application, deviceID: record.device,
            device: decided.result, nowSeconds: decided.atSeconds)
        var record = record
        record.identityFields = fields(decided.fields, decided.session, token: made.token)
        // One that was made before ends before: the record does too, and asks for the next in time.
        let end = made.atSeconds + Assertion.lifetimeSeconds - 20
        if end < record.residual.validUntilSeconds {
            record.openResidual = record.openResidual ?? record.residual
            record.residual.validUntilSeconds = end
        }
        record.renewAtSeconds = min(record.renewAtSeconds, made.atSeconds + AssertionCache.reuseSeconds)
        return record
    }

    /// The device of a global session with the statement that this session itself obtained.
    func facts(of global: StoredSession) async -> DeviceFacts? {
        await posture.deviceFacts(of: [question(global)])[0]?.asSeen(by: global)
    }

    private func question(_ global: StoredSession) -> DeviceQuestion? {
        guard let id = global.deviceID else { return nil }
        let provider = config.identityProviders.first {
            ExactText.isEqual($0.name, global.identityProvider)
        }
        var claimed: String?
        if let name = provider?.further.deviceClaim, case .text(let text)? = global.claims[name] {
            claimed = text
        }
        return DeviceQuestion(id: id, statement: global.statement, claimedEntraID: claimed)
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
