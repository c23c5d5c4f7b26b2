import Access
import Border
import Identity
import JSON
import Posture
import Store

/// What security events do here: sessions end, claims change, devices are decided again.
extension ControlPlane {
    /// From now on signals have effects.
    func carryOutSignals() async {
        await services.posture.carryOutSignals { [weak self] effects, origin throws(StoreError) in
            try await self?.carryOut(effects, of: origin)
        }
    }

    /// Carries out one event. Twice is as good as once: what fails in the middle comes again as a whole.
    func carryOut(_ effects: [SignalEffect], of origin: SignalOrigin) async throws(StoreError) {
        let began = monotonicNanoseconds()
        var ended: [StoredSession] = []
        var changed = 0
        for effect in effects {
            switch effect {
            case .endSessions(let target), .requireReauthentication(let target):
                ended += try await end(target)
            case .replaceClaims(let target, let claims):
                changed += try await replace(claims, of: target, eventNanoseconds: began)
            case .setVerdict(let signal): try await services.posture.take(signal)
            case .revokeCertificate(let certificate): try await revoke(certificate, of: origin)
            }
        }
        changes.announce()
        try await note(effects, of: origin, ended: ended, changed: changed)
    }

    /// Ends every session that is meant, however many there are, and sign-ins under way that began before.
    private func end(_ target: SignalTarget) async throws(StoreError) -> [StoredSession] {
        // First: whatever is kept from here on finds it, and what was kept before is found below. A sign-in under way
        // has proven no device yet, so none is of a target that names one.
        if target.deviceID == nil, !target.isEmpty {
            try await store.noteEnding(of: target.names, atSeconds: nowSeconds())
        }
        var removed: [StoredSession] = []
        while true {
            let meant = try await sessions(target)
            if meant.isEmpty { return removed }
            let some = try await end(meant.map(\.id))
            removed += some
            if some.isEmpty { return removed }
        }
    }

    private func replace(
        _ claims: ClaimChanges, of target: SignalTarget, eventNanoseconds: UInt64
    ) async throws(StoreError) -> Int {
        let records = Sessions(store: store, ring: ring)
        let meant = try await sessions(target)
        let globals = Set(meant.compactMap { $0.kind == .global ? $0.id : $0.globalID })
        var all = Dictionary(meant.map { ($0.id, $0) }, uniquingKeysWith: { first, _ in first })
        // Sessions of applications are of the same person on the same device, although their rows do not
        // say which.
        for id in globals {
            for session in try await store.sessions(.global(id: id), limit: Sessions.listMax)
            where meant.contains(where: { $0.id == id }) { all[session.id] = session }
        }
        for id in all.keys { try await records.change(id) { claims.apply(to: &$0) } }
        for id in globals { try await globalChanged(id, .claims, eventNanoseconds: eventNanoseconds) }
        return all.count
    }

    private func sessions(_ named: SignalTarget) async throws(StoreError) -> [StoredSession] {
        let target = try await everyName(of: named)
        // Our own id is found at once; the identity provider's has to be looked for.
        if target.persons.isEmpty, target.deviceID == nil, !target.sessions.isEmpty {
            var own: [StoredSession] = []
            for id in target.sessions {
                if let session = try await store.session(id: id), target.covers(session) {
                    own.append(session)
                }
            }
            if !own.isEmpty { return own }
        }
        var found: [StoredSession] = []
        for query in target.queries {
            found += try await store.sessions(query, limit: Sessions.listMax).filter { target.covers($0) }
        }
        return try await known(found, to: target)
    }

    /// Without sessions of applications that only may be meant, because they do not say which of the provider's
    /// sessions or tenants they are of, while their sign-in, which has been renewed since, says that it is another one.
    private func known(
        _ found: [StoredSession], to target: SignalTarget
    ) async throws(StoreError) -> [StoredSession] {
        let ids = Set(found.compactMap(\.globalID)).sorted()
        guard !ids.isEmpty else { return found }
        let signIns = Dictionary(
            try await store.sessions(.ids(ids), limit: Sessions.listMax).map { ($0.id, $0) },
            uniquingKeysWith: { first, _ in first })
        return found.filter { session in
            guard let signIn = session.globalID.flatMap({ signIns[$0] }) else { return true }
            var named = session
            named.claims.merge(signIn.claims) { own, _ in own }
            return target.covers(named)
        }
    }

    private func note(
        _ effects: [SignalEffect], of origin: SignalOrigin, ended: [StoredSession], changed: Int
    ) async throws(StoreError) {
        let kinds = effects.map { effect -> JSONValue in
            switch effect {
            case .endSessions: "end-sessions"
            case .requireReauthentication: "require-re-authentication"
            case .replaceClaims: "replace-claims"
            case .setVerdict: "set-verdict"
            case .revokeCertificate: "revoke-certificate"
            }
        }
        let members: [(String, JSONValue)] = [
            ("stream", .string(origin.stream)), ("jti", .string(origin.tokenID)),
            ("txn", origin.transaction.map { .string($0) } ?? .null), ("signal", .string(origin.event)),
            ("effects", .array(kinds)), ("sessions_ended", .integer(Int64(ended.count))),
            ("sessions_changed", .integer(Int64(changed))),
        ]
        EventLog.write("signal-applied", members)
        let listed = ended.prefix(1_000).map { JSONValue.string($0.id) }
        try await store.appendAudit(
            kind: "signal-applied", atSeconds: nowSeconds(),
            json: JSONValue.object(JSONObject(members + [("sessions", .array(listed))])).serializedText())
    }
}
