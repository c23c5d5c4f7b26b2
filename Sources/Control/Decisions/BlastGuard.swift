import Access
import Border
import Config
import Store
import Synchronization

/// A session decided anew, with what it was decided from.
struct DecidedSession: Sendable {
    var session: StoredSession
    /// Without identity fields, which `SessionRecords.signed` makes at the end.
    var record: SessionRecord
    /// nil: none was proven, or the one that was no longer counts.
    var device: DeviceFacts?
    /// What the device came to, for the assertion; nil: as `device`.
    var result: DeviceResult?
    /// Configured plain fields.
    var fields: [FieldSettings]
    /// When it was decided: the assertion's beginning.
    var atSeconds: Int64
    /// The certificate beside which it was decided; nil: connections without one.
    var use: CertifiedSession?
}

/// What a new decision takes from a session, and why.
enum LossReading: Sendable {
    case nothing
    /// By something that somebody said, by a rule's own time, or by what the person did. It is never held.
    case explicit
    /// Only by silence, or by another configuration.
    case supposed(SupposedLoss)
}

/// A loss that would not be one if everybody still said what they said last, under the policy that held then.
struct SupposedLoss: Sendable {
    var loss: SessionLoss
    /// What the session may keep for new requests, with the end of this supposition; nil: it lost that otherwise.
    var residual: Residual?
    /// The same for what is open.
    var open: Residual?
}

/// Tells losses by explicit facts from losses by silence or reload, and holds back what is too much of the latter.
final class BlastGuard: Sendable {
    /// Devices whose last definite verdicts are remembered; what is lost with the memory is cut, never held.
    static let devicesMax = 50_000

    fileprivate struct State {
        var radius: BlastRadius
        /// By device: what each integration said last when it said something definite.
        var witnesses: [String: Witness] = [:]
        var prunedAtSeconds: Int64 = 0
        /// By content hash: the policies that records in use were decided under.
        var policies: [String: PolicySnapshot]
    }
    fileprivate struct Witness {
        var verdicts: [Verdict]
        var atSeconds: Int64
    }
    private let state: Mutex<State>
    private let evaluations: EvaluationCount

    init(config: ConfigSnapshot, evaluations: EvaluationCount = EvaluationCount()) {
        self.evaluations = evaluations
        state = Mutex(
            State(
                radius: BlastRadius(settings: config.gateway.blastRadius),
                policies: [config.policy.identity: config.policy]))
    }

    /// Another configuration is in force.
    ///
    /// - Parameter identities: policies of records that are in use.
    func take(_ config: ConfigSnapshot, keeping identities: Set<String>) {
        state.withLock { state in
            state.radius.settings = config.gateway.blastRadius
            state.policies = state.policies.filter { identities.contains($0.key) }
            state.policies[config.policy.identity] = config.policy
        }
    }

    /// The bookkeeping, in one step with nothing between.
    func radius<Result>(_ body: (inout BlastRadius) -> Result) -> Result {
        state.withLock { body(&$0.radius) }
    }

    /// What a session loses by a new decision.
    ///
    /// - Parameters:
    ///   - old: the record it had; nil: it has nothing to lose.
    ///   - policy: the one that `decided` comes from.
    /// - Returns: the loss, and what integrations had said of the device before.
    func reading(
        of decided: DecidedSession, had old: SessionRecord?, under policy: PolicySnapshot, nowSeconds: Int64
    ) -> (loss: LossReading, before: [Verdict]) {
        let (before, known, former) = state.withLock { state in
            let before = decided.device.flatMap { state.witnesses[$0.id]?.verdicts } ?? []
            let known = Witnesses.merged(before, decided.device?.verdicts ?? [])
            if let id = decided.device?.id {
                state.remember(Witnesses.remembered(before, known, nowSeconds), of: id, nowSeconds)
            }
            return (before, known, old.flatMap { state.policies[$0.residual.policyIdentity] })
        }
        guard let old else { return (.nothing, before) }
        // A device that anybody calls bad, now or last, is never held, whatever the loss comes from.
        let isBad = Witnesses.areBad(known) || Witnesses.areBad(before)
        let loss = loss(
            of: decided, had: old, under: policy, known, former: isBad ? nil : former, nowSeconds)
        return (loss, before)
    }

    /// - Parameter former: the policy that `old` came from; nil: not known, or the device may not be held.
    private func loss(
        of decided: DecidedSession, had old: SessionRecord, under policy: PolicySnapshot, _ known: [Verdict],
        former: PolicySnapshot?, _ nowSeconds: Int64
    ) -> LossReading {
        let lost = Parts(
            new: decided.record.residual.grantsLess(than: old.residual),
            open: decided.record.whatIsOpen.grantsLess(than: old.whatIsOpen))
        guard lost.new || lost.open else { return .nothing }
        // Another device, or one that was revoked, is no silence about the one before.
        guard decided.record.device == old.device, (decided.device == nil) == (old.device == nil),
            let former
        else { return .explicit }
        var device = decided.device
        device?.verdicts = known.map { Witnesses.asOfNow($0, nowSeconds) }
        let world = SupposedWorld(
            session: decided.session.facts, device: device, nowSeconds: nowSeconds, evaluations: evaluations)
        guard let then = world.decision(under: former, at: old.application),
            var keeps = then.restores(lost, of: old)
        else { return .explicit }
        // Reactors send no field that clients could write as well: nothing but refusals would be kept.
        let mayKeep = policy.application(named: old.application)?.protects(old.residual) ?? false
        keeps.new = keeps.new && mayKeep
        guard keeps.new || keeps.open else { return .explicit }
        var kind = HeldCause.Kind.absence(Witnesses.silent(known, decided.device?.verdicts ?? [], nowSeconds))
        if former.identity != policy.identity,
            world.decision(under: policy, at: old.application)?.restores(keeps, of: old) != keeps
        {
            kind = .reload(String(policy.identity.prefix(12)))
        }
        let loss = SessionLoss(
            session: decided.record.name, person: old.person, application: old.application,
            device: old.device, cause: HeldCause(kind: kind))
        return .supposed(
            SupposedLoss(
                loss: loss,
                residual: keeps.new ? old.residual.lasting(until: then.new.validUntilSeconds) : nil,
                open: keeps.open ? old.whatIsOpen.lasting(until: then.open.validUntilSeconds) : nil))
    }
}

extension BlastGuard.State {
    /// When there is no room, devices go that nobody was decided on for an hour; records in use are decided every
    /// minute.
    fileprivate mutating func remember(_ known: [Verdict], of device: String, _ nowSeconds: Int64) {
        if witnesses[device] == nil, witnesses.count >= BlastGuard.devicesMax {
            guard !(0..<60).contains(nowSeconds - prunedAtSeconds) else { return }
            prunedAtSeconds = nowSeconds
            witnesses = witnesses.filter { (0..<3_600).contains(nowSeconds - $0.value.atSeconds) }
            guard witnesses.count < BlastGuard.devicesMax else { return }
        }
        witnesses[device] = BlastGuard.Witness(verdicts: known, atSeconds: nowSeconds)
    }
}

/// New requests and what is open are decided apart, and may be lost apart.
private struct Parts: Hashable {
    var new: Bool
    var open: Bool
}

/// The facts as they would be if everybody still said what they said last.
private struct SupposedWorld {
    var session: SessionFacts
    var device: DeviceFacts?
    var nowSeconds: Int64
    var evaluations: EvaluationCount

    struct Outcome {
        var new: Residual
        var open: Residual

        /// What of a loss would not be one here; nil: nothing.
        func restores(_ lost: Parts, of old: SessionRecord) -> Parts? {
            let parts = Parts(
                new: lost.new && !new.grantsLess(than: old.residual),
                open: lost.open && !open.grantsLess(than: old.whatIsOpen))
            return parts.new || parts.open ? parts : nil
        }
    }

    func decision(under policy: PolicySnapshot, at name: String) -> Outcome? {
        guard let application = policy.application(named: name) else { return nil }
        evaluations.add(2)
        return Outcome(
            new: policy.residual(of: session, device, for: application, atSeconds: nowSeconds),
            open: policy.residual(of: session, device?.forWhatIsOpen, for: application, atSeconds: nowSeconds)
        )
    }
}

extension Application {
    /// Whether no client can send what these policies tell the application: some policy here sets the same fields.
    fileprivate func protects(_ residual: Residual) -> Bool {
        func names(_ restriction: Restriction?) -> [String] {
            (restriction?.upstreamFields ?? []).map { $0.name.lowercased() }
        }
        let own = Set(policies.flatMap { names($0.restriction) })
        return residual.policies.allSatisfy { own.isSuperset(of: names($0.restriction)) }
    }
}

extension SessionRecord {
    /// The decision that what is open goes by.
    var whatIsOpen: Residual { openResidual ?? residual }
}

extension Residual {
    /// The same with another end.
    fileprivate func lasting(until seconds: Int64) -> Residual {
        var residual = self
        residual.validUntilSeconds = seconds
        return residual
    }
}
