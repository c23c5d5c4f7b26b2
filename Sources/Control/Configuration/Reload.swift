import Access
import Border
import Config
import JSON
import Posture
import Store
import Synchronization

extension ControlPlane {
    /// Sessions that a reload decides anew.
    private static let sessionsMax = 100_000

    /// Reads the configuration again. A bad one changes nothing.
    ///
    /// - Returns: what the administrator has to know beside that it is in force.
    /// - Throws: `ControlFailure` with every problem, one per line; the running configuration stays.
    @discardableResult
    public func reload() async throws(ControlFailure) -> ReloadOutcome {
        await configuring.enter()
        do throws(ControlFailure) {
            let outcome = try await reloadInOrder()
            await configuring.leave()
            noteReload(outcome)
            return outcome
        } catch {
            await configuring.leave()
            noteRefusedReload(error)
            throw error
        }
    }

    private func reloadInOrder() async throws(ControlFailure) -> ReloadOutcome {
        let config: ConfigSnapshot
        do {
            config = try ConfigurationLoader.load(path: configPath)
        } catch {
            throw ControlFailure(what: error.problems.map { "\($0)" }.joined(separator: "\n"))
        }
        let old = services
        if let message = UnappliedChanges(from: old.config, to: config).message {
            throw ControlFailure(what: message)
        }
        let new = try Services(
            config: config, revision: revisions.wrappingAdd(1, ordering: .relaxed).newValue, store: store,
            ring: ring, fetcher: fetcher, posture: old.posture, decisions: decisions, names: upstreamNames,
            ended: ended, pause: pause)
        let secrets = try await Self.secrets(for: new)
        try clientLists.take(config.gateway.listeners)
        // The reactors check certificates, keys and addresses once more; only then does anybody use the new one.
        do throws(ControlFailure) {
            try await configure(new.snapshot)
        } catch {
            await takeBack()
            throw error
        }
        // Certificates come and go without a restart: a rotation has to be possible while people work.
        await new.posture.take(try AgentParts.agents(config, authOrigin: new.authOrigin))
        await new.posture.take(secrets)
        // Before anybody is decided by the new policy: what it takes is judged as a whole.
        let batch = beginBatch(.reload(new.snapshot.revision), eventNanoseconds: monotonicNanoseconds())
        current.withLock { services in
            let revision = max(services.snapshot.revision, new.snapshot.revision)
            services = new
            services.snapshot.revision = revision
        }
        blast.take(config, keeping: revocations.policiesInUse)
        putOnRecord(config)
        revocations.forgetRecords()
        bearers.forgetRefused()
        // Other policies may call other devices compliant.
        upkeep.withLock { $0.publishedAtSeconds = nil }
        decisions.changeBegins(.everybody)
        defer {
            decisions.changeEnds(
                .everybody, "reload", atSeconds: nowSeconds(),
                [
                    ("policy_before", .string(old.config.policy.identity)),
                    ("policy_after", .string(config.policy.identity)),
                ])
        }
        tellOfUnknownServices()
        await redecideMachines { _ in true }
        do {
            // Before the others are decided: a provider that was taken out was taken out by name, and is never held.
            try await endSessionsOfForgottenProviders(
                isRunning: true, before: old.config.identityProviders)
            try await redecide(.all, limit: Self.sessionsMax, batch)
        } catch {
            throw ControlFailure(
                what: "the configuration is in force, but open connections were not decided anew: \(error); "
                    + "reload again when the store works")
        }
        changes.announce()
        let cause = HeldCause(kind: .reload(String(config.policy.identity.prefix(12))))
        let held = blast.radius { $0.held(nowSeconds: nowSeconds()) }.first { $0.cause == cause }
        var outcome = ReloadOutcome(heldSessions: held?.losses.count ?? 0, change: cause.id)
        outcome.policy = config.policy.identity
        outcome.changes = ConfigurationChanges(from: old.config, to: config).lines
        return outcome
    }

    /// What decisions are compared with and written under from now on, and who gets the lines.
    private func putOnRecord(_ config: ConfigSnapshot) {
        decisions.shadow.load(config.gateway.shadowPolicy)
        decisions.begin(config.policy)
        decisions.log?.webhook?.take(config.gateway.decisionWebhook)
    }

    private static func secrets(for new: Services) async throws(ControlFailure) -> SecretRotation {
        do throws(ConnectorFailure) {
            return try await new.posture.rotation(
                to: Services.providers(new.config, authOrigin: new.authOrigin))
        } catch {
            throw ControlFailure(what: error.what)
        }
    }

    /// Of two data processes one may have taken what the other refused: all go back to what is in force.
    private func takeBack() async {
        try? clientLists.take(services.config.gateway.listeners)
        var snapshot = services.snapshot
        snapshot.revision = revisions.wrappingAdd(1, ordering: .relaxed).newValue
        guard (try? await configure(snapshot)) != nil else { return }
        let taken = snapshot.revision
        current.withLock { $0.snapshot.revision = max($0.snapshot.revision, taken) }
    }
}

/// What came of a reload.
public struct ReloadOutcome: Sendable {
    /// Sessions that keep what they had, because the change would cut too many at once.
    public var heldSessions: Int
    /// The name under which they are held.
    public var change: String
    /// The content hash of the policy in force.
    public var policy = ""
    /// What is other than before, a line each, without any value.
    public var changes: [String] = []

    init(heldSessions: Int, change: String) {
        self.heldSessions = heldSessions
        self.change = change
    }

    /// What to do; nil: nothing.
    public var remark: String? {
        guard heldSessions > 0 else { return nil }
        return "\(heldSessions) session\(heldSessions == 1 ? "" : "s") held; "
            + "release with: gatepost held release --cause \(change)"
    }
}
