import Access
import Border
import Config
import Posture
import Store

/// Records for clients without a person: pulled, renewed, and made anew whenever something they were made of changes.
extension ControlPlane {
    private static let machineAttemptsMax = 4

    /// A reactor met a certificate at an application that serves machines.
    func pull(_ ticket: Ticket, _ claim: MachineClaim, _ application: String) async {
        let services = services
        let settings =
            services.config.gateway.listeners.indices.contains(claim.listener)
            ? services.config.gateway.listeners[claim.listener].clientCertificates : nil
        let device = await services.posture.machine(
            names: claim.names, commonName: settings?.matchesCommonName == true ? claim.subject : nil,
            suffix: settings?.deviceSuffix, domain: settings?.deviceDomain, platform: settings?.platform)
        // No token is called so: their names have no colon. What a certificate says of itself is no token's name.
        let facts = ServiceFacts(
            id: "certificate:\(claim.issuerDigest.prefix(16)):\(claim.serial)",
            name: "certificate:\(claim.subject ?? claim.serial)", expiresAtSeconds: claim.notAfterSeconds)
        var machine = Machine(
            client: .certificate, service: facts, device: device, application: application,
            tokenDigest: claim.tokenDigest)
        machine.certificate = Machine.ShownCertificate(
            issuerDigest: claim.issuerDigest, serial: claim.serial)
        await answer(ticket, machine)
    }

    /// Ends the machines whose certificates count no more, and forgets them.
    ///
    /// - Returns: how many there were.
    func endDeniedMachines() async -> Int {
        let shown = machines.active { $0.certificate != nil }
        let denied = await services.posture.areDenied(
            shown.map { (serial: $0.certificate?.serial ?? "", device: $0.device) })
        let gone = zip(shown, denied).filter(\.1).map(\.0)
        end(gone)
        return gone.count
    }

    /// Ends what these machines have open and lets none of their records be used again. A proof that still counts
    /// makes another one.
    func end(_ gone: [Machine]) {
        for machine in gone { machines.forget(machine.tokenDigest) }
        revocations.send(Set(gone.map(\.recordID)).sorted().map { .endSession($0) })
    }

    /// A reactor met a service token that it does not know.
    func pullService(_ ticket: Ticket, _ digest: [UInt8], _ application: String) async {
        guard machines.tokens != nil else {
            return await reactors.send(.sessionUnavailable(ticket), to: Int(ticket.reactor))
        }
        guard let machine = serviceToken(digest, application) else {
            return await reactors.send(.session(ticket, nil), to: Int(ticket.reactor))
        }
        if let record = revocations.fresh(digest, application: application, nowSeconds: nowSeconds()) {
            return await reactors.send(.session(ticket, record), to: Int(ticket.reactor))
        }
        await answer(ticket, machine)
    }

    /// The service behind a token's digest; nil: it is none of ours.
    func serviceToken(_ digest: [UInt8], _ application: String) -> Machine? {
        guard let host = services.application(application)?.host,
            let token = machines.token(digest, host: host, nowSeconds: nowSeconds())
        else { return nil }
        return Machine(
            client: .serviceToken,
            service: ServiceFacts(id: token.id, name: token.name, expiresAtSeconds: token.expiresAtSeconds),
            device: nil, application: application, tokenDigest: digest)
    }

    func answer(_ ticket: Ticket, _ machine: Machine) async {
        // Before anything is read: what changes from then on finds it.
        machines.keep(machine)
        let record = await decided(machine)
        if record == nil { machines.forget(machine.tokenDigest) }
        if let record {
            revocations.keep(record, nowSeconds: nowSeconds())
            // Revoked while it was being decided: whoever revoked it found nothing to end.
            let isService = machine.client == .serviceToken
            if isService
                ? serviceToken(machine.tokenDigest, machine.application) == nil : !isConfigured(machine)
            {
                machines.forget(machine.tokenDigest)
                revocations.send([.endSession(record.session)])
                return await reactors.send(.session(ticket, nil), to: Int(ticket.reactor))
            }
        }
        await reactors.send(.session(ticket, record), to: Int(ticket.reactor))
    }

    private func decided(_ machine: Machine) async -> SessionRecord? {
        // The sequence before anything is read, as for people's sessions.
        let sequence = revocations.sequence
        return await services.records.decided(machine, sequence: sequence, nowSeconds: nowSeconds())
    }

    /// - Returns: false when no machine is known by this digest.
    func renewMachine(_ digest: [UInt8]) async -> Bool {
        guard let machine = machines.active(digest) else { return false }
        if machine.client == .serviceToken {
            guard let token = serviceToken(digest, machine.application) else {
                machines.forget(digest)
                revocations.send([.endSession(machine.recordID)])
                return true
            }
            machines.keep(token)
        } else if await !isStillSigned(machine) {
            machines.forget(digest)
            revocations.send([.endSession(machine.recordID)])
            return true
        }
        await redecideMachines { $0.tokenDigest == digest }
        return true
    }

    /// Decides machines anew and tells every reactor.
    func redecideMachines(
        eventNanoseconds: UInt64 = monotonicNanoseconds(), where isMeant: (Machine) -> Bool
    ) async {
        for machine in machines.active(where: isMeant) {
            var isTold = false
            for _ in 0..<Self.machineAttemptsMax where !isTold && isConfigured(machine) {
                guard let record = await decided(machine) else { break }
                isTold = revocations.send([.replace(record)], eventNanoseconds: eventNanoseconds).isEmpty
            }
            guard !isTold else { continue }
            machines.forget(machine.tokenDigest)
            revocations.send([.endSession(machine.recordID)], eventNanoseconds: eventNanoseconds)
        }
    }
}

extension SessionRecords {
    /// - Parameter sequence: the revocation sequence read before anything that is decided with.
    /// - Returns: nil when the application serves no machines, or the proof has ended or was revoked.
    func decided(_ machine: Machine, sequence: UInt64, nowSeconds: Int64) async -> SessionRecord? {
        guard let policy = applications.policy(machine.application),
            policy.servesMachines, nowSeconds < machine.service.expiresAtSeconds
        else { return nil }
        if let certificate = machine.certificate,
            await posture.areDenied([(serial: certificate.serial, device: machine.device)]) == [true]
        {
            return nil
        }
        var device: DeviceFacts?
        if let id = machine.device { device = await posture.machineFacts(id: id) }
        var residual = config.policy.residual(
            of: nil, device, service: machine.service, for: policy, atSeconds: nowSeconds)
        let decided = residual
        residual.validUntilSeconds = min(
            residual.validUntilSeconds, nowSeconds + Assertion.lifetimeSeconds - 20)
        let result = device.map {
            config.policy.deviceResult(
                of: $0, for: nil, owner: .any, outage: policy.outage, atSeconds: nowSeconds,
                recordingLines: false)
        }
        let token = assertion.token(for: machine, device: result, nowSeconds: nowSeconds)
        var record = SessionRecord(
            sequence: sequence, tokenDigest: machine.tokenDigest, session: machine.recordID,
            person: "service \(machine.service.name)", device: machine.device,
            application: machine.application, residual: residual,
            identityFields: Array("Gatepost-Assertion: \(token)\r\n".utf8),
            expiresAtSeconds: machine.service.expiresAtSeconds)
        record.client = machine.client
        record.renewAtSeconds = nowSeconds + Assertion.lifetimeSeconds / 2
        record.streamsUntilSeconds = min(decided.validUntilSeconds, machine.service.expiresAtSeconds)
        record.decision = decisions.record(
            MadeDecision(
                atSeconds: nowSeconds, application: machine.application, session: nil,
                service: machine.service, device: device, policy: config.policy, residual: decided,
                open: nil, deviceResult: result))
        return record
    }
}
