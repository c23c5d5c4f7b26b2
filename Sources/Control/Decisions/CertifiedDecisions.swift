import Access
import Border
import Config
import Identity
import JSON
import Posture
import Store

extension SessionRecords {
    /// The device that counts for a session on connections with such a certificate.
    ///
    /// - Parameters:
    ///   - agent: the device that the session's agent answered for.
    ///   - global: the sign-in whose person it is.
    /// - Returns: `agent` where the certificate says nothing: it names no device, or somebody else's while the agent's
    ///   is there, or nobody can tell whether it is the agent's.
    func shown(
        _ agent: DeviceFacts?, _ claim: MachineClaim, of global: StoredSession, at application: Application,
        nowSeconds: Int64
    ) async -> DeviceFacts? {
        guard application.accepts(.certificate), nowSeconds < claim.notAfterSeconds,
            let certificate = certificate(claim),
            let found = await posture.certified(certificate, beside: agent?.id),
            var proof = found.facts.certificate
        else { return agent }
        let isOwners = Self.isOwner(global, by: found)
        var alone = found.facts.asSeen(by: global)
        if isOwners == true, alone.ownerIssuer == nil {
            (alone.ownerIssuer, alone.ownerSubject) = (global.issuer, global.subject)
        } else if isOwners == false {
            (alone.ownerIssuer, alone.ownerSubject) = (nil, nil)
        }
        guard var both = agent else { return alone }
        proof.isAlone = false
        switch found.relation {
        case .same:
            // Its certificate is another person's: then it is no proof of this one's.
            if isOwners == false, application.deviceOwner == .samePerson { return agent }
            both.certificate = proof
            return both
        case .other:
            proof.isContradicted = true
            both.certificate = proof
            return both
        case .unknown:
            let counts = application.counted(both, atSeconds: nowSeconds).device != nil
            return counts ? agent : alone
        }
    }

    /// - Returns: nil when the listener is no longer one that asks for certificates.
    private func certificate(_ claim: MachineClaim) -> DeviceCertificate? {
        let listeners = config.gateway.listeners
        guard listeners.indices.contains(claim.listener),
            let settings = listeners[claim.listener].clientCertificates
        else { return nil }
        return DeviceCertificate(
            names: claim.names, commonName: settings.matchesCommonName ? claim.subject : nil,
            suffix: settings.deviceSuffix, domain: settings.deviceDomain, platform: settings.platform,
            issuerDigest: claim.issuerDigest, serial: claim.serial, notAfterSeconds: claim.notAfterSeconds)
    }

    /// Whether the device is this person's, by the certificate's addresses and by what providers say of its user. All
    /// who say something have to agree.
    ///
    /// - Returns: nil when nobody says anything.
    private static func isOwner(_ session: StoredSession, by device: CertifiedDevice) -> Bool? {
        var words: [Bool] = []
        if !device.emails.isEmpty {
            // A name with two "@" has two readings, and a certificate that carries one is nobody's.
            let isClear = device.emails.allSatisfy { $0.utf8.count { $0 == UInt8(ascii: "@") } == 1 }
            words.append(isClear && session.email.map { device.emails.contains(folded($0)) } ?? false)
        }
        for owner in device.owners {
            let own: String? =
                switch owner.attribute {
                case "email": session.email
                case "subject": session.subject
                case let claim:
                    session.claims[claim].flatMap { if case .text(let text) = $0 { text } else { nil } }
                }
            words.append(own.map { owner.values.contains(folded($0)) } ?? false)
        }
        return words.isEmpty ? nil : words.allSatisfy { $0 }
    }

    /// ASCII only: what Unicode folds together may be two people.
    private static func folded(_ text: String) -> String {
        String(decoding: text.utf8.map { (0x41...0x5a).contains($0) ? $0 | 0x20 : $0 }, as: UTF8.self)
    }
}

extension ControlPlane {
    private static let certifiedAttemptsMax = 4

    /// A reactor met a token on a connection with a certificate, and does not know the two together.
    func pullCertified(
        _ ticket: Ticket, _ secretDigest: [UInt8], _ claim: MachineClaim, _ application: String
    ) async {
        let reactor = Int(ticket.reactor)
        let now = nowSeconds()
        let digest = CertifiedSession.digest(secretDigest, claim)
        if certified.used(digest, nowSeconds: now) != nil,
            let record = revocations.fresh(digest, application: application, nowSeconds: now)
        {
            return await reactors.send(.session(ticket, record), to: reactor)
        }
        do throws(StoreError) {
            guard let session = try await store.session(tokenDigest: secretDigest, nowSeconds: now) else {
                return await reactors.send(.session(ticket, nil), to: reactor)
            }
            let use = CertifiedSession(
                secretDigest: secretDigest, claim: claim, application: application, session: session.id,
                usedAtSeconds: now)
            certified.keep(use)
            var record: SessionRecord?
            if let decided = try await decided(secretDigest, application, beside: use) {
                noteExpiredProof(decided)
                await alert(decided)
                let kept = services.records.signed(
                    await guarded(decided, decided.cause(.request)).bounded(to: use, of: decided.session),
                    of: decided)
                revocations.keep(kept, nowSeconds: now)
                record = kept
            }
            await reactors.send(.session(ticket, record), to: reactor)
        } catch {
            EventLog.write("store-failed", [("what", .string("\(error)"))])
            await reactors.send(.sessionUnavailable(ticket), to: reactor)
        }
    }

    /// - Returns: false when no session is known beside a certificate by this digest.
    func renewCertified(_ digest: [UInt8]) async -> Bool {
        guard let use = certified.used(digest, nowSeconds: nowSeconds()) else { return false }
        for _ in 0..<Self.certifiedAttemptsMax {
            do throws(StoreError) {
                guard
                    let decided = try await decided(
                        use.secretDigest, use.application, isOpen: true, beside: use)
                else {
                    revocations.send([.endSession(use.session)])
                    return true
                }
                let bounded = await guarded(decided, decided.cause(.renewal)).bounded(
                    to: use, of: decided.session)
                let isUsable = nowSeconds() < bounded.residual.validUntilSeconds
                let record = isUsable ? services.records.signed(bounded, of: decided) : bounded
                if revocations.send([.replace(record)]).isEmpty { return true }
            } catch {
                EventLog.write("store-failed", [("what", .string("\(error)"))])
                return true
            }
        }
        return true
    }

    /// Two devices in one session: somebody carries a cookie to another computer, or a certificate.
    private func alert(_ decided: DecidedSession) async {
        guard let device = decided.device, let certificate = device.certificate, certificate.isContradicted
        else { return }
        let members: [(String, JSONValue)] = [
            ("session", .string(decided.session.id)), ("application", .string(decided.record.application)),
            ("device", .string(device.id)), ("certificate", .string(certificate.serial)),
            ("issuer", .string(certificate.issuerDigest)),
        ]
        EventLog.write("device-certificate-conflict", members)
        await audit("device-certificate-conflict", members)
    }

    /// The device of a sign-in as this request shows it.
    func shownDevice(
        of global: StoredSession, _ request: ControlRequest, at application: Application
    ) async -> DeviceFacts? {
        let records = services.records
        let agent = await records.facts(of: global)
        guard let claim = request.certificate else { return agent }
        return await records.shown(agent, claim, of: global, at: application, nowSeconds: nowSeconds())
    }
}
