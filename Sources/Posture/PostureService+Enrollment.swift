import Access
public import JSON
import Signatures
import Store

extension PostureService {
    /// Makes a one-time right for one person to enrol one device within 24 hours. Only its digest is stored.
    ///
    /// - Parameter expectedSerial: when given, only a device that names this serial number may use it.
    /// - Returns: the token, 43 characters; it is shown once.
    public func createEnrollmentToken(
        issuer: String, subject: String, email: String?, expectedSerial: String? = nil
    ) async throws(PostureRefusal) -> String {
        let enrollment = try enrollment()
        do throws(StoreError) {
            let token = try await enrollment.createToken(
                issuer: issuer, subject: subject, email: email, expectedSerial: expectedSerial,
                nowSeconds: clock.nowSeconds())
            await audit("enrollment-token-created", ["subject": .string(subject)])
            return token
        } catch {
            throw PostureRefusal(.storeUnavailable, error.description)
        }
    }

    /// `POST enroll` with `{token, attestation: {ek, ak, ek_certificate?}}`: the first step of
    /// `KeyAttestation`. The token must be good and stays it.
    ///
    /// - Returns: `{attempt, credential, seed, nonce}`, each in base64.
    private func openAttestation(_ body: JSONValue) async throws(PostureRefusal) -> JSONValue {
        let enrollment = try enrollment()
        let now = clock.nowSeconds()
        let opening = try KeyAttestation.Opening(body["attestation"] ?? .null)
        let digest = Digest.sha256(Array(try Enrollment.Request.token(of: body).utf8))
        try await enrollment.checkToken(digest: digest, nowSeconds: now)
        let (attempt, sealed) = try KeyAttestation.open(
            opening, tokenDigest: digest, authorities: enrollment.settings.chipAuthorities, nowSeconds: now)
        let key = Random.bytes(AttestationAttempts.keyBytes)
        try attestations.keep(attempt, as: key, nowSeconds: now)
        return [
            "attempt": .string(Base64.encode(key)), "nonce": .string(Base64.encode(attempt.nonce)),
            "credential": .string(Base64.encode(sealed.credential)),
            "seed": .string(Base64.encode(sealed.seed)),
        ]
    }

    /// What the request proves about its key. Without a proof the agent's word makes a claim of it.
    private func standing(
        of request: Enrollment.Request, _ enrollment: Enrollment, nowSeconds: Int64
    ) async throws(PostureRefusal) -> KeyAttestation.Standing {
        try await enrollment.checkToken(digest: request.tokenDigest, nowSeconds: nowSeconds)
        let requested = try enrollment.requestedKey(request)
        // Before the token is used up.
        try checkUnknown(requested.thumbprint)
        guard let proof = request.proof else {
            return KeyAttestation.Standing(level: request.claimsHardware ? .claimed : .software)
        }
        let attempt = try attestations.take(
            proof.attempt, tokenDigest: request.tokenDigest, nowSeconds: nowSeconds)
        let standing = try KeyAttestation.verify(
            proof, of: attempt, requested: requested,
            isMakerDemanded: enrollment.settings.chipAuthorities != nil)
        if let problem = attempt.makerProblem, enrollment.settings.chipAuthorities != nil {
            await audit(
                "chip-maker-unknown",
                ["chip": .string(standing.chipID ?? ""), "what": .string(problem)])
        }
        return standing
    }

    /// One key is one device: a second one under it would share its counter and its end. Also one that was revoked.
    private func checkUnknown(_ thumbprint: String) throws(PostureRefusal) {
        if let holder = directory.holder(ofThumbprint: thumbprint) {
            throw PostureRefusal(.deviceKeyKnown, "the key is that of device \(holder)")
        }
    }

    /// `POST enroll` with `{token, csr, facts, predecessor?, key?, attestation?}`: the token is used up, a
    /// certificate issued, and the stated ids are pinned. A machine that enrols again takes the place of its
    /// older device when `Succession` says so; that one is revoked in the same transaction.
    ///
    /// - Returns: `{device_id, certificates, gateway_keys, auth_origin, audience, port, renew_after_seconds,
    ///   not_after, now, key}`.
    public func enroll(_ body: JSONValue) async throws(PostureRefusal) -> JSONValue {
        if body["csr"] == nil, body["attestation"] != nil { return try await openAttestation(body) }
        let enrollment = try enrollment()
        let now = clock.nowSeconds()
        let request = try Enrollment.Request(body)
        var claim: Succession.Claim?
        if let proof = request.predecessor {
            let origin = enrollment.handshake.authOrigin
            claim = try Succession.claim(proof, request: request, authOrigin: origin)
        }
        let standing = try await standing(of: request, enrollment, nowSeconds: now)
        let enrolled = try await enrollment.enroll(request, standing: standing, nowSeconds: now)
        attestations.remove(tokenDigest: enrolled.token.tokenDigest)
        // No await from here to the store: looking for the key and the predecessor and taking their ids is one step.
        do throws(PostureRefusal) {
            try checkUnknown(enrolled.device.keyThumbprint)
        } catch {
            // Somebody enrolled with it at the same moment.
            try? await store.insert(enrolled.token)
            throw error
        }
        let keys = StatementFacts.deviceKeys(request.posture)
        let old = Succession.predecessor(
            of: enrolled.token, keys: keys, claim: claim, provenSerial: enrolled.token.expectedSerial,
            in: directory)
        let id = enrolled.device.id
        if let old { _ = directory.revoke(old.device.id, supersededBy: id) }
        directory.keep(enrolled.device)
        let pinning = directory.pin(keys, to: id)
        let device = directory[id] ?? enrolled.device
        do throws(StoreError) {
            if let old {
                try await store.upsert(device, superseding: old.device.id)
            } else {
                try await store.upsert(device)
            }
        } catch {
            // Not stored is not enrolled: the device would be gone after the next start, and the old one is
            // still the one that counts.
            directory.forget(id, restoring: old?.device)
            // And its token is good again, as far as the disk lets it be.
            try? await store.insert(enrolled.token)
            throw PostureRefusal(.storeUnavailable, error.description)
        }
        if let old { await noteSuperseded(old.device, by: device, old.proof) }
        await noteEnrolled(device, pinning, nowSeconds: now)
        return enrollment.answer(for: device, certificate: enrolled.certificate, nowSeconds: now)
    }

    private func noteSuperseded(_ old: StoredDevice, by device: StoredDevice, _ proof: Succession.Proof) async
    {
        schedule.remove(device: old.id)
        announceChange([ExactKey(old.id)])
        await audit(
            "device-superseded",
            [
                "device": .string(old.id), "by": .string(device.id), "proof": .string(proof.rawValue),
                "subject": .string(device.ownerSubject),
            ])
    }

    private func noteEnrolled(
        _ device: StoredDevice, _ pinning: DeviceDirectory.Pinning, nowSeconds: Int64
    ) async {
        await audit(
            "device-enrolled",
            [
                "device": .string(device.id), "subject": .string(device.ownerSubject),
                "key": .string(device.keyLevel.rawValue), "chip": device.chipID.map { .string($0) } ?? .null,
            ])
        for key in pinning.conflicting {
            await audit(
                "device-id-conflict",
                [
                    "device": .string(device.id), "kind": .string(key.kind.rawValue),
                    "stated": .string(key.value),
                ])
        }
        for connector in connectors {
            schedule.add(
                device: device.id, integration: connector.integration, pace: connector.pace,
                nowSeconds: nowSeconds, random: random())
        }
    }

    /// `POST renew` with `{proof}`: a JWS by the current device key over its next certificate request. The
    /// answer is that of `enroll`, with the current set of gateway keys.
    public func renew(_ body: JSONValue) async throws(PostureRefusal) -> JSONValue {
        let enrollment = try enrollment()
        let now = clock.nowSeconds()
        let renewal = try enrollment.verifyRenewal(body, nowSeconds: now)
        try checkNotWithdrawn(
            renewal.links, integration: enrollment.handshake.integration, nowSeconds: now)
        let isFirst: Bool
        do throws(StoreError) {
            isFirst = try await store.consumeNonce(
                Digest.sha256(Array("renewal".utf8) + renewal.proofID),
                expiresAtSeconds: renewal.expiresAtSeconds)
        } catch {
            throw PostureRefusal(.storeUnavailable, error.description)
        }
        guard isFirst else { throw PostureRefusal(.nonceUsed, "this renewal was made before") }
        guard var device = directory[renewal.deviceID] else {
            throw PostureRefusal(.deviceUnknown, "device \(renewal.deviceID) is not enrolled here")
        }
        // Also by a list that names another of its certificates: an older one must not bring the device back.
        guard !isRevoked(device) else {
            throw PostureRefusal(.certificateRevoked, "device \(device.id) was revoked", isAlert: true)
        }
        guard ExactText.isEqual(device.keyThumbprint, renewal.thumbprint) else {
            throw PostureRefusal(
                .certificateRevoked, "device \(device.id) enrolled with another key", isAlert: true)
        }
        let certificate = try enrollment.issue(renewal.csr, deviceID: device.id, nowSeconds: now)
        // A new key would silently move sessions and pinned ids to it: that is an enrolment, not a renewal.
        guard ExactText.isEqual(certificate.publicKey.thumbprint, device.keyThumbprint) else {
            throw PostureRefusal(.signatureInvalid, "the request is for another key", isAlert: true)
        }
        device.certificateSerial = certificate.serialHex
        device.certificateNotAfterSeconds = certificate.notAfterSeconds
        directory.keep(device)
        do throws(StoreError) {
            try await store.upsert(device)
        } catch {
            throw PostureRefusal(.storeUnavailable, error.description)
        }
        return enrollment.answer(for: device, certificate: certificate, nowSeconds: now)
    }

    private func enrollment() throws(PostureRefusal) -> Enrollment {
        guard let agent = agents.first(where: { $0.authority?.canIssue == true }),
            let authority = agent.authority
        else {
            throw PostureRefusal(
                .enrollmentTokenInvalid, "no endpoint-agent integration can issue certificates")
        }
        return Enrollment(
            settings: agent.enrollment, handshake: agent.handshake, authority: authority, ring: ring,
            store: store)
    }
}
