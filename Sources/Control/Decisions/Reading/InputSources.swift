import Access
import Border

/// What many lines of a log name: handed on by one reference, where a copy of it counts thirty.
final class LoggedInput<Content: Sendable>: Sendable {
    let content: Content

    init(_ content: Content) { self.content = content }
}

/// A policy of the log, and where its applications stand in it.
final class LoggedPolicy: Sendable {
    let snapshot: PolicySnapshot
    let places: ApplicationIndex
    /// Of the policies that were read, in their order.
    let number: Int

    init(_ snapshot: PolicySnapshot, number: Int) {
        self.snapshot = snapshot
        self.number = number
        places = ApplicationIndex(snapshot)
    }
}

/// A decision of the log as its own line, or a confirmation, says it.
///
/// What both say together is put together where it is asked for: for most lines that is on another core.
public struct LoggedMoment: Sendable {
    let made: LoggedInput<LoggedDecision>
    /// nil: as it was made.
    private let confirmation: LoggedConfirmation?

    init(_ made: LoggedInput<LoggedDecision>) {
        self.made = made
        confirmation = nil
    }

    /// nil when the confirmation is not about this decision.
    init?(_ made: LoggedInput<LoggedDecision>, confirmedBy confirmation: LoggedConfirmation) {
        guard confirmation.verdicts.count == made.content.verdicts.count,
            (made.content.openResult == nil) == (confirmation.openUntilSeconds == nil)
        else { return nil }
        self.made = made
        self.confirmation = confirmation
    }

    /// When it was made, or confirmed.
    var atSeconds: Int64 { confirmation?.atSeconds ?? made.content.atSeconds }

    /// The times of the verdicts; a confirmation's name no content, which is the decision's.
    var verdicts: [LoggedDecision.VerdictReference] { confirmation?.verdicts ?? made.content.verdicts }

    var validUntilSeconds: Int64 { confirmation?.validUntilSeconds ?? made.content.validUntilSeconds }

    var openUntilSeconds: Int64? {
        confirmation.map { $0.openUntilSeconds } ?? made.content.openUntilSeconds
    }

    /// The decision, the same but for times where it was confirmed.
    public var decision: LoggedDecision {
        var decision = made.content
        guard let confirmation else { return decision }
        decision.atSeconds = confirmation.atSeconds
        decision.validUntilSeconds = confirmation.validUntilSeconds
        decision.openUntilSeconds = confirmation.openUntilSeconds
        for (index, verdict) in confirmation.verdicts.enumerated() {
            let digest = decision.verdicts[index].digest
            decision.verdicts[index] = verdict
            decision.verdicts[index].digest = digest
        }
        return decision
    }
}

/// Everything that one decision was made of, as its lines had it when it came by: found in order, put together side by
/// side.
struct InputSources: Sendable {
    let policy: LoggedPolicy
    /// nil: a client without a person.
    let person: LoggedInput<PersonFacts>?
    let device: LoggedInput<DeviceFacts>?
    /// In the decision's order.
    let verdicts: [LoggedInput<Verdict>]

    /// - Parameter moment: for which these were found.
    func inputs(of moment: LoggedMoment) -> DecisionInputs {
        let made = moment.made.content
        let facts = person?.content
        var inputs = DecisionInputs(
            session: facts.map {
                SessionFacts(
                    id: made.session, identityProvider: made.identityProvider, person: $0,
                    createdAtSeconds: made.createdAtSeconds, expiresAtSeconds: made.expiresAtSeconds,
                    keyProvenAtSeconds: made.keyProvenAtSeconds)
            }, service: made.service, device: nil, policy: policy.snapshot, atSeconds: moment.atSeconds)
        guard var device = device?.content else { return inputs }
        if let facts, device.ownerIssuer == Pseudonym.issuer, device.ownerSubject == made.person {
            device.ownerIssuer = facts.issuer
            device.ownerSubject = facts.subject
        }
        device.verdicts.reserveCapacity(device.verdicts.count + verdicts.count)
        for (known, reference) in zip(verdicts, moment.verdicts) {
            var verdict = known.content
            verdict.id = reference.id
            verdict.observedAtSeconds = reference.observedAtSeconds
            verdict.assessedAtSeconds = reference.assessedAtSeconds
            verdict.fetchedAtSeconds = reference.fetchedAtSeconds
            verdict.expiresAtSeconds = reference.expiresAtSeconds
            verdict.graceUntilSeconds = reference.graceUntilSeconds
            device.verdicts.append(verdict)
        }
        inputs.device = device
        return inputs
    }
}
