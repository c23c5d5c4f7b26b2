import Access
import Config
import Identity
import JSON
import Store

/// `session end`: sessions of one kind, counted or ended.
extension ControlPlane {
    /// What an administrator may name.
    private enum EndSelector {
        case session(String)
        case person(email: String)
        case subject(String, provider: String, issuer: String)
        case device(String)
        case provider(String)
        case application(String)

        var query: SessionQuery {
            switch self {
            case .session(let id): .ids([id])
            case .person(let email): .email(email)
            case .subject(let subject, _, let issuer): .person(issuer: issuer, subject: subject)
            case .device(let id): .device(id: id)
            case .provider(let name): .provider(name)
            case .application(let name): .application(name)
            }
        }

        /// For the audit trail, which keeps no address: the sessions' own ids say whose they were.
        var members: [(String, JSONValue)] {
            switch self {
            case .session(let id): [("by", "session"), ("name", .string(id))]
            case .person: [("by", "person")]
            case .subject(_, let provider, _): [("by", "person"), ("name", .string(provider))]
            case .device(let id): [("by", "device"), ("name", .string(id))]
            case .provider(let name): [("by", "provider"), ("name", .string(name))]
            case .application(let name): [("by", "application"), ("name", .string(name))]
            }
        }
    }

    func endSessions(_ command: JSONValue, uid: UInt32?) async throws(StoreError) -> JSONValue {
        let selector: EndSelector
        switch endSelector(command) {
        case .success(let found): selector = found
        case .failure(let failure): return ["error": .string(failure.what)]
        }
        let isDry = command["dry_run"] == true
        let planned = try await count(selector)
        let meant = machines(of: selector).count
        if planned == SessionCount(), meant == 0, let unknown = unknown(selector) {
            return ["error": .string(unknown)]
        }
        if isDry { return answer(planned, machines: meant, selector, isDry: true) }
        // First: what is in memory waits for no disk.
        let gone = machines(of: selector)
        end(gone)
        let ended = try await end(selector)
        await noteEnding(
            "sessions-ended",
            selector.members + [
                ("uid", uid.map { .integer(Int64($0)) } ?? .null),
                ("machines", .array(Set(gone.map(\.recordID)).sorted().map { .string($0) })),
            ], ended)
        return answer(
            SessionCount(ended, liveAtSeconds: nowSeconds()), machines: gone.count, selector, isDry: false)
    }

    /// Clients without a person, by what `service-token list` shows of them.
    private func machines(of selector: EndSelector) -> [Machine] {
        switch selector {
        case .session(let id): machines.active { $0.recordID == id }
        case .device(let id): machines.active { $0.device == id }
        case .application(let name): machines.active { $0.application == name }
        case .person, .subject, .provider: []
        }
    }

    private func endSelector(_ command: JSONValue) -> Result<EndSelector, ControlFailure> {
        let names = ["session", "person", "device", "provider", "application"]
        let given = names.filter { command[$0]?.string != nil }
        if given == ["provider"], let subject = command["subject"]?.string {
            let name = command["provider"]?.string ?? ""
            let provider = services.config.identityProviders.first { $0.name == name }
            guard let provider else { return .failure(ControlFailure(what: "no identity provider \(name)")) }
            guard provider.tenants.isEmpty else { return .failure(Self.severalTenants(name)) }
            return .success(.subject(subject, provider: name, issuer: provider.issuer))
        }
        guard given.count == 1, command["subject"] == nil, let value = command[given[0]]?.string else {
            return .failure(
                ControlFailure(
                    what:
                        "name one of session, person, device, provider (with subject or without), application"
                ))
        }
        switch given[0] {
        case "session": return .success(.session(value))
        case "person": return .success(.person(email: EmailAddress.folded(value)))
        case "device": return .success(.device(value))
        case "provider": return .success(.provider(value))
        case _: return .success(.application(value))
        }
    }

    /// A subject is one person only below one issuer.
    static func severalTenants(_ provider: String) -> ControlFailure {
        ControlFailure(what: "\(provider) has several tenants, so a subject names nobody; use the address")
    }

    /// A name that nothing has, neither sessions nor the configuration, is misspelt; nil: it is known.
    private func unknown(_ selector: EndSelector) -> String? {
        let config = services.config
        switch selector {
        case .session(let id): return "no session \(id)"
        case .provider(let name):
            return config.identityProviders.contains { $0.name == name }
                ? nil : "no identity provider \(name)"
        case .application(let name):
            guard !config.applications.contains(where: { $0.name == name }) else { return nil }
            return "no application \(name); there are: "
                + config.applications.map(\.name).joined(separator: ", ")
        case .person, .subject, .device: return nil
        }
    }

    /// Exactly what ending it would end.
    private func count(_ selector: EndSelector) async throws(StoreError) -> SessionCount {
        guard case .person = selector else {
            return try await store.count(selector.query, nowSeconds: nowSeconds())
        }
        var sum = SessionCount()
        for (issuer, subject) in try await persons(selector.query) {
            let one = try await store.count(
                .person(issuer: issuer, subject: subject), nowSeconds: nowSeconds())
            sum.signIns += one.signIns
            sum.sessions += one.sessions
            sum.persons += one.persons
        }
        return sum
    }

    /// Who is behind an address: they may have sessions that know another one. Each person once, however many names
    /// they have.
    private func persons(
        _ query: SessionQuery
    ) async throws(StoreError) -> [(issuer: String, subject: String)] {
        var found: [String: (issuer: String, subject: String)] = [:]
        var isKnown: Set<String> = []
        for session in try await store.sessions(query, limit: Sessions.listMax) {
            let key = "\(session.issuer)\n\(session.subject)"
            guard isKnown.insert(key).inserted else { continue }
            let names = try await store.subjects(issuer: session.issuer, subject: session.subject)
            for name in names { isKnown.insert("\(session.issuer)\n\(name)") }
            found[key] = (session.issuer, session.subject)
        }
        return found.sorted { $0.key < $1.key }.map(\.value)
    }

    private func end(_ selector: EndSelector) async throws(StoreError) -> [StoredSession] {
        var removed: [StoredSession] = []
        switch selector {
        case .session, .device, .application: break
        case .subject(let subject, _, let issuer):
            removed = try await end(.person(issuer: issuer, subject: subject), selector.query)
        case .provider(let name): removed = try await end(.provider(name), selector.query)
        case .person(let email): removed = try await end(personsWith: email)
        }
        return removed + (try await endAll(selector.query))
    }

    /// Whoever has this address, at every issuer: by person, so that what knows them by another one ends as well, and
    /// by the address, for those who are signing in and have no session yet that could say who they are.
    private func end(personsWith email: String) async throws(StoreError) -> [StoredSession] {
        try await store.noteEnding(of: SignInNames(persons: [.email(email)]), atSeconds: nowSeconds())
        var removed: [StoredSession] = []
        for (issuer, subject) in try await persons(.email(email)) {
            removed += try await end(
                .person(issuer: issuer, subject: subject), .person(issuer: issuer, subject: subject))
        }
        return removed
    }

    /// Everything of the persons with this address.
    func endSessions(ofPersonsWith email: String) async throws(StoreError) -> [StoredSession] {
        try await end(.person(email: email))
    }

    /// Sessions that are looked through for tokens to give back: the cut does not wait for more.
    private static let givenBackLookMax = 1_000

    /// - Parameter query: finds the scope's sessions.
    private func end(
        _ scope: EndingScope, _ query: SessionQuery
    ) async throws(StoreError) -> [StoredSession] {
        let sessions = Sessions(store: store, ring: ring)
        let now = nowSeconds()
        let found = try await store.sessions(query, limit: Self.givenBackLookMax)
        return try await givingBack(found) { () async throws(StoreError) in
            try await sessions.end(scope, nowSeconds: now, ended: ended) ?? []
        }
    }

    private func answer(
        _ count: SessionCount, machines: Int, _ selector: EndSelector, isDry: Bool
    ) -> JSONValue {
        func number(_ count: Int, _ one: String, _ many: String) -> String {
            "\(count) \(count == 1 ? one : many)"
        }
        var text =
            number(count.signIns, "sign-in", "sign-ins") + " and "
            + number(count.sessions, "session", "sessions") + " of "
            + number(count.persons, "person", "people") + Self.andMachines(machines)
            + (isDry ? " would end" : " ended")
        if case .application = selector {
            text += "\nthe sign-ins stay: who is let in by policy comes back without a question"
        }
        if machines > 0 {
            text +=
                "\na machine's token or certificate still counts: revoke it, or change the policy, to keep it out"
        }
        return [
            "text": .string(text), "dry_run": .bool(isDry), "sign_ins": .integer(Int64(count.signIns)),
            "sessions": .integer(Int64(count.sessions)), "people": .integer(Int64(count.persons)),
            "machines": .integer(Int64(machines)),
        ]
    }
}
