import Access
import Border
import Config
import Identity
import JSON
import Signatures

/// Bearer tokens of configured issuers: read and verified once, then a machine like those of service tokens.
extension ControlPlane {
    /// A reactor met a bearer token that it does not know.
    func pullBearer(
        _ ticket: Ticket, _ digest: [UInt8], _ token: [UInt8], _ application: String
    ) async {
        let reactor = Int(ticket.reactor)
        if let machine = verifiedBefore(digest, application) {
            if let record = revocations.fresh(digest, application: application, nowSeconds: nowSeconds()) {
                return await reactors.send(.session(ticket, record), to: reactor)
            }
            return await answer(ticket, machine)
        }
        let outcome = await bearers.outcome(of: digest, nowSeconds: nowSeconds()) { [self] in
            // Another check of it may have ended between the look above and the begin of this one.
            if let machine = verifiedBefore(digest, application) { return .machine(machine) }
            let outcome = await checked(token, digest, application)
            if case .machine(let machine) = outcome { machines.keep(machine) }
            return outcome
        }
        switch outcome {
        case .machine(let machine): await answer(ticket, machine)
        case .refused: await reactors.send(.session(ticket, nil), to: reactor)
        case .unavailable(let reason):
            await reactors.send(.sessionUnavailable(ticket, reason), to: reactor)
        }
    }

    /// What a token was found to be; nil: it has to be checked.
    private func verifiedBefore(_ digest: [UInt8], _ application: String) -> Machine? {
        guard let machine = machines.active(digest), isConfigured(machine),
            machine.application == application,
            nowSeconds() < machine.service.expiresAtSeconds
        else { return nil }
        return machine
    }

    /// What reactors know a token by at one host.
    static func wire(bearer token: [UInt8], host: String) -> [UInt8] {
        Digest.sha256(Digest.sha256(Array("gatepost bearer token\n".utf8) + token) + Array(host.utf8))
    }

    private func checked(
        _ token: [UInt8], _ digest: [UInt8], _ application: String
    ) async -> BearerChecks.Outcome {
        let services = services
        guard let settings = services.application(application), let policy = services.policy(application),
            policy.servesMachines, Self.wire(bearer: token, host: settings.host) == digest
        else { return .refused }
        let issuers = policy.tokenIssuers.compactMap { services.tokenIssuers[$0] }
        let now = nowSeconds()
        do throws(IdentityError) {
            let read = try BearerTokenReader(issuers: issuers, nowSeconds: now)
                .read(String(decoding: token, as: UTF8.self))
            guard let issuer = services.tokenIssuers[read.issuer],
                let configured = services.config.tokenIssuers.first(where: { $0.name == read.issuer })
            else { return .refused }
            bearers.noteVerification()
            let thumbprint = try await issuer.verify(read, by: issuerKeys, nowSeconds: now)
            var machine = Machine(
                client: .bearerToken, service: Self.facts(read, digest), device: nil,
                application: application, tokenDigest: digest)
            machine.signer = Machine.Signer(issuer: configured, keyThumbprint: thumbprint)
            return .machine(machine)
        } catch {
            tell(error, application)
            switch error.kind {
            case .tokenInvalid, .providerRefused, .claimsDemanded: return .refused
            case .providerUnavailable, .providerMalformed: return .unavailable(.identityProviderUnavailable)
            }
        }
    }

    private static func facts(_ token: ReadBearerToken, _ digest: [UInt8]) -> ServiceFacts {
        let id = digest.prefix(8).map { byte in
            String(byte >> 4, radix: 16) + String(byte & 15, radix: 16)
        }
        // No service token is called so: their names have no colon.
        return ServiceFacts(
            id: "jwt_" + id.joined(), name: "token:\(token.facts.issuer):\(token.facts.subject)",
            expiresAtSeconds: token.expiresAtSeconds, token: token.facts)
    }

    private func tell(_ error: IdentityError, _ application: String) {
        guard let untold = bearers.tellsRefusal(nowSeconds: nowSeconds()) else { return }
        EventLog.write(
            "bearer-token-refused",
            [
                ("application", .string(application)), ("what", .string(error.description)),
                ("untold", .integer(Int64(untold))),
            ])
    }

    /// Whether today's configuration would still read the token as it was read: the same issuer, asked for by
    /// the same application. Of what is no bearer token: always.
    func isConfigured(_ machine: Machine) -> Bool {
        guard let signer = machine.signer else { return true }
        let services = services
        return services.config.tokenIssuers.contains(signer.issuer)
            && services.policy(machine.application)?.tokenIssuers.contains(signer.issuer.name) == true
    }

    /// Whether the key that signed is still the issuer's. An issuer that cannot be asked takes nothing away:
    /// its keys are used as long as they may be, and tokens end by themselves.
    func isStillSigned(_ machine: Machine) async -> Bool {
        guard let signer = machine.signer else { return true }
        guard isConfigured(machine), let issuer = services.tokenIssuers[signer.issuer.name] else {
            return false
        }
        do throws(IdentityError) {
            return try await issuer.holds(
                keyThumbprint: signer.keyThumbprint, by: issuerKeys, nowSeconds: nowSeconds())
        } catch {
            return true
        }
    }
}
