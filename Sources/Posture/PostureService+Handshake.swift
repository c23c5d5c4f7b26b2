public import Access
public import JSON
import Signatures
import Store

extension PostureService {
    /// Starts a device check for a signed-in session (handshake.md M0).
    ///
    /// - Parameters:
    ///   - globalSession: id of the global session; only it may go on with this transaction.
    ///   - application: the configured application that asked.
    ///   - returnPath: where the browser goes on afterwards; kept, never interpreted; at most 8,192 bytes.
    ///   - agent: the application's `agent` integration; nil: the first.
    ///   - deviceOwner: whether somebody else's device counts.
    ///   - issuer: of the person, for the agent's hint; nil: none is sent.
    ///   - subject: of the person, for the agent's hint.
    ///   - demand: what the application asks of the handshake; it holds for this one whatever is configured meanwhile.
    /// - Returns: the transaction's id.
    public func start(
        globalSession: String, application: String, returnPath: String, agent: String? = nil,
        deviceOwner: DeviceOwner = .samePerson, issuer: String? = nil, subject: String? = nil,
        demand: PostureDemand? = nil
    ) throws(PostureRefusal) -> String {
        guard let integration = self.agent(named: agent) else {
            throw PostureRefusal(
                .agentNotConfigured, "no endpoint-agent integration \(agent ?? "") is configured")
        }
        guard returnPath.utf8.count <= 8192 else { throw PostureRefusal(.requestTooLarge, "return path") }
        var hint: String?
        if let issuer, let subject {
            let mac = Digest.hmacSHA256(key: hintKey, Array("\(issuer)\u{0}\(subject)".utf8))
            hint = Base64URL.encode(Array(mac.prefix(16)))
        }
        let id = Base64URL.encode(Random.bytes(24))
        let displaced = try transactions.start(
            Transaction(
                id: id, globalSession: globalSession, application: application, returnPath: returnPath,
                agent: integration.handshake.integration, deviceOwner: deviceOwner, subjectHint: hint,
                demand: demand, startedAtSeconds: clock.nowSeconds()))
        if let displaced { nonces.remove(transaction: displaced) }
        return id
    }

    /// The application and the way back of a live transaction of this session.
    public func returnPath(
        transaction: String, globalSession: String
    ) throws(PostureRefusal) -> (application: String, returnPath: String) {
        let found = try transactions.find(
            transaction, globalSession: globalSession, nowSeconds: clock.nowSeconds())
        return (found.application, found.returnPath)
    }

    /// Where a live device check leads, whoever asks: for a browser that came with another session than the one which
    /// started it, and has to sign in anew.
    public func destination(transaction: String) -> (application: String, returnPath: String)? {
        guard let found = transactions.peek(transaction, nowSeconds: clock.nowSeconds()) else { return nil }
        return (found.application, found.returnPath)
    }

    /// A fresh challenge for the page (handshake.md M1):
    /// `{transaction, challenge, expires_in_seconds, renew_in_seconds, now, agent: {urls, timeout_ms},
    /// transports}`.
    ///
    /// - Parameter isForUnaskedVisit: the page says that it is about to go to the agent without a click. Nothing is
    ///   granted by it: a proof that came so may be repeated the same way.
    public func challenge(
        transaction: String, globalSession: String, isForUnaskedVisit: Bool = false
    ) throws(PostureRefusal) -> JSONValue {
        let now = clock.nowSeconds()
        let found = try transactions.find(transaction, globalSession: globalSession, nowSeconds: now)
        guard let agent = agent(named: found.agent) else {
            throw PostureRefusal(.agentNotConfigured, "integration \(found.agent) is gone")
        }
        let issuer = ChallengeIssuer(
            settings: agent.handshake, ring: ring,
            isSharedKeyAccepted: agent.statements?.allowsSharedKey == true)
        var issued = issuer.issue(for: found, nowSeconds: now)
        issued.challenge.isForUnaskedVisit = isForUnaskedVisit
        try nonces.issue(issued.nonce, issued.challenge, nowSeconds: now)
        return [
            "transaction": .string(transaction),
            "challenge": .string(issued.jws),
            "expires_in_seconds": .integer(ChallengeIssuer.lifeSeconds),
            "renew_in_seconds": 45,
            "now": .integer(now),
            "agent": [
                "urls": .array(agent.handshake.ports.map { .string("http://127.0.0.1:\($0)/v1/attest") }),
                "timeout_ms": 60_000,
            ],
            "transports": .array(
                DemandCheck.transports(AssertionVerifier.transports, for: found.demand).map { .string($0) }),
        ]
    }

    /// Judges an agent's answer in exactly the order of handshake.md M5. The nonce is used up also by a
    /// failure.
    ///
    /// - Parameters:
    ///   - statement: the management server's words that came beside the answer (mode A).
    ///   - subjects: further names of the same person at the same issuer, by other registrations there.
    ///   - email: of the person, folded, for statements that name the owner by it.
    ///   - boundThumbprint: the device key that this session is bound to already, when it is.
    ///   - isReturn: it came in the address of a navigation, and only that way's answers may.
    /// - Throws: the refusal of the first line that does not hold. Alerts are written to the audit trail.
    public func assert(
        transaction: String, assertion: String, statement: String? = nil, globalSession: String,
        issuer: String, subject: String, knownAs subjects: [String] = [], email: String? = nil,
        boundThumbprint: String? = nil, isReturn: Bool = false
    ) async throws(PostureRefusal) -> DeviceProof {
        do throws(PostureRefusal) {
            let person = Person(issuer: issuer, subjects: [subject] + subjects, email: email)
            let judged: Judged
            do throws(PostureRefusal) {
                judged = try judge(
                    transaction: transaction, assertion: assertion, statement: statement,
                    globalSession: globalSession, person: person, boundThumbprint: boundThumbprint,
                    isReturn: isReturn)
            } catch {
                // What a refused answer's statement said stands, too: the one before it is not good again.
                try? await storeStatementTimes()
                throw error
            }
            return try await keep(judged)
        } catch {
            if error.isAlert {
                await audit(
                    "posture-alert",
                    [
                        "reason": .string(error.reason.rawValue), "detail": .string(error.detail),
                        "subject": .string(subject),
                    ])
            }
            throw error
        }
    }

    /// Who goes through the device check.
    struct Person {
        var issuer: String
        /// At least one; the first is the session's own.
        var subjects: [String]
        var email: String?
    }

    struct Judged {
        var proof: DeviceProof
        var device: StoredDevice
        var pinning: DeviceDirectory.Pinning
        var hadConflict: Bool
    }

    /// The whole judgement in one step of the actor: no await, so nothing changes between two lines.
    private func judge(
        transaction id: String, assertion: String, statement: String?, globalSession: String,
        person: Person, boundThumbprint: String?, isReturn: Bool
    ) throws(PostureRefusal) -> Judged {
        let now = clock.nowSeconds()
        guard assertion.utf8.count <= AssertionClaims.bytesMax else {
            throw PostureRefusal(.answerTooLarge, "an assertion of \(assertion.utf8.count) bytes")
        }
        if let statement, statement.utf8.count > DeviceStatement.bytesMax {
            throw PostureRefusal(.answerTooLarge, "a statement of \(statement.utf8.count) bytes")
        }
        let nonce = try AssertionClaims.nonce(ofUnverified: assertion)
        let challenge = try nonces.consume(nonce, nowSeconds: now)
        let transaction = try transactions.find(id, globalSession: globalSession, nowSeconds: now)
        let hash = ChallengeIssuer.transactionHash(session: globalSession, transaction: id)
        guard ExactText.isEqual(hash, challenge.transactionHash) else {
            throw PostureRefusal(
                .sessionMismatch, "the challenge was made for another device check", isAlert: true)
        }
        guard let agent = agent(named: transaction.agent) else {
            throw PostureRefusal(.agentNotConfigured, "integration \(transaction.agent) is gone")
        }
        let verifier = verifier(of: agent)
        let verified = try verifier.verify(
            assertion, statement: statement, challenge: challenge, nonce: nonce, nowSeconds: now
        ) {
            directory.isRevoked(directory.latest($0))
        }
        if let issued = verified.statement?.issuedAtSeconds {
            try statementTimes.take(issued, of: verified.deviceID, nowSeconds: now)
        }
        try WayCheck.verify(verified.claims, isReturn: isReturn)
        try checkNotWithdrawn(verified.links)
        let device = try map(
            verified, transaction: transaction, person: person, boundThumbprint: boundThumbprint,
            nowSeconds: now)
        try verifier.verifyManaged(verified, nowSeconds: now)
        try DemandCheck.verify(
            mode: verified.mode, transport: verified.claims.transport,
            agentVersion: verified.claims.agentVersion, by: transaction.demand)
        let known = directory[device.id]
        // By any of its certificates: this answer would otherwise put a good one in the place of the listed one.
        if let known, isRevoked(known) {
            throw PostureRefusal(.certificateRevoked, "device \(device.id) was revoked", isAlert: true)
        }
        directory.keep(device)
        if let leaf = verified.links.first { withdrawn.note(leaf, of: device.id) }
        if let known, known.ownerIssuer != device.ownerIssuer || known.ownerSubject != device.ownerSubject {
            announceChange([ExactKey(device.id)])
        }
        transactions.remove(id)
        return accept(
            verified, device.id, transaction: transaction, settings: agent.handshake,
            isUnasked: challenge.isForUnaskedVisit, nowSeconds: now)
    }

    /// Device known → the key that enrolled → counted once → owned by this person → bound to this session.
    ///
    /// - Returns: the device as it is to be kept when the rest holds as well.
    private func map(
        _ verified: AssertionVerifier.Verified, transaction: Transaction, person: Person,
        boundThumbprint: String?, nowSeconds: Int64
    ) throws(PostureRefusal) -> StoredDevice {
        var device = try known(verified, nowSeconds: nowSeconds)
        guard let counted = directory.count(verified.claims.counter, of: device) else {
            throw PostureRefusal(
                .statementInvalid,
                "counter \(verified.claims.counter) of device \(device.id) came twice or from "
                    + "far behind: its key may have been copied", isAlert: true)
        }
        device.counter = counted
        if let stated = verified.statement { own(&device, stated, person) }
        let isOwn =
            ExactText.isEqual(device.ownerIssuer, person.issuer)
            && ExactText.contains(person.subjects, device.ownerSubject)
        // The bound device may have enrolled again meanwhile: then what took its place is the same machine.
        let bound = boundThumbprint.map { directory.successor(ofThumbprint: $0) ?? "" }
        let isOther = bound.map { !ExactText.isEqual($0, device.id) } ?? false
        // Before the bound key: whoever takes the agent's port on this machine can answer for his own device, and must
        // not end somebody else's session by it.
        guard isOwn || transaction.deviceOwner == .any else {
            throw PostureRefusal(
                .deviceOwnerMismatch, "device \(device.id) belongs to somebody else", isAlert: isOther)
        }
        if isOther {
            var refusal = PostureRefusal(
                .sessionMismatch, "the session is bound to another device", isAlert: true)
            refusal.endsSession = isOwn
            throw refusal
        }
        return device
    }

    private func accept(
        _ verified: AssertionVerifier.Verified, _ id: String, transaction: Transaction,
        settings: HandshakeSettings, isUnasked: Bool, nowSeconds: Int64
    ) -> Judged {
        let transport = HandshakeTransport(wire: verified.claims.transport)
        let posture = verified.claims.posture
        let hadConflict = !directory.conflicts(of: id).isEmpty
        let pinning = directory.pin(deviceKeys(verified), to: id)
        var device = directory[id]
        if let platform = StatementFacts.platform(posture), device?.platform != platform {
            device?.platform = platform
            if let device { directory.keep(device) }
        }
        var facts = StatementFacts.facts(posture, requested: settings.requestedFacts)
        if !pinning.conflicting.isEmpty {
            facts[StatementFacts.conflictFact] = .list(pinning.conflicting.map(\.kind.rawValue).sorted())
        }
        let statement = AgentStatement(
            integration: settings.integration, verifiedAtSeconds: nowSeconds,
            expiresAtSeconds: nowSeconds + settings.ageSecondsMax,
            openUntilSeconds: nowSeconds + settings.ageSecondsMax + settings.graceSeconds,
            lastSeenSeconds: verified.lastSeenSeconds, isManaged: true,
            keyLevel: device?.keyLevel(
                stated: verified.claims.keyLevel, isMakerDemanded: settings.isChipMakerDemanded) ?? .software,
            agentVersion: verified.claims.agentVersion, osVersion: posture["os_version"]?.string ?? "",
            facts: facts, mode: verified.mode, transport: transport,
            isUnasked: transport == .navigation && isUnasked ? true : nil)
        guard let device else { preconditionFailure("device \(id) was mapped a line above") }
        return Judged(
            proof: DeviceProof(
                deviceID: id, thumbprint: verified.thumbprint, statement: statement,
                application: transaction.application, returnPath: transaction.returnPath),
            device: device, pinning: pinning, hadConflict: hadConflict)
    }

    /// Writes what was learned; a proof whose traces cannot be stored does not count.
    private func keep(_ judged: Judged) async throws(PostureRefusal) -> DeviceProof {
        let id = judged.device.id
        do throws(StoreError) {
            try await storeStatementTimes()
            try await store.upsert(directory[id] ?? judged.device)
        } catch {
            throw PostureRefusal(.storeUnavailable, error.description)
        }
        // The device may have been revoked while the disk was writing.
        guard let device = directory[id], !isRevoked(device) else {
            throw PostureRefusal(.certificateRevoked, "device \(id) was revoked meanwhile", isAlert: true)
        }
        for key in judged.pinning.conflicting {
            await audit(
                "device-id-conflict",
                ["device": .string(id), "kind": .string(key.kind.rawValue), "stated": .string(key.value)])
        }
        let isConflicting = !judged.pinning.conflicting.isEmpty
        if !judged.pinning.pinned.isEmpty || isConflicting != judged.hadConflict {
            announceChange([ExactKey(id)])
        }
        for connector in connectors {
            schedule.add(
                device: id, integration: connector.integration, pace: connector.pace,
                nowSeconds: clock.nowSeconds(),
                random: random())
        }
        return judged.proof
    }

    func agent(named name: String?) -> AgentIntegration? {
        guard let name else { return agents.first }
        return agents.first { ExactText.isEqual($0.handshake.integration, name) }
    }
}
