import Access
import Store
import Testing

@testable import Identity

@Suite("First sign-ins of one browser in several tabs at the same moment")
struct SideBySideTests {
    let world: World
    let browser: Browser
    private static let docs = "https://docs.corp.example:8443"
    private static let partner = "https://partner.corp.example:8443"
    private static let hr = "https://hr.corp.example:8443"

    init() {
        world = World { configuration in
            configuration.applications.append(
                IdentityApplication(name: "docs", host: "docs.corp.example", identityProviders: ["entra"]))
        }
        browser = Browser(world)
    }

    private typealias Jars = [String: [(name: String, value: String)]]

    /// Tabs that begin in the same moment: no request shows what the answer to another one set.
    ///
    /// - Parameter before: the cookies that the browser had then; nil: as it has now.
    /// - Returns: what the browser comes back with, of each.
    private func begin(
        _ urls: [String], in browser: Browser, with before: Jars? = nil
    ) async throws -> [String] {
        let before = before ?? browser.jars
        var (all, callbacks) = (browser.jars, [String]())
        for url in urls {
            // Chance decides on the slots of login cookies; in one slot the later tab would displace the earlier.
            for attempt in 1...256 {
                browser.jars = before
                let landing = await browser.go(url, pauseAtProvider: true)
                guard let merged = Self.merged(all, browser.jars, since: before) else {
                    try #require(attempt < 256, "every slot is taken")
                    continue
                }
                all = merged
                callbacks.append(try #require(landing.callback))
                break
            }
        }
        browser.jars = all
        return callbacks
    }

    /// nil: both have set a cookie of the same name.
    private static func merged(_ all: Jars, _ new: Jars, since before: Jars) -> Jars? {
        var all = all
        for (host, jar) in new {
            let known = Set((before[host] ?? []).map(\.name))
            let added = jar.filter { !known.contains($0.name) }
            let taken = Set((all[host] ?? []).map(\.name))
            if added.contains(where: { taken.contains($0.name) }) { return nil }
            all[host, default: []] += added
        }
        return all
    }

    /// All of them are on their way before the first is answered.
    ///
    /// - Parameter subjects: who has signed in, tab by tab; the last one also in those behind.
    private func comeBack(
        _ callbacks: [String], as subjects: [String], in browser: Browser
    ) async -> [FlowAnswer?] {
        var answers: [FlowAnswer?] = []
        for (index, request) in callbacks.map({ browser.request($0) }).enumerated() {
            let subject = subjects[min(index, subjects.count - 1)]
            for provider in world.providers { provider.change { $0.subject = subject } }
            answers.append(await world.flow.answer(request))
        }
        for answer in answers { browser.keep(answer?.setCookies ?? [], host: "auth.corp.example") }
        return answers
    }

    /// They begin, come back and arrive.
    private func signIn(
        _ urls: [String], as subjects: [String] = ["person-1"], in browser: Browser? = nil
    ) async throws {
        let browser = browser ?? self.browser
        let callbacks = try await begin(urls, in: browser)
        let answers = await comeBack(callbacks, as: subjects, in: browser)
        for (url, answer) in zip(urls, answers) {
            #expect(await browser.go(try #require(answer?.url)).page == url)
        }
    }

    /// - Returns: how many sessions ended; nil where nobody was signed out.
    @discardableResult
    private func signOut(_ origin: String, in browser: Browser? = nil) async -> Int? {
        let url = "\(origin)/.gatepost/sign-out"
        let answer = await (browser ?? self.browser).step(url, method: "POST", origin: origin)
        guard case .signedOut(_, let removed, _, _)? = answer else { return nil }
        return removed.count
    }

    private func signIns() async -> [StoredSession] {
        await world.store.rows.values.filter { $0.kind == .global }
    }

    // MARK: What ends

    @Test("two of one person: signing out at any host ends both", arguments: [wiki, docs, auth])
    func onePerson(_ host: String) async throws {
        try await signIn(["\(wiki)/", "\(Self.docs)/"])
        #expect(await signOut(host) == 4)
        #expect(await world.store.rows.isEmpty)
    }

    @Test("two people stay two, and signing out ends both", arguments: [wiki, docs, auth])
    func twoPeople(_ host: String) async throws {
        try await signIn(["\(wiki)/", "\(Self.docs)/"], as: ["person-1", "person-2"])
        #expect(await Set(signIns().map(\.subject)) == ["person-1", "person-2"])
        #expect(await browser.session("wiki.corp.example")?.subject == "person-1")
        #expect(await browser.session("docs.corp.example")?.subject == "person-2")
        #expect(await signOut(host) == 4)
        #expect(await world.store.rows.isEmpty)
    }

    @Test("at three providers: the same", arguments: [wiki, partner, hr, auth])
    func providers(_ host: String) async throws {
        try await signIn(["\(wiki)/", "\(Self.partner)/", "\(Self.hr)/"])
        #expect(await signOut(host) == 6)
        #expect(await world.store.rows.isEmpty)
    }

    @Test("the one whose cookie the browser kept ends by itself: signing out ends the other")
    func cookieEnded() async throws {
        try await signIn(["\(wiki)/", "\(Self.docs)/"], as: ["person-1", "person-2"])
        let person = EndingScope.person(issuer: world.tenant.issuer, subject: "person-2")
        _ = try await world.flow.sessions.end(person, nowSeconds: world.nowSeconds) { _ in }
        #expect(await signIns().map(\.subject) == ["person-1"])
        #expect(await signOut(auth) == 2)
        #expect(await world.store.rows.isEmpty)
    }

    @Test("one that comes back when the other has arrived and was signed out makes no session")
    func signedOutBetween() async throws {
        let callbacks = try await begin(["\(wiki)/", "\(Self.docs)/"], in: browser)
        let late = browser.request(callbacks[1])
        #expect(await browser.go(callbacks[0]).page == "\(wiki)/")
        #expect(await signOut(wiki) == 2)
        guard case .signedOut? = await world.flow.answer(late) else {
            Issue.record("it signs in")
            return
        }
        #expect(await world.store.rows.isEmpty)
    }

    @Test("the same, where the first came back before the second had begun")
    func begunLater() async throws {
        let first = try await begin(["\(wiki)/"], in: browser)
        let early = browser.request(first[0])
        let second = try await begin(["\(Self.docs)/"], in: browser, with: [:])
        let late = browser.request(second[0])
        let answer = try #require(await world.flow.answer(early))
        browser.keep(answer.setCookies, host: "auth.corp.example")
        #expect(await browser.go(try #require(answer.url)).page == "\(wiki)/")
        #expect(await signOut(wiki) == 2)
        guard case .signedOut? = await world.flow.answer(late) else {
            Issue.record("it signs in")
            return
        }
        #expect(await world.store.rows.isEmpty)
    }

    // MARK: What does not

    @Test("those of another browser, of the same person and at the same moments")
    func otherBrowser() async throws {
        let other = Browser(world)
        let callbacks = (
            try await begin(["\(wiki)/", "\(Self.docs)/"], in: browser),
            try await begin(["\(wiki)/", "\(Self.docs)/"], in: other)
        )
        let own = await comeBack(callbacks.0, as: ["person-1"], in: browser)
        let others = await comeBack(callbacks.1, as: ["person-1"], in: other)
        for answer in own { #expect(await browser.go(try #require(answer?.url)).session != nil) }
        for answer in others { #expect(await other.go(try #require(answer?.url)).session != nil) }
        #expect(await signIns().count == 4)
        #expect(await signOut(auth) == 4)
        #expect(await other.session("wiki.corp.example") != nil)
        #expect(await other.session("docs.corp.example") != nil)
        #expect(await signOut(auth, in: other) == 4)
    }

    @Test("a login cookie that was made up, or is another kind of sealed value, joins nobody to anybody")
    func planted() async throws {
        try await signIn(["\(wiki)/", "\(Self.docs)/"])
        let known = await signIns()
        let other = Browser(world)
        let callback = try await begin(["\(wiki)/"], in: other)
        let host = "auth.corp.example"
        let taken = Set((other.jars[host] ?? []).map(\.name))
        let ids = known.map(\.id) + known.flatMap(\.browserNames)
        let forged = other.jars["wiki.corp.example"]?.first?.value ?? ""
        let free = (0..<LoginSlots.count).map(LoginSlots.name).filter { !taken.contains($0) }
        for (name, value) in zip(free, [forged] + ids) { other.jars[host]?.append((name, value)) }
        let answer = await comeBack(callback, as: ["person-1"], in: other)
        #expect(await other.go(try #require(answer[0]?.url)).session != nil)
        #expect(await signOut(auth, in: other) == 2)
        #expect(await signIns().count == 2)
    }

    @Test("a sign-in after the sign-out, beside login cookies of before")
    func afterwards() async throws {
        let callbacks = try await begin(["\(wiki)/", "\(Self.docs)/", "\(Self.partner)/"], in: browser)
        let stale = browser.request(callbacks[1])
        #expect(await browser.go(callbacks[0]).page == "\(wiki)/")
        #expect(await signOut(wiki) == 2)
        #expect(await browser.go("\(Self.docs)/new").page == "\(Self.docs)/new")
        let rows = await world.store.rows
        let answer = await world.flow.answer(stale)
        guard case .signedOut? = answer else {
            Issue.record("what began before the sign-out: \(answer as Any)")
            return
        }
        #expect(await world.store.rows == rows)
        #expect(await browser.go(callbacks[2]).page == nil, "it began before, too")
        #expect(await world.store.rows == rows)
    }
}
