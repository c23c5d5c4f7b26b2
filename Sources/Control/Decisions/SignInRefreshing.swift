import Access
import Identity
import JSON
import Store

/// Sign-ins are kept in step with their providers; what follows from that is carried out here.
extension ControlPlane {
    /// Begins the refreshes that are due. Once a second; nothing waits for it.
    func refreshSignIns() async {
        await refreshes.tick(await services.flow.refreshSource(), for: RefreshResults(control: self))
    }

    /// A session is being used: its refresh must not rest.
    func noteRefreshUse(of session: StoredSession, _ nowSeconds: Int64) {
        guard let globalID = session.globalID else { return }
        refreshes.uses.note(globalID, nowSeconds: nowSeconds)
    }
}

/// Carries out what refreshes come to.
struct RefreshResults: RefreshEffects {
    let control: ControlPlane

    /// The sign-in is over: everything below it is cut before anything is written about it.
    func ended(_ sessions: [StoredSession], by end: RefreshEnd) async {
        control.ended(sessions)
        let members: [(String, JSONValue)] = [
            ("reason", .string(end.word)), ("provider", .string(end.provider)),
            ("code", .string(end.failure.detail)), ("session", .string(end.sessionID)),
            ("sessions_ended", .integer(Int64(sessions.count))),
        ]
        EventLog.write("sign-in-ended", members)
        let listed = sessions.prefix(1_000).map { JSONValue.string($0.id) }
        await control.audit("sign-in-ended", members + [("sessions", .array(listed))])
    }

    /// What is known of the person has changed: what they have open is decided anew, at once.
    func changed(globalID: String) async {
        do throws(StoreError) {
            try await control.globalChanged(globalID, .claims)
        } catch {
            // The records that are out keep their end, at most 100 s.
            EventLog.write("store-failed", [("what", .string("\(error)"))])
        }
        control.changes.announce()
    }

    func told(_ news: RefreshNews) { RefreshText.write(news) }
}

/// What refreshes tell, as events.
enum RefreshText {
    static func write(_ news: RefreshNews) {
        let (event, members) = event(news)
        EventLog.write(event, members)
    }

    static func event(_ news: RefreshNews) -> (String, [(String, JSONValue)]) {
        switch news {
        case .failing(let provider, let failure):
            (
                "sign-in-refresh-failing",
                [
                    ("provider", .string(provider)), ("reason", .string(failure.word)),
                    ("what", .string(failure.detail)), ("remedy", .string(remedy(failure))),
                ]
            )
        case .working(let provider): ("sign-in-refresh-working", [("provider", .string(provider))])
        case .superseded(let session, let provider):
            (
                "sign-in-refresh-superseded",
                [("provider", .string(provider)), ("session", .string(session))]
            )
        case .unreadable(let session, let provider):
            (
                "refresh-token-unreadable",
                [("provider", .string(provider)), ("session", .string(session))]
            )
        case .notSaved(let session, let error):
            ("store-failed", [("what", .string("\(error)")), ("session", .string(session))])
        case .notRevoked(let provider, let what):
            ("refresh-token-not-revoked", [("provider", .string(provider)), ("what", .string(what))])
        }
    }

    private static func remedy(_ failure: RefreshFailure) -> String {
        switch failure {
        case .refusesClient:
            "check client-id, client-secret and the registration at the provider; sign-ins end after refresh-grace"
        case .unavailable:
            "look after the provider; sign-ins that it does not confirm end after refresh-grace"
        case .unusable: "the provider's answer breaks the specification; sign-ins end after refresh-grace"
        case .revoked, .interaction, .otherSubject: "the person signs in again"
        }
    }
}
