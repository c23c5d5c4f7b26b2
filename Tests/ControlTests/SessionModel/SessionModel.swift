/// What docs/sessions.md says, as sets: which sign-ins and sessions there are, and what each ending takes.
///
/// It knows nothing of how the control plane does it. Names of sessions are learned from the store when a sign-in of
/// the story has finished; from then on what lives and what does not is this model's own account.
struct SessionModel {
    struct SignIn {
        var id: String
        var provider: String
        var subject: String
        var email: String
        var sid: String?
        var device: String?
        /// Where it was made.
        var browser: Int
        var expiresAtSeconds: Int64
        var usedAtSeconds: Int64
        /// The provider's sign-in whose refresh token counts.
        var family: String
        /// How many endings sign-ins under way had been told of when its provider said last what it calls it.
        var marksKnown = 0
        /// The others of the browser, newest first.
        var linked: [String] = []
        /// Since when every answer to a refresh says nothing that counts.
        var failingSinceSeconds: Int64?
        /// The same, or since when its provider failed others before: when it was due the model does not know.
        var doubtedSinceSeconds: Int64?

        var issuer: String { ModelConfig.issuer(provider) }
    }

    struct Session {
        var id: String
        var signIn: String
        var provider: String
        var application: String
        var expiresAtSeconds: Int64
        var usedAtSeconds: Int64
    }

    /// A client without a person: until its end it lets in, and afterwards nothing of it is open.
    struct ServiceToken {
        var id: String
        var expiresAtSeconds: Int64
    }

    /// What sign-ins under way are told.
    enum Mark: Hashable {
        case person(issuer: String, subject: String)
        case subject(provider: String, subject: String)
        case name(provider: String, sid: String)
        case unnamed(provider: String, subject: String)
        case provider(String)
        case address(String)
        /// By a signal, which does not say whose providers' names it uses.
        case session(sid: String)
        /// The same of one person: what has no name may be the one.
        case personSession(issuer: String, subject: String, sid: String)
    }

    var config = ModelConfig()
    private(set) var signIns: [String: SignIn] = [:]
    private(set) var sessions: [String: Session] = [:]
    private(set) var tokens: [String: ServiceToken] = [:]
    private(set) var dead: Set<String> = []
    /// Of sign-ins that have ended: the others of their browsers.
    private var left: [String: [String]] = [:]
    func left(of id: String) -> [String] { left[id] ?? [] }
    /// Of sessions, also of those that have ended: the sign-in that they were under.
    private(set) var signInOfSession: [String: String] = [:]
    private(set) var marks: [(mark: Mark, atSeconds: Int64)] = []
    /// Providers that fail, as the process knows it.
    private(set) var failing: [String: Int64] = [:]
    /// The last second at which something came to its end: there a clock that goes back would bring it back.
    private(set) var lastEndAtSeconds: Int64 = 0
    /// When they did so last.
    private var heardFailing: [String: Int64] = [:]
    /// Open streams by number, with the session that opened them.
    var streams: [Int: String] = [:]

    /// What a browser's sign-in brings along when another is laid over it.
    func browser(of id: String) -> [String] { signIns[id].map { [id] + $0.linked } ?? [] }

    // MARK: Beginnings

    /// - Parameter before: the others of the browser, newest first.
    mutating func begin(_ signIn: SignIn, linkedTo before: [String]) {
        var signIn = signIn
        let kept = Array(before.prefix(8))
        end(signIns: Array(before.dropFirst(8)))
        signIn.linked = kept
        for id in kept {
            let linked = signIns[id]?.linked ?? []
            signIns[id]?.linked = [signIn.id] + linked.filter { kept.contains($0) }
        }
        signIns[signIn.id] = signIn
    }

    mutating func renew(_ id: String, _ edit: (inout SignIn) -> Void) {
        guard var signIn = signIns[id] else { return }
        edit(&signIn)
        signIns[id] = signIn
    }

    mutating func begin(_ session: Session) {
        sessions[session.id] = session
        signInOfSession[session.id] = session.signIn
    }

    mutating func begin(_ token: ServiceToken) { tokens[token.id] = token }

    /// Those that count get a successor: they end after the overlap, if not earlier.
    mutating func shorten(tokensTo end: Int64) {
        for (id, token) in tokens { tokens[id]?.expiresAtSeconds = min(token.expiresAtSeconds, end) }
    }

    mutating func use(_ id: String, atSeconds: Int64) {
        guard let signIn = sessions[id]?.signIn else { return }
        sessions[id]?.usedAtSeconds = atSeconds
        signIns[signIn]?.usedAtSeconds = atSeconds
    }

    /// A step-up is a use of the session, and none of its sign-in where that was young enough.
    mutating func touch(_ id: String, atSeconds: Int64) { sessions[id]?.usedAtSeconds = atSeconds }

    // MARK: Endings

    mutating func end(signIns ids: some Sequence<String>) {
        for id in Array(ids) {
            guard let ended = signIns.removeValue(forKey: id) else { continue }
            dead.insert(id)
            left[id] = ended.linked
            end(sessions: sessions.values.filter { $0.signIn == id }.map(\.id))
        }
    }

    mutating func end(sessions ids: some Sequence<String>) {
        for id in Array(ids) where sessions.removeValue(forKey: id) != nil {
            dead.insert(id)
            for (stream, session) in streams where session == id { streams[stream] = nil }
        }
    }

    mutating func endTokens(where isMeant: (ServiceToken) -> Bool = { _ in true }) {
        for id in tokens.values.filter(isMeant).map(\.id) {
            tokens[id] = nil
            for (stream, name) in streams where name.hasPrefix(id + "@") { streams[stream] = nil }
        }
    }

    /// What machines have open at an application ends; their tokens go on.
    mutating func cutMachines(at application: String) {
        for (stream, name) in streams where isMachine(name) && name.hasSuffix("@" + application) {
            streams[stream] = nil
        }
    }

    private func isMachine(_ name: String) -> Bool { name.contains("@") }

    mutating func end(signInsWhere isMeant: (SignIn) -> Bool) {
        end(signIns: signIns.values.filter(isMeant).map(\.id))
    }

    /// Ends what a mark is about, and tells sign-ins that began until this second.
    mutating func end(_ mark: Mark, atSeconds: Int64) {
        marks.append((mark, atSeconds))
        end { Self.concerns(mark, $0) }
    }

    /// Tells sign-ins under way alone.
    mutating func tell(_ mark: Mark, atSeconds: Int64) { marks.append((mark, atSeconds)) }

    /// What a browser still has that comes with the cookie of this sign-in, which may have ended.
    func present(_ id: String) -> [String] {
        var found: [String] = []
        var (next, seen) = ([id], Set<String>())
        while let id = next.popLast() {
            guard seen.insert(id).inserted else { continue }
            guard let signIn = signIns[id] else {
                // Ended as well: what its browser had besides it then.
                next += left[id] ?? []
                continue
            }
            found += [id] + signIn.linked
        }
        return found.filter { signIns[$0] != nil }
    }

    /// This browser's, with the linked ones.
    mutating func signOut(_ id: String) { end(signIns: transitive(present(id))) }

    /// All of the persons that this browser is signed in as, on every browser, and what those browsers have linked.
    mutating func signOutEverywhere(_ id: String, atSeconds: Int64) {
        let all = present(id)
        for signIn in all.compactMap({ signIns[$0] }) {
            let mark = Mark.person(issuer: signIn.issuer, subject: signIn.subject)
            let linked = signIns.values.filter { Self.concerns(mark, $0) }.flatMap(\.linked)
            end(mark, atSeconds: atSeconds)
            end(signIns: transitive(linked))
        }
        end(signIns: transitive(all))
    }

    private func transitive(_ ids: [String]) -> Set<String> {
        var all: Set<String> = []
        var next = ids
        while let id = next.popLast() {
            guard all.insert(id).inserted else { continue }
            next += signIns[id]?.linked ?? []
        }
        return all
    }

    /// Time: what has come to its end is over at that second.
    mutating func expire(atSeconds now: Int64) {
        let isOver =
            signIns.values.contains { $0.expiresAtSeconds <= now }
            || sessions.values.contains { $0.expiresAtSeconds <= now }
            || tokens.values.contains { $0.expiresAtSeconds <= now }
        if isOver { lastEndAtSeconds = max(lastEndAtSeconds, now) }
        end { $0.expiresAtSeconds <= now }
        end(sessions: sessions.values.filter { $0.expiresAtSeconds <= now }.map(\.id))
        endTokens { $0.expiresAtSeconds <= now }
    }

    /// A configuration without a provider ends what it made; one that is no longer accepted cuts, and ends nothing.
    ///
    /// - Parameter isRestart: a start cannot know what was taken out when nothing of it was left.
    mutating func take(_ config: ModelConfig, isRestart: Bool, atSeconds now: Int64) {
        let before = self.config
        self.config = config
        for provider in ModelConfig.clients.keys where !config.providers.contains(provider) {
            // Told by the reload that takes it out, and by none after that: it may be back in the same second.
            if !isRestart, before.providers.contains(provider) { marks.append((.provider(provider), now)) }
            end { $0.provider == provider }
        }
        for (stream, id) in streams where !isMachine(id) && !isAccepted(id) {
            streams[stream] = nil
        }
    }

    /// What a provider said to a refresh of this family's sign-in.
    mutating func refreshed(_ family: String, at provider: String, counts: Bool, atSeconds now: Int64) {
        let since = failing[provider] ?? now
        failing[provider] = counts ? nil : since
        heardFailing[provider] = counts ? nil : now
        for signIn in signIns.values where signIn.family == family {
            signIns[signIn.id]?.failingSinceSeconds = counts ? nil : signIn.failingSinceSeconds ?? now
            signIns[signIn.id]?.doubtedSinceSeconds = counts ? nil : signIn.doubtedSinceSeconds ?? since
        }
    }

    /// A new process knows of no failures until it has asked.
    mutating func forgetFailing() { (failing, heardFailing) = ([:], [:]) }

    // MARK: Questions

    /// Not confirmed for the grace, itself or because its provider fails others.
    func mayBeGivenUp(_ signIn: SignIn, atSeconds now: Int64) -> Bool {
        let since = signIn.doubtedSinceSeconds ?? failing[signIn.provider] ?? now
        return now - since >= ModelConfig.graceSeconds
    }

    /// It was asked about in vain for the grace, and its provider has failed all the time since then: where that has
    /// answered others meanwhile, one that nobody uses rests, and is asked about before it is given up.
    func mustBeGivenUp(_ signIn: SignIn, atSeconds now: Int64) -> Bool {
        guard let since = signIn.failingSinceSeconds, let heard = heardFailing[signIn.provider],
            let outage = failing[signIn.provider], outage <= since
        else { return false }
        return heard - since >= ModelConfig.graceSeconds && now > heard
    }

    static func concerns(_ mark: Mark, _ signIn: SignIn) -> Bool {
        switch mark {
        case .person(let issuer, let subject): signIn.issuer == issuer && signIn.subject == subject
        case .subject(let provider, let subject):
            signIn.provider == provider && signIn.subject == subject
        case .name(let provider, let sid): signIn.provider == provider && signIn.sid == sid
        case .unnamed(let provider, let subject):
            signIn.provider == provider && signIn.subject == subject && signIn.sid == nil
        case .provider(let provider): signIn.provider == provider
        case .address(let email): signIn.email == email
        case .session(let sid): signIn.sid == sid
        case .personSession(let issuer, let subject, let sid):
            signIn.issuer == issuer && signIn.subject == subject && (signIn.sid ?? sid) == sid
        }
    }

    /// Something ended this sign-in while it was under way: since that second, or since there were so many marks.
    func wasEnded(_ signIn: SignIn, sinceSeconds began: Int64, beyond known: Int) -> Bool {
        marks.contains { $0.atSeconds >= began && Self.concerns($0.mark, signIn) }
            || wasEnded(signIn, in: known..<marks.count)
    }

    /// One of these marks is about it.
    func wasEnded(_ signIn: SignIn, in range: Range<Int>) -> Bool {
        marks[range].contains { Self.concerns($0.mark, signIn) }
    }

    /// What a clock noted that has gone back by more than ten seconds since is dated anew by the upkeep.
    mutating func settle(atSeconds now: Int64) {
        for index in marks.indices where marks[index].atSeconds > now + 10 { marks[index].atSeconds = now }
    }

    func isAccepted(_ session: String) -> Bool {
        guard let session = sessions[session] else { return false }
        return config.accepts(session.provider, at: session.application)
    }

    func idleSeconds(_ session: Session) -> Int64? {
        ModelConfig.idleSeconds(session.provider, at: session.application)
    }

    /// Nobody has used it for its idle time: it may end whenever it is asked for.
    func mayBeIdle(_ session: Session, atSeconds now: Int64) -> Bool {
        idleSeconds(session).map { now - session.usedAtSeconds >= $0 } ?? false
    }

    /// It has to be over: the idle time, an eighth of it or a minute, and two minutes.
    func mustBeIdle(_ session: Session, atSeconds now: Int64) -> Bool {
        idleSeconds(session).map { now - session.usedAtSeconds >= $0 + max(60, $0 / 8) + 120 } ?? false
    }

    /// The sign-in goes with a session that was idle, when nothing else below it was used either.
    func mayBeIdle(_ signIn: SignIn, atSeconds now: Int64) -> Bool {
        sessions.values.contains { session in
            session.signIn == signIn.id && mayBeIdle(session, atSeconds: now)
                && idleSeconds(session).map { now - signIn.usedAtSeconds >= $0 } ?? false
        }
    }
}
