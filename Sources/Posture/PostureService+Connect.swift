public import Access
import JSON
import Signatures
import Store

/// Connect and Reconnect of providers.md 10.3.
extension PostureService {
    /// How long the page that ends a connection waits for the probe, seconds.
    static let connectProbeSecondsMax = 20.0

    /// Begins to connect an integration in a browser.
    ///
    /// - Parameter redirectURI: where the directory sends the browser back to.
    /// - Throws: `config_error` for an integration that is not connected like that, and what keeps the
    ///   tenant from being found (001.14).
    public func connectLink(
        integration: String, redirectURI: String
    ) async throws(ConnectorFailure) -> ConnectLink {
        guard let connector = connector(integration) else {
            throw ConnectorFailure(.configError, "no provider integration is named \(integration)")
        }
        guard let consent = connector.consent else {
            throw ConnectorFailure(
                .configError,
                "\(integration) needs no consent in a browser: its credentials are all in the configuration; "
                    + "gatepost integrations reconnect \(integration) tries them")
        }
        let tenant = try await consent.tenant.facts.directoryID(consent.client)
        let now = clock.nowSeconds()
        let state = ConnectState(tenant: tenant, redirectURI: redirectURI, nowSeconds: now)
        await audit("integration-connect-begun", ["integration": .string(integration)])
        return ConnectLink(
            url: consent.url(
                redirectURI: redirectURI, state: state.sealed(for: integration, Sealer(ring: ring)),
                challenge: state.challenge, nonce: state.nonce),
            redirectURI: redirectURI, expiresAtSeconds: state.expiresAtSeconds,
            isDelegated: consent.isDelegated, role: consent.role)
    }

    /// Takes the directory's answer. The state in it counts once, whatever the answer is.
    ///
    /// - Parameter parameters: the query, decoded.
    public func connect(integration: String, parameters: [String: String]) async -> ConnectOutcome {
        guard let connector = connector(integration), let consent = connector.consent else {
            return .noSuchIntegration
        }
        let now = clock.nowSeconds()
        guard
            let state = ConnectState(
                parameters["state"], of: connector.integration, Sealer(ring: ring), nowSeconds: now)
        else { return .stateUnknown }
        do throws(StoreError) {
            guard
                try await store.consumeNonce(
                    state.digest, expiresAtSeconds: now + 2 * ConnectState.lifeSeconds)
            else { return .stateUsed }
        } catch {
            return .unavailable("the store does not answer: \(error)")
        }
        let outcome = await outcome(of: ConnectAnswer(parameters), state, consent)
        var record: JSONObject = ["integration": .string(integration), "outcome": .string(outcome.word)]
        if case .connected(.some(let account)) = outcome { record["account"] = .string(account) }
        await audit("integration-connect-ended", .object(record))
        return outcome
    }

    private func outcome(
        of answer: ConnectAnswer, _ state: ConnectState, _ consent: GraphConsent
    ) async -> ConnectOutcome {
        switch answer {
        case .unreadable: return .refused("an answer without consent, code or error")
        case .refused("access_denied", let number) where number.map(Self.isPrivilege) != true:
            return .declined
        case .refused(let word, let number):
            if word == "consent_required" || number.map(Self.isPrivilege) == true {
                return .privilegeMissing(role: consent.role)
            }
            return .refused(word + (number.map { ", AADSTS\($0)" } ?? ""))
        case .consented(let tenant):
            guard !consent.isDelegated else { return .refused("a consent instead of a sign-in") }
            guard tenant.flatMap(TokenFacts.guid) == state.tenant else {
                return .wrongTenant(tenant.map(ProviderClient.plain) ?? "(none)")
            }
            return .connected(account: nil)
        case .code(let code):
            guard consent.isDelegated else { return .refused("a sign-in instead of a consent") }
            do throws(ConnectorFailure) {
                return try await consent.redeem(code, of: state)
            } catch {
                switch error.kind {
                case .authFailed, .forbidden, .configError, .malformedResponse, .notFound, .pagingLoop,
                    .clockSkew:
                    return .refused(error.what)
                case .throttled, .unavailable, .timeout, .tlsError: return .unavailable(error.what)
                }
            }
        }
    }

    private static func isPrivilege(_ number: Int64) -> Bool {
        ConnectAnswer.privilegeNumbers.contains(number)
    }

    /// Probes now, with a new token: pending → configured, or the reason why not. What it reads then comes
    /// with its next round, which is due at once.
    public func probeNow(integration: String) async -> IntegrationStatus? {
        guard let connector = connector(integration) else { return nil }
        let key = ExactKey(connector.integration)
        await connector.forgetToken()
        publications[key]?.resume()
        let probed = await clock.within(Self.connectProbeSecondsMax) { await connector.probe() }
        switch probed {
        case .none:
            let seconds = Int(Self.connectProbeSecondsMax)
            note(ConnectorFailure(.timeout, "no answer within \(seconds) s"), of: connector)
        case .some(.some(let failure)): note(failure, of: connector)
        case .some(.none):
            statuses[key]?.noteConfigured(nowSeconds: clock.nowSeconds())
            schedule.retryFullSync(connector.integration, atSeconds: clock.nowSeconds())
        }
        await noteCondition(of: connector)
        return statuses[key]
    }

    /// Which attribute of a person names them at an integration; nil: it is not asked about people.
    public nonisolated func ownerAttribute(integration: String) -> String? {
        connectors.first { ExactText.isEqual($0.integration, integration) }?.ownerAttribute
    }

    /// What an integration knows of a person's devices, asked now: nothing of it is kept.
    ///
    /// - Throws: why it could not be asked.
    public func devices(
        ofPerson person: String, integration: String
    ) async throws(ConnectorFailure) -> [Verdict] {
        guard let connector = connector(integration) else {
            throw ConnectorFailure(.configError, "no provider integration is named \(integration)")
        }
        switch await clock.within(Self.connectProbeSecondsMax, { await connector.devices(ofPerson: person) })
        {
        case .none: throw ConnectorFailure(.timeout, "no answer in time")
        case .some(.failed(let failure)): throw failure
        case .some(.records(let records)): return records.map(\.verdict)
        }
    }

    func connector(_ integration: String) -> (any Connector)? {
        connectors.first { ExactText.isEqual($0.integration, integration) }
    }
}

extension ConnectOutcome {
    /// For the audit trail and the log.
    public var word: String {
        switch self {
        case .connected: "connected"
        case .declined: "declined"
        case .privilegeMissing: "privilege-missing"
        case .wrongTenant: "wrong-tenant"
        case .refused: "refused"
        case .unavailable: "unavailable"
        case .stateUnknown: "state-unknown"
        case .stateUsed: "state-used"
        case .noSuchIntegration: "no-such-integration"
        }
    }
}
