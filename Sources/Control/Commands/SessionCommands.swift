import Config
import Identity
import JSON
import Posture
import Store

/// Ending sessions, and the tokens with which devices enrol.
extension ControlPlane {
    /// Sessions ended in one transaction.
    private static let removedAtOnceMax = 10_000

    func revokeSessions(_ command: JSONValue) async throws(StoreError) -> JSONValue {
        let removed: [StoredSession]
        if let id = command["session"]?.string {
            guard let session = try await store.session(id: id) else {
                return ["error": .string("no session \(id)")]
            }
            removed = try await givingBack([session]) { () async throws(StoreError) in
                try await end([session.id])
            }
        } else if let user = command["user"]?.string {
            removed = try await endSessions(ofPersonsWith: EmailAddress.folded(user))
        } else if let device = command["device"]?.string {
            removed = try await endAll(.device(id: device))
        } else {
            return ["error": "name a session, a user or a device"]
        }
        let line = "\(removed.count) session\(removed.count == 1 ? "" : "s") ended"
        try await store.appendAudit(
            kind: "sessions-revoked", atSeconds: nowSeconds(),
            json: JSONValue.object(
                JSONObject([("sessions", .array(removed.map { .string($0.id) })), ("by", "command")])
            ).serializedText())
        return ["text": .string(line)]
    }

    /// Ends every session that is found, however many there are: the newest first, so the one that could make new
    /// ones would otherwise be the one that stays.
    func endAll(_ query: SessionQuery) async throws(StoreError) -> [StoredSession] {
        var removed: [StoredSession] = []
        while true {
            let found = try await store.sessions(query, limit: Self.removedAtOnceMax)
            if found.isEmpty { return removed }
            removed += try await givingBack(found) { () async throws(StoreError) in
                try await end(found.map(\.id))
            }
        }
    }

    /// Sign-ins whose refresh tokens are given back at once.
    private static let givenBackMax = 256

    /// Ends sessions by an administrator's word. What their providers would still refresh is given back to them
    /// (RFC 7009) as after a sign-out: when everything is cut, and with nobody waiting for it.
    ///
    /// - Parameter sessions: those that are about to end: with them the store forgets their tokens.
    func givingBack(
        _ sessions: [StoredSession], _ end: () async throws(StoreError) -> [StoredSession]
    ) async throws(StoreError) -> [StoredSession] {
        let flow = services.flow
        let signIns = sessions.filter { $0.kind == .global }.prefix(Self.givenBackMax).map(\.id)
        let tokens = signIns.isEmpty ? [] : await flow.refreshes(of: signIns)
        let removed = try await end()
        let gone = Set(removed.map(\.id))
        let lost = tokens.filter { gone.contains($0.sessionID) }
        if !lost.isEmpty { await flow.giveBack(lost, nowSeconds: nowSeconds()) }
        return removed
    }

    func enrollToken(_ command: JSONValue) async throws(StoreError) -> JSONValue {
        guard let email = command["email"]?.string.map(EmailAddress.folded) else {
            return ["error": "enroll-token needs email"]
        }
        let owner: DeviceOwnerIdentity
        switch try await self.owner(email, command) {
        case .success(let found): owner = found
        case .failure(let refusal): return ["error": .string(refusal.what)]
        }
        do throws(PostureRefusal) {
            let token = try await services.posture.createEnrollmentToken(
                issuer: owner.issuer, subject: owner.subject, email: email,
                expectedSerial: command["serial"]?.string)
            return ["token": .string(token)]
        } catch {
            return ["error": .string(error.detail)]
        }
    }

    private struct DeviceOwnerIdentity: Hashable {
        var issuer: String
        var subject: String
    }

    /// Two registrations of one tenant are one person: all of their devices are enrolled under the subject
    /// that was seen first, so that a new enrolment takes the place of an old one whichever of them it was
    /// begun with.
    private func firstName(of identity: DeviceOwnerIdentity) async throws(StoreError) -> DeviceOwnerIdentity {
        let subjects = try await store.subjects(issuer: identity.issuer, subject: identity.subject)
        return DeviceOwnerIdentity(issuer: identity.issuer, subject: subjects.first ?? identity.subject)
    }

    /// Who the token is for: named completely, or the one identity that signed in with this address. An address alone
    /// owns nothing, and an address that two providers vouch for names two people until somebody says which.
    private func owner(
        _ email: String, _ command: JSONValue
    ) async throws(StoreError) -> Result<DeviceOwnerIdentity, ControlFailure> {
        var issuer: String?
        if let name = command["identity_provider"]?.string {
            issuer = services.config.identityProviders.first { $0.name == name }?.issuer
            guard issuer != nil else { return .failure(ControlFailure(what: "no identity provider \(name)")) }
            guard services.config.identityProviders.first(where: { $0.name == name })?.tenants.isEmpty == true
            else { return .failure(Self.severalTenants(name)) }
        }
        let subject = command["subject"]?.string
        if let issuer, let subject {
            return .success(try await firstName(of: DeviceOwnerIdentity(issuer: issuer, subject: subject)))
        }
        let known = try await store.sessions(.email(email), limit: Self.removedAtOnceMax).filter { session in
            (issuer.map { $0.utf8.elementsEqual(session.issuer.utf8) } ?? true)
                && (subject.map { $0.utf8.elementsEqual(session.subject.utf8) } ?? true)
        }
        var owners: Set<DeviceOwnerIdentity> = []
        for identity in Set(known.map { DeviceOwnerIdentity(issuer: $0.issuer, subject: $0.subject) }) {
            owners.insert(try await firstName(of: identity))
        }
        guard let owner = owners.first else {
            let what =
                "\(email) has not signed in yet; let them sign in first, or name --identity-provider and --subject"
            return .failure(ControlFailure(what: what))
        }
        guard owners.count == 1 else {
            let what =
                "\(email) is known as \(owners.count) identities; name --identity-provider and --subject"
            return .failure(ControlFailure(what: what))
        }
        return .success(owner)
    }
}
