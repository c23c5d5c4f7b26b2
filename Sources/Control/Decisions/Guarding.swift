import Access
import Border
import Config
import JSON
import Store

/// The blast-radius guard between a decision and the reactors.
extension ControlPlane {
    /// How often sessions that others touched meanwhile are decided again, before their streams end.
    private static let attemptsMax = 4
    /// Effects sent in one step.
    private static let sliceEffects = 400
    /// The same where each needs a signature.
    private static let stepUnchanged = 50

    /// `settle` must follow.
    func beginBatch(_ cause: ChangeCause, eventNanoseconds: UInt64) -> ChangeBatch {
        blast.radius { $0.beginBatch() }
        return ChangeBatch(cause: cause, eventNanoseconds: eventNanoseconds)
    }

    /// One session alone, for a reactor that asks: what it was decided to have, or what it had.
    func guarded(_ decided: DecidedSession, _ cause: ChangeCause) async -> SessionRecord {
        let now = nowSeconds()
        let services = services
        let (loss, before) = reading(of: decided, services, now)
        switch loss {
        case .nothing: return passed(decided)
        case .explicit: return lost(decided, cause, VerdictIDs(before, decided.device))
        case .supposed(let supposed):
            let live = revocations.sessionCount
            let verdicts = VerdictIDs(before, decided.device)
            let ruling = blast.radius { $0.judge(supposed.loss, live: live, nowSeconds: now) }
            await announce(ruling)
            guard ruling.held.contains(decided.record.name) else { return lost(decided, cause, verdicts) }
            let record = held(decided, supposed, now)
            if !ruling.new.isEmpty { note(record, cause, verdicts, heldBy: supposed.loss.cause.id) }
            return record
        }
    }

    /// One session of a batch.
    func unheld(_ decided: DecidedSession, _ services: Services, _ batch: inout ChangeBatch) -> BatchOutcome {
        let (loss, before) = reading(of: decided, services, nowSeconds())
        let cause = batch.cause(of: decided)
        switch loss {
        case .nothing: return .same(passed(decided))
        case .explicit: return .less(lost(decided, cause, VerdictIDs(before, decided.device)))
        case .supposed(let supposed):
            var waiting = ChangeBatch.Loss(
                decided: decided, supposed: supposed, cause: cause,
                verdicts: VerdictIDs(before, decided.device))
            waiting.decided.device = nil
            batch.losses.append(waiting)
            return .waits
        }
    }

    /// Tells reactors of the sessions that lose nothing, in steps: other work of the control plane goes on between.
    ///
    /// - Returns: sessions to decide again: touched meanwhile, or decided later by somebody else.
    func tellUnchanged(_ batch: inout ChangeBatch) async -> Set<String> {
        var again: Set<String> = []
        var effects: [Revocation.Effect] = []
        let now = nowSeconds()
        let records = services.records
        // A session and its uses beside certificates in one step: each would call the others outdated.
        let unchanged = batch.unchanged.sorted { $0.record.session < $1.record.session }
        for (index, waiting) in unchanged.enumerated() {
            if let latest = revocations.latest(waiting.record.name), latest.sequence > waiting.record.sequence
            {
                again.insert(waiting.record.session)
            } else {
                effects += waiting.decided.effects(
                    records.signed(waiting.record, of: waiting.decided), nowSeconds: now)
            }
            let isLast =
                index + 1 == unchanged.count || unchanged[index + 1].record.session != waiting.record.session
            guard effects.count >= Self.stepUnchanged, isLast else { continue }
            again.formUnion(revocations.send(effects, eventNanoseconds: batch.eventNanoseconds))
            effects = []
            await Task.yield()
        }
        again.formUnion(revocations.send(effects, eventNanoseconds: batch.eventNanoseconds))
        batch.unchanged = []
        return again
    }

    /// Judges a batch and carries the judgement out; then those hear of it that lose nothing.
    func settle(_ batch: ChangeBatch, attempt: Int = 1) async throws(StoreError) {
        var batch = batch
        var again = await judge(batch)
        again.formUnion(batch.again)
        again.formUnion(await tellUnchanged(&batch))
        guard !again.isEmpty else { return }
        guard attempt < Self.attemptsMax else {
            revocations.send(again.sorted().map { .endSession($0) }, eventNanoseconds: batch.eventNanoseconds)
            return
        }
        var next = beginBatch(batch.cause, eventNanoseconds: batch.eventNanoseconds)
        var failure: StoreError?
        do throws(StoreError) {
            try await decideAnew(sessions: again, &next)
        } catch {
            failure = error
        }
        try await settle(next, attempt: attempt + 1)
        if let failure { throw failure }
    }

    /// - Returns: sessions to decide again.
    private func judge(_ batch: ChangeBatch) async -> Set<String> {
        let now = nowSeconds()
        let live = revocations.sessionCount
        let losses = batch.losses.map(\.supposed.loss)
        let ruling = blast.radius { $0.settle(losses, live: live, nowSeconds: now) }
        // Where something begins to be held nothing is cut, so nobody waits for the trail.
        await announce(ruling)
        var again = SessionRecord.sessions(named: ruling.letGo)
        var effects: [Revocation.Effect] = []
        let records = services.records
        // A stable order: those that are cut before those that keep something and need a signature for it.
        for isHeld in [false, true] {
            for loss in batch.losses where ruling.held.contains(loss.decided.record.name) == isHeld {
                let record =
                    isHeld
                    ? held(loss.decided, loss.supposed, now) : lost(loss.decided, loss.cause, loss.verdicts)
                if ruling.new.contains(loss.decided.record.name) {
                    note(record, loss.cause, loss.verdicts, heldBy: loss.supposed.loss.cause.id)
                }
                effects += loss.decided.effects(records.signed(record, of: loss.decided), nowSeconds: now)
                guard effects.count >= Self.sliceEffects else { continue }
                again.formUnion(revocations.send(effects, eventNanoseconds: batch.eventNanoseconds))
                effects = []
            }
        }
        again.formUnion(revocations.send(effects, eventNanoseconds: batch.eventNanoseconds))
        return again
    }

    private func reading(
        of decided: DecidedSession, _ services: Services, _ now: Int64
    ) -> (loss: LossReading, before: [Verdict]) {
        blast.reading(
            of: decided, had: revocations.latest(decided.record.name), under: services.config.policy,
            nowSeconds: now)
    }

    // MARK: Records

    /// The decision as it is, and less than before.
    private func lost(
        _ decided: DecidedSession, _ cause: ChangeCause, _ verdicts: VerdictIDs
    ) -> SessionRecord {
        let record = passed(decided)
        note(record, cause, verdicts, heldBy: nil)
        return record
    }

    /// The decision as it is; whatever was held of the session is over.
    private func passed(_ decided: DecidedSession) -> SessionRecord {
        var record = decided.record
        let isHeld = blast.radius { radius in
            radius.drop(record.name)
            return record.device.map { radius.isHeld(device: $0) } ?? false
        }
        // The person is told why nothing they do helps.
        if isHeld, !record.residual.policies.contains(where: \.grants), record.residual.refusal.isAboutDevice
        {
            record.residual.refusal = .changeHeld
        }
        return record
    }

    /// What the session had and nothing wider, for the life of one record.
    private func held(_ decided: DecidedSession, _ supposed: SupposedLoss, _ now: Int64) -> SessionRecord {
        let left = blast.radius { $0.remainingSeconds(decided.record.name, nowSeconds: now) }
        let (sum, isOver) = now.addingReportingOverflow(min(left, Self.heldRecordSeconds))
        let end = min(isOver ? .max : sum, decided.session.expiresAtSeconds)
        var record = decided.record
        let open = supposed.open ?? record.whatIsOpen
        if let residual = supposed.residual {
            record.residual = residual
            // What it goes by is still the decision that was made then.
            if let last = revocations.latest(record.name)?.decision { record.decision = last }
            record.residual.validUntilSeconds = min(residual.validUntilSeconds, end)
        }
        var what = open
        if supposed.open != nil {
            what.validUntilSeconds = min(open.validUntilSeconds, end)
            record.streamsUntilSeconds = what.validUntilSeconds
        }
        record.openResidual = what == record.residual ? nil : what
        return record
    }

    /// As long as any record with an assertion inside.
    private static let heldRecordSeconds = Assertion.lifetimeSeconds - 20

    // MARK: Telling

    private func note(
        _ record: SessionRecord, _ cause: ChangeCause, _ verdicts: VerdictIDs, heldBy: String?
    ) {
        note(
            Redecided(
                cause: cause, session: record.session, old: revocations.latest(record.name), new: record,
                oldVerdicts: verdicts.old, newVerdicts: verdicts.new, heldBy: heldBy))
    }

    /// The one place that hears of every session which loses something, or keeps what it would lose.
    private func note(_ change: Redecided) {
        if let cause = change.heldBy {
            decisions.note(
                "held", atSeconds: nowSeconds(),
                [
                    ("held_by", .string(cause)), ("cause", .string(change.cause.word)),
                    ("application", change.new.map { .string($0.application) } ?? .null),
                    ("device", change.new?.device.map { .string($0) } ?? .null),
                    ("decision", change.new?.decision.map { .string($0.text) } ?? .null),
                ])
        }
        EventLog.write(
            change.heldBy == nil ? "access-lost" : "access-held",
            [
                ("cause", .string(change.cause.word)), ("session", .string(change.session)),
                ("application", change.new.map { .string($0.application) } ?? .null),
                ("held_by", change.heldBy.map { .string($0) } ?? .null),
                ("old_verdicts", .array(change.oldVerdicts.map { .string($0) })),
                ("new_verdicts", .array(change.newVerdicts.map { .string($0) })),
                ("reason", change.new.map { .string($0.residual.refusal.rawValue) } ?? .null),
            ])
    }

    private func announce(_ ruling: BlastRadius.Ruling) async {
        guard !ruling.begun.isEmpty else { return }
        let now = nowSeconds()
        let held = blast.radius { $0.held(nowSeconds: now) }
        for change in held where ruling.begun.contains(change.cause) {
            let members: [(String, JSONValue)] = [
                ("change", .string(change.cause.id)), ("sessions", .integer(Int64(change.losses.count))),
                ("remedy", .string("gatepost held release --cause \(change.cause.id)")),
            ]
            EventLog.write("change-held", members)
            await audit("change-held", members)
        }
    }

    /// The trail must not stop what it is about; a store that fails shows itself elsewhere too.
    func audit(_ kind: String, _ members: [(String, JSONValue)]) async {
        try? await store.appendAudit(
            kind: kind, atSeconds: nowSeconds(),
            json: JSONValue.object(JSONObject(members)).serializedText())
    }
}
