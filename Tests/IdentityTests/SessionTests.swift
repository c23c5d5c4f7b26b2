import Access
import Foundation
import JSON
import Signatures
import Store
import Testing

@testable import Identity

@Suite("Signing out")
struct SignOutTests {
    let world = World()

    private func signOut(_ browser: Browser, _ host: String, origin: String?) async -> FlowAnswer? {
        await browser.step("\(host)/.gatepost/sign-out", method: "POST", origin: origin)
    }

    @Test func `signing out at an application ends the global session and everything under it`() async throws
    {
        let browser = Browser(world)
        await browser.go("\(wiki)/")
        await browser.go("https://both.corp.example:8443/")
        guard
            case .signedOut(let url, let removed, let cookies, _)? = await signOut(
                browser, wiki, origin: wiki)
        else {
            Issue.record("not signed out")
            return
        }
        #expect(removed.count == 3)
        #expect(cookies == [SessionCookie.clearing])
        #expect(await world.store.rows.isEmpty)
        let target = try #require(url)
        #expect(target.hasPrefix("https://idp.example/tenant/logout?client_id=client&id_token_hint="))
    }

    @Test func `signing out ends the sessions of every provider that this browser used`() async {
        let browser = Browser(world)
        await browser.go("\(wiki)/")
        await browser.go("https://hr.corp.example:8443/")
        await browser.go("https://partner.corp.example:8443/")
        #expect(await world.store.rows.count == 6)
        _ = await signOut(browser, auth, origin: auth)
        #expect(await world.store.rows.isEmpty)
    }

    @Test func `a GET only asks`() async {
        let browser = Browser(world)
        await browser.go("\(wiki)/")
        guard case .confirmSignOut? = await browser.step("\(wiki)/.gatepost/sign-out") else {
            Issue.record("no confirmation")
            return
        }
        #expect(await world.store.rows.count == 2)
    }

    @Test(arguments: [nil, "null", "https://evil.example", "https://wiki.corp.example", auth, "\(wiki)/"])
    func `a POST from elsewhere ends nothing`(_ origin: String?) async {
        let browser = Browser(world)
        await browser.go("\(wiki)/")
        #expect(await signOut(browser, wiki, origin: origin)?.refusal?.reason == .originNotAllowed)
        #expect(await world.store.rows.count == 2)
    }

    @Test func `an id token above 2 KiB is not sent along`() async {
        world.tenant.misbehave {
            $0.claims = { $0["padding"] = .string(String(repeating: "x", count: 2000)) }
        }
        let browser = Browser(world)
        await browser.go("\(wiki)/")
        guard case .signedOut(let url?, _, _, _)? = await signOut(browser, wiki, origin: wiki) else {
            Issue.record("not signed out")
            return
        }
        #expect(url.hasPrefix("https://idp.example/tenant/logout?client_id=client&"))
        #expect(!url.contains("id_token_hint"))
        #expect(url.contains("&logout_hint=ann.lee%40corp.example&"))
    }

    @Test func `a provider without a sign-out of its own leaves it at ours`() async {
        world.tenant.misbehave { $0.metadata = { $0["end_session_endpoint"] = nil } }
        let browser = Browser(world)
        await browser.go("\(wiki)/")
        guard case .signedOut(nil, let removed, _, _)? = await signOut(browser, wiki, origin: wiki) else {
            Issue.record("not signed out")
            return
        }
        #expect(removed.count == 2)
    }

    @Test func `without a session signing out only clears the cookie`() async {
        guard
            case .signedOut(nil, let removed, let cookies, _)? = await signOut(
                Browser(world), wiki, origin: wiki)
        else {
            Issue.record("not signed out")
            return
        }
        #expect(removed.isEmpty)
        #expect(cookies == [SessionCookie.clearing])
    }

    @Test func `a store that fails signs nobody out and says so`() async {
        let browser = Browser(world)
        await browser.go("\(wiki)/")
        await world.store.breakDown()
        #expect(await signOut(browser, wiki, origin: wiki)?.refusal?.reason == .storeUnavailable)
    }
}

@Suite("Sessions")
struct SessionTests {
    let store = MemoryStore()
    let ring = KeyRing.ephemeral()
    var sessions: Sessions { Sessions(store: store, ring: ring) }
    let person = PersonFacts(issuer: "https://idp.example", subject: "p1", authenticatedAtSeconds: 5)

    private func global(_ provider: String = "entra") async throws -> (
        session: StoredSession, cookie: SessionCookie
    ) {
        try await sessions.createGlobal(
            person: person, provider: provider, host: "auth", idToken: nil, nowSeconds: 100,
            lifetimeSeconds: 1000)
    }

    private func found(_ cookie: SessionCookie, _ now: Int64) async throws -> String? {
        let field = ["a=b; \(SessionCookie.name)=\(cookie.value)"]
        return try await sessions.lookUp(cookieField: field, kind: .global, host: "auth", nowSeconds: now)?.id
    }

    @Test func `an old secret is taken for 29 seconds after a rotation and not for 30`() async throws {
        let made = try await global()
        let cookie = try #require(try await rotate(made)?.cookie)
        #expect(try await found(cookie, 200) == made.session.id)
        #expect(try await found(made.cookie, 229) == made.session.id)
        #expect(try await found(made.cookie, 230) == nil)
        #expect(try await found(cookie, 230) == made.session.id)
    }

    private func rotate(
        _ made: (session: StoredSession, cookie: SessionCookie), at now: Int64 = 200
    ) async throws -> (session: StoredSession, cookie: SessionCookie?)? {
        try await sessions.rotate(made.session.id, presented: made.cookie.tokenDigest, nowSeconds: now)
    }

    @Test func `of two rotations side by side one changes the secret, and both browsers' cookies go on`()
        async throws
    {
        let made = try await global()
        let first = try #require(try await rotate(made))
        let second = try #require(try await rotate(made))
        let cookie = try #require(first.cookie)
        #expect(second.cookie == nil)
        #expect(second.session.tokenDigest == cookie.tokenDigest)
        #expect(try await found(made.cookie, 229) == made.session.id)
        #expect(try await found(cookie, 900) == made.session.id)
    }

    @Test func `a change of what was read before somebody else's change keeps both`() async throws {
        let made = try await global()
        try await sessions.change(made.session.id) { $0.name = "Ada" }
        let changed = try await sessions.change(made.session.id, from: made.session) {
            $0.deviceID = "laptop"
        }
        #expect(changed?.name == "Ada" && changed?.deviceID == "laptop")
        #expect(try await store.session(id: made.session.id) == changed)
    }

    @Test func `what is no change of an old reading is still one of what is there now`() async throws {
        let made = try await global()
        try await sessions.change(made.session.id) { $0.deviceID = "laptop" }
        let changed = try await sessions.change(made.session.id, from: made.session) { $0.deviceID = nil }
        #expect(changed != nil && changed?.deviceID == nil)
        #expect(try await store.session(id: made.session.id)?.deviceID == nil)
    }

    @Test func `a session that is gone is not brought back by an old reading of it`() async throws {
        let made = try await global()
        try await sessions.end(ids: [made.session.id])
        #expect(try await sessions.change(made.session.id, from: made.session) { $0.deviceID = "x" } == nil)
        #expect(try await store.session(id: made.session.id) == nil)
    }

    @Test func `a secret that is neither the current nor the one before changes nothing`() async throws {
        let made = try await global()
        let cookie = try #require(try await rotate(made)?.cookie)
        _ = try await sessions.rotate(made.session.id, presented: cookie.tokenDigest, nowSeconds: 200)
        var wasEdited = false
        let third = try await sessions.rotate(
            made.session.id, presented: made.cookie.tokenDigest, nowSeconds: 200
        ) { _ in wasEdited = true }
        #expect(third == nil)
        #expect(!wasEdited)
    }

    @Test func `changes side by side are all made, none undoes another`() async throws {
        let made = try await global()
        try await withThrowingTaskGroup(of: Void.self) { group in
            for number in 0..<10 {
                group.addTask {
                    try await self.sessions.change(made.session.id) { $0.groups.append("\(number)") }
                }
            }
            try await group.waitForAll()
        }
        let groups = try await store.session(id: made.session.id)?.groups ?? []
        #expect(Set(groups) == Set((0..<10).map(String.init)))
    }

    @Test func `every session of a browser ends with any of them`() async throws {
        var ids: [String] = []
        var newest: StoredSession?
        for provider in ["entra", "entra-managed", "other"] {
            let made = try await global(provider).session
            if let before = newest { _ = try await sessions.link(made, to: before) }
            newest = try await store.session(id: made.id)
            ids.append(made.id)
        }
        for id in ids {
            let linked = try await store.session(id: id).map(Sessions.linked) ?? []
            #expect(Set(linked) == Set(ids).subtracting([id]))
        }
        #expect(Set(try await sessions.end(ids: [ids[0]]).map(\.id)) == Set(ids))
    }

    @Test func `a browser with a ninth provider loses its oldest session instead of forgetting it`()
        async throws
    {
        var ids: [String] = []
        var newest: StoredSession?
        var ended: [String] = []
        for number in 0...Sessions.linkedMax + 1 {
            let made = try await global("p\(number)").session
            if let before = newest { ended += try await sessions.link(made, to: before).map(\.id) }
            newest = try await store.session(id: made.id)
            ids.append(made.id)
        }
        #expect(ended == [ids[0]])
        #expect(try await sessions.end(ids: [ids[5]]).count == Sessions.linkedMax + 1)
    }

    @Test func `one browser has at most four sessions at one application`() async throws {
        let made = try await global()
        let application = IdentityApplication(name: "a", host: "a", identityProviders: ["entra"])
        let other = IdentityApplication(name: "b", host: "b", identityProviders: ["entra"])
        _ = try await sessions.createApplication(other, under: made.session, nowSeconds: 100)
        var ids: [String] = []
        var newest = made.session
        for number in 0..<6 {
            newest = try await sessions.createApplication(
                application, under: made.session, nowSeconds: 200 + Int64(number)
            ).session
            ids.append(newest.id)
        }
        let ended = try await sessions.trim(application, under: made.session, keeping: newest).map(\.id)
        #expect(Set(ended) == Set(ids.prefix(2)))
        #expect(try await store.sessions(.global(id: made.session.id), limit: 100).count == 5)
    }

    @Test func `a session ends with its second`() async throws {
        let made = try await global()
        #expect(try await found(made.cookie, 1099) != nil)
        #expect(try await found(made.cookie, 1100) == nil)
    }

    @Test func `an application session never outlives its global session`() async throws {
        let made = try await global()
        let long = IdentityApplication(
            name: "a", host: "a", identityProviders: ["entra"], sessionSeconds: 99_999)
        let short = IdentityApplication(
            name: "b", host: "b", identityProviders: ["entra"], sessionSeconds: 10)
        #expect(
            try await sessions.createApplication(long, under: made.session, nowSeconds: 500).session
                .expiresAtSeconds == 1100)
        #expect(
            try await sessions.createApplication(short, under: made.session, nowSeconds: 500).session
                .expiresAtSeconds == 510)
    }

    @Test func `a global session that is gone gets no application session and no new secret`() async throws {
        let made = try await global()
        #expect(try await sessions.end(ids: [made.session.id]).count == 1)
        #expect(try await rotate(made) == nil)
        let application = IdentityApplication(name: "a", host: "a", identityProviders: ["entra"])
        await #expect(throws: StoreError.self) {
            try await sessions.createApplication(application, under: made.session, nowSeconds: 500)
        }
    }

    @Test func `sessions are ended by person, by device and by provider, and nobody else's`() async throws {
        let first = try await global("entra")
        let second = try await global("other")
        var other = first.session
        other.id = "x"
        other.subject = "p2"
        other.tokenDigest = [1]
        other.deviceID = "d1"
        try await store.insert(other)
        #expect(try await sessions.end(provider: "other").map(\.id) == [second.session.id])
        #expect(try await sessions.end(deviceID: "d1").map(\.id) == ["x"])
        #expect(try await sessions.end(issuer: person.issuer, subject: "p1").map(\.id) == [first.session.id])
        #expect(try await sessions.list().isEmpty)
    }
}

@Suite("The whole way over the real store")
struct DurableTests {
    @Test func `signing in, in again, at a second provider and out leaves nothing behind`() async throws {
        let folder = FileManager.default.temporaryDirectory.appending(
            path: "gatepost-identity-\(UUID().uuidString)")
        defer { try? FileManager.default.removeItem(at: folder) }
        let store = try SQLiteStore(folder: folder.path)
        let world = World(durable: store)
        let browser = Browser(world)
        let callback = try #require(await browser.go("\(wiki)/a", pauseAtProvider: true).callback)
        let second = try #require(await browser.go("\(wiki)/b", pauseAtProvider: true).callback)
        #expect(await browser.go(callback).page == "\(wiki)/a")
        #expect(await browser.go(second).page == "\(wiki)/b")
        #expect(await browser.step(callback)?.setCookies == [])
        #expect(
            await browser.go("https://hr.corp.example:8443/").session?.identityProvider == "entra-managed")
        #expect(try await store.sessions(.all, limit: 100).filter { $0.kind == .global }.count == 2)
        let answer = await browser.step("\(auth)/.gatepost/sign-out", method: "POST", origin: auth)
        guard case .signedOut(_, let removed, _, _)? = answer else {
            Issue.record("not signed out")
            return
        }
        #expect(removed.count == 5)
        #expect(try await store.sessions(.all, limit: 100).isEmpty)
    }
}

@Suite("The session cookie")
struct SessionCookieTests {
    let ring = KeyRing.ephemeral()

    @Test func `56 characters, and what is minted is read back`() throws {
        let cookie = SessionCookie.mint(ring: ring)
        #expect(cookie.value.utf8.count == 56)
        let read = try #require(SessionCookie(parsing: cookie.value, ring: ring))
        #expect(read == cookie)
        #expect(read.tokenDigest == Digest.sha256(cookie.secret))
    }

    @Test func `every single bit changed makes it a forgery`() throws {
        let bytes = try #require(Base64URL.decode(SessionCookie.mint(ring: ring).value))
        for bit in 0..<(bytes.count * 8) {
            var forged = bytes
            forged[bit / 8] ^= 1 << (bit % 8)
            #expect(SessionCookie(parsing: Base64URL.encode(forged), ring: ring) == nil, "bit \(bit)")
        }
    }

    @Test func `every cut, every longer text and every other ring is refused`() {
        let value = SessionCookie.mint(ring: ring).value
        for count in 0..<56 {
            #expect(SessionCookie(parsing: String(value.prefix(count)), ring: ring) == nil)
        }
        #expect(SessionCookie(parsing: value + "A", ring: ring) == nil)
        #expect(SessionCookie(parsing: value + "==", ring: ring) == nil)
        #expect(SessionCookie(parsing: value, ring: .ephemeral()) == nil)
    }

    @Test func `a cookie lives through one rotation of the key`() throws {
        let cookie = SessionCookie.mint(ring: ring)
        try ring.rotate(.cookie)
        #expect(SessionCookie(parsing: cookie.value, ring: ring) != nil)
    }

    @Test func `of two cookies neither counts, whatever is in them and however they are spelled`() {
        let one = SessionCookie.mint(ring: ring).value
        let two = SessionCookie.mint(ring: ring).value
        let name = SessionCookie.name
        #expect(SessionCookie.of(cookieField: ["\(name)=\(one)"], ring: ring)?.value == one)
        #expect(SessionCookie.of(cookieField: ["\(name)=\(one); \(name)=\(two)"], ring: ring) == nil)
        #expect(SessionCookie.of(cookieField: ["\(name)=\(one)", "\(name)=\(two)"], ring: ring) == nil)
        for other in ["junk", "", String(repeating: "A", count: 5_000)] {
            for spelling in ["\(name)=\(other)", "\(name) =\(other)", "\t\(name)\t= \(other)\t"] {
                for fields in [["\(spelling); a=b; \(name)=\(one)"], ["\(name)=\(one)", spelling]] {
                    #expect(SessionCookie.of(cookieField: fields, ring: ring) == nil, "\(fields)")
                    #expect(SessionCookie.isDoubled(in: fields), "\(fields)")
                }
            }
        }
        // Other names, however much they look like it.
        for other in [
            "__host-gatepost=\(one)", "x\(name)=\(one)", "\"\(name)\"=\(one)", "=\(name)=\(one)", name,
        ] {
            #expect(SessionCookie.of(cookieField: [other], ring: ring) == nil, "\(other)")
            let fields = [other + "; \(name)=\(one)"]
            #expect(SessionCookie.of(cookieField: fields, ring: ring)?.value == one, "\(other)")
        }
    }
}

@Suite("Form text")
struct FormTextTests {
    @Test func `what is written is read back`() {
        var generator = SplitMix(state: 42)
        for seed in 0..<200 {
            let value = String(
                decoding: (0..<20).map { _ in UInt8.random(in: 0...127, using: &generator) }, as: UTF8.self)
            #expect(
                FormText.parse(FormText.encode([("n", value), ("m", "é")])) == ["n": value, "m": "é"],
                "seed \(seed)")
        }
    }

    @Test(arguments: ["a=1&a=2", "a=%", "a=%4", "a=%zz", "a=%ff", "%61=1&a=2"])
    func `what has two readings has none`(_ text: String) { #expect(FormText.parse(text) == nil) }

    @Test func `8 KiB and 32 parameters are read, one more of either is not`() {
        #expect(FormText.parse("a=" + String(repeating: "x", count: 8190)) != nil)
        #expect(FormText.parse("a=" + String(repeating: "x", count: 8191)) == nil)
        #expect(FormText.parse((0..<32).map { "a\($0)=" }.joined(separator: "&"))?.count == 32)
        #expect(FormText.parse((0..<33).map { "a\($0)=" }.joined(separator: "&")) == nil)
    }

    @Test
    func `no cut and no flipped byte of a callback's query makes the parser fail otherwise than by refusing`()
    {
        let query = Array("state=AQGs-_9&code=a%2Fb+c&iss=https%3A%2F%2Fidp.example".utf8)
        for end in 0...query.count { _ = FormText.parse(String(decoding: query[..<end], as: UTF8.self)) }
        var generator = SplitMix(state: 7)
        for _ in 0..<2_000 {
            var bytes = query
            bytes[Int.random(in: 0..<bytes.count, using: &generator)] = UInt8.random(
                in: 0...255, using: &generator)
            _ = FormText.parse(String(decoding: bytes, as: UTF8.self))
            _ = CookieText.values(of: "state", in: [String(decoding: bytes, as: UTF8.self)])
        }
    }
}

struct SplitMix: RandomNumberGenerator {
    var state: UInt64
    mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var z = state
        z = (z ^ (z >> 30)) &* 0xbf58_476d_1ce4_e5b9
        z = (z ^ (z >> 27)) &* 0x94d0_49bb_1331_11eb
        return z ^ (z >> 31)
    }
}
