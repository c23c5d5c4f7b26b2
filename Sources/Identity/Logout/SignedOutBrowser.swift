import Access
import JSON
import Signatures
import Store

/// Sign-ins under way that were begun in browsers which were signed out since, as far as those browsers' cookies show.
///
/// In memory: whoever begins a sign-in could fill a store with them. So could they a list; here each has a place, and a
/// place knows the number of the last sign-out that was noted in it. Nothing is ever too much, and nothing is forgotten
/// while the process lives. What shares a place and began before ends as well: of all that is under way one in 65,536
/// with each that is noted, wherever it was begun. Whoever begins again has a place of their own, and a later number.
struct SignedOutLogins: Sendable {
    /// How far the count was when a sign-in began. It travels sealed.
    struct Begin: Sendable, Equatable {
        var process: String
        var count: Int64
    }

    /// Numbers of another process say nothing of the order.
    private let process: String
    private var count: Int64 = 0
    private var last: [UInt16: Int64] = [:]

    /// - Parameter process: a name that no other process has.
    init(process: String) { self.process = process }

    /// What a sign-in takes along that begins now.
    var begin: Begin { Begin(process: process, count: count) }

    /// - Parameter binding: the sign-in's (`LoginGoal.binding`): a digest of what chance has made here, so nobody can
    ///   choose the place.
    mutating func note(_ binding: [UInt8]) {
        count += 1
        last[Self.place(binding)] = count
    }

    /// - Parameter begin: nil: it is not known.
    func contains(_ binding: [UInt8], since begin: Begin?) -> Bool {
        guard let number = last[Self.place(binding)] else { return false }
        guard let begin, ExactText.isEqual(begin.process, process) else { return true }
        return begin.count < number
    }

    private static func place(_ binding: [UInt8]) -> UInt16 {
        binding.prefix(2).reduce(0) { $0 << 8 | UInt16($1) }
    }
}

/// What sign-ins under way know their browser by. Nobody outside learns it: it travels sealed, in that browser's
/// cookies alone, so nobody can end a sign-in of somebody else's browser by it.
enum SignedOutBrowser {
    /// Names beside its id that one session remembers: those of the last.
    static let namesMax = 8

    /// Under what sign-ins that were begun beside these sessions, or before them, may be under way.
    static func names(of sessions: [StoredSession]) -> [String] {
        unique(sessions.flatMap { [$0.id] + $0.browserNames })
    }

    fileprivate static func unique(_ names: [String]) -> [String] {
        var known: Set<ExactKey> = []
        return names.filter { known.insert(ExactKey($0)).inserted }
    }
}

extension StoredSession {
    /// Keeps names from before in addition to its own.
    mutating func note(browserNames before: [String]) {
        let names = SignedOutBrowser.unique(browserNames + before).prefix(SignedOutBrowser.namesMax)
        claims[Self.browserClaim] = names.isEmpty ? nil : .list(Array(names))
    }
}

/// A sign-out ends what its browser has begun before. By order, not by the clock: what is noted here is known by a name
/// that no later sign-in takes, so the second of a sign-out and a clock that goes back are nothing special.
extension SignInFlow {
    /// What the sign-in that begins now goes by: the session that the browser has here, else another sign-in that is
    /// under way (either of the two may be first to make a session), else its own id.
    func browserName(
        ofSignIn id: [UInt8], under session: StoredSession?, _ request: FlowRequest
    ) async throws(StoreError) -> String {
        // What is left of before a sign-out says nothing of what begins after it.
        for name in SignedOutBrowser.unique(
            [session?.id].compactMap { $0 } + underWay(request).map(\.browser))
        where try await !store.isSignedOut(browser: name) {
            return name
        }
        return Base64URL.encode(id)
    }

    /// What the session of a sign-in remembers: the browser may have other sign-ins under way that began without it.
    ///
    /// - Parameter before: what the browser had when it came back.
    func browserNames(
        madeBy state: LoginState, after before: StoredSession?, _ request: FlowRequest
    ) -> [String] {
        let names = [state.browser] + underWay(request).map(\.browser) + [before?.id].compactMap { $0 }
        return Array(SignedOutBrowser.unique(names).prefix(SignedOutBrowser.namesMax))
    }

    private func underWay(_ request: FlowRequest) -> [LoginState] {
        LoginSlots(cookieField: request.cookieField).values.compactMap { value in
            value.flatMap { seals.loginState(cookie: $0, nowSeconds: request.nowSeconds) }
        }
    }

    /// Tells the sign-ins that this host's cookies show, whether or not the browser has a session.
    func noteSignedOut(_ request: FlowRequest, _ kind: StoredSession.Kind) {
        let now = request.nowSeconds
        let bindings: [[UInt8]] =
            switch kind {
            case .global: underWay(request).map(\.goal.binding)
            case .application:
                LoginSlots(cookieField: request.cookieField).values.compactMap { value in
                    value.flatMap { seals.binding(applicationCookie: $0, nowSeconds: now) }
                }
            }
        for binding in bindings { signedOutLogins.note(binding) }
    }

    /// Whether its browser was signed out since it began.
    ///
    /// - Parameter known: how many endings there were then.
    func isSignedOut(
        _ state: LoginState, beyond known: Int64, _ request: FlowRequest
    ) async throws(StoreError) -> Bool {
        if signedOutLogins.contains(state.goal.binding, since: state.goal.begin) { return true }
        if try await store.isSignedOut(browser: state.browser) { return true }
        // The clock has jumped since: what is no longer remembered may have been this browser's.
        if try await known < store.forgottenEndings() { return true }
        // Whose cookies stand beside its own is this browser: signed out since this one began, by what another tab has
        // become, it was meant as well. What was signed out before that says nothing of it.
        let others = underWay(request).map(\.browser).filter { !ExactText.isEqual($0, state.browser) }
        guard !others.isEmpty, let last = try await store.lastSignOut(ofBrowsers: others) else {
            return false
        }
        return known < last
    }

    /// The page after a sign-out, in the tab that was signing in. Nothing begins anew by itself: a provider that still
    /// knows the browser would sign in again, without a question, who has just signed out.
    func signedOut(_ goal: LoginGoal, removed: [StoredSession], setCookies: [String]) -> FlowAnswer {
        .signedOut(
            url: nil, removed: removed, setCookies: setCookies, page: SignedOutPage(againURL: url(of: goal)))
    }
}
