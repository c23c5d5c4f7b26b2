import Access
import Fetch
import JSON
import Signatures
import Store
import Testing

@testable import Identity

@Suite("Refreshes that fail")
struct RefreshFailureTests {
    let fixture = RefreshWorld()
    var world: World { fixture.world }
    var tenant: FakeProvider { fixture.tenant }

    struct Answer: Sendable {
        var status: Int
        var body: String
        var word: String
        var type: String
        init(_ status: Int, _ body: String, _ word: String, type: String = "application/json") {
            (self.status, self.body, self.word, self.type) = (status, body, word, type)
        }
        static func error(_ status: Int, _ error: String, _ description: String, _ word: String) -> Answer {
            Answer(status, #"{"error":"\#(error)","error_description":"\#(description)"}"#, word)
        }
    }

    static let answers: [Answer] = [
        Answer(400, #"{"error":"invalid_grant"}"#, "sign-in-revoked"),
        // Seen with another status.
        Answer(403, #"{"error":"invalid_grant"}"#, "sign-in-revoked"),
        .error(400, "invalid_grant", "AADSTS50173: a new password", "sign-in-revoked"),
        .error(400, "invalid_grant", "AADSTS70008: expired", "sign-in-revoked"),
        .error(400, "invalid_grant", "AADSTS700082: inactive", "sign-in-revoked"),
        .error(400, "invalid_grant", "AADSTS50057: disabled", "sign-in-revoked"),
        .error(400, "interaction_required", "AADSTS53000: the device is not compliant", "sign-in-revoked"),
        .error(400, "interaction_required", "AADSTS53003: blocked", "sign-in-revoked"),
        .error(400, "invalid_grant", "AADSTS50076: a second factor", "interaction-required"),
        .error(400, "invalid_grant", "AADSTS65001: consent", "interaction-required"),
        Answer(400, #"{"error":"interaction_required"}"#, "interaction-required"),
        Answer(400, #"{"error":"login_required"}"#, "interaction-required"),
        Answer(401, #"{"error":"invalid_client"}"#, "client-refused"),
        Answer(400, #"{"error":"unauthorized_client"}"#, "client-refused"),
        Answer(400, #"{"error":"invalid_request"}"#, "client-refused"),
        .error(401, "invalid_client", "AADSTS7000222: the secret has expired", "client-refused"),
        Answer(400, "", "client-refused"), Answer(403, "<html>no", "client-refused"),
        Answer(429, #"{"error":"invalid_grant"}"#, "provider-unavailable"),
        Answer(500, #"{"error":"invalid_grant"}"#, "provider-unavailable"),
        Answer(503, "", "provider-unavailable"), Answer(302, "", "provider-unavailable"),
        Answer(200, "<html>maintenance", "provider-unavailable"),
        Answer(200, "{}", "provider-unavailable"), Answer(200, "[]", "provider-unavailable"),
        Answer(200, #"{"access_token":"a","access_token":"b"}"#, "provider-unavailable"),
        Answer(200, #"{"error":"invalid_grant"}"#, "sign-in-revoked"),
        .error(400, "invalid_grant", "AADSTS50196: a loop of requests", "provider-unavailable"),
        Answer(400, #"{"error":"temporarily_unavailable"}"#, "provider-unavailable"),
        Answer(200, #"{"access_token":"a","token_type":"Bearer","id_token":7}"#, "answer-unusable"),
        Answer(200, #"{"access_token":"a","token_type":"Bearer","id_token":"x.y.z"}"#, "answer-unusable"),
        Answer(200, #"{"access_token":"a"}"#, "answer-unusable"),
        Answer(200, #"{"access_token":"a","token_type":"mac"}"#, "answer-unusable"),
        Answer(200, #"{"access_token":"a\nb","token_type":"Bearer"}"#, "answer-unusable"),
        Answer(
            200, #"{"access_token":"a","token_type":"Bearer"}"#, "provider-unavailable", type: "text/html"),
    ]

    @Test("an answer is told apart by what follows from it", arguments: answers)
    func classes(_ answer: Answer) async throws {
        let (_, id) = try await fixture.signIn()
        let before = try #require(await fixture.session(id))
        tenant.refreshing {
            $0.answer = FetchResponse(
                status: answer.status, fields: [("content-type", answer.type)],
                body: Array(answer.body.utf8))
        }
        try await fixture.refreshOnce(id)
        switch answer.word {
        case "sign-in-revoked", "interaction-required":
            #expect(await fixture.session(id) == nil)
            #expect(await fixture.row(id) == nil)
            let ending = try #require(fixture.results.endings.first)
            #expect(ending.end.word == answer.word)
            #expect(ending.sessions.count == 2, "with the application's session")
        case _:
            #expect(await fixture.session(id) == before, "it goes on, and no longer than before")
            let row = try #require(await fixture.row(id))
            #expect(row.failure == answer.word)
            #expect(row.failingSinceSeconds == world.nowSeconds)
            #expect(fixture.results.endings.isEmpty)
            #expect(fixture.results.news.contains { if case .failing = $0 { true } else { false } })
        }
    }

    @Test("a session outlives its provider's outage, but not its own end, and works again afterwards")
    func outage() async throws {
        let fixture = RefreshWorld { $0.providers[0].refreshGraceSeconds = 7 * 86_400 }
        let (world, tenant) = (fixture.world, fixture.tenant)
        let (_, id) = try await fixture.signIn()
        let before = try #require(await fixture.session(id))
        tenant.misbehave { $0.failure["/token"] = FetchError(.unreachable, "gone") }
        for _ in 0..<20 { try await fixture.refreshOnce(id) }
        #expect(await fixture.session(id) == before)
        let failing = try #require(await fixture.row(id))
        #expect(failing.failureCount == 20)
        tenant.misbehave { $0.failure = [:] }
        try await fixture.refreshOnce(id)
        let row = try #require(await fixture.row(id))
        #expect(row.failingSinceSeconds == nil && row.failureCount == 0 && row.failure == nil)
        #expect(fixture.results.news.last == .working(provider: "entra"))
        world.advance(before.expiresAtSeconds - world.nowSeconds)
        let count = tenant.refresh.presented.count
        fixture.refreshes.uses.note(id, nowSeconds: world.nowSeconds)
        await fixture.round()
        #expect(tenant.refresh.presented.count == count, "an expired one is not asked about")
    }

    @Test("while a provider fails one session at a time tries it; another provider is not held up")
    func oneTries() async throws {
        var ids: [String] = []
        for _ in 0..<20 { ids.append(try await fixture.signIn().global) }
        let (_, partner) = try await fixture.signIn("https://partner.corp.example:8443/")
        tenant.refreshing { $0.answer = FetchResponse(status: 503) }
        world.advance(900)
        for id in ids + [partner] { fixture.refreshes.uses.note(id, nowSeconds: world.nowSeconds) }
        await fixture.round()
        #expect(world.other.refresh.presented.count == 1)
        let first = tenant.refresh.presented.count
        #expect(first <= ProviderPace.runningMax)
        // The pause is over: one, and none beside it.
        world.advance(5)
        await fixture.round()
        #expect(tenant.refresh.presented.count == first + 1)
        await fixture.round()
        #expect(tenant.refresh.presented.count == first + 1)
        tenant.refreshing { $0.answer = nil }
        world.advance(300)
        await fixture.round()
        for id in ids { #expect(await fixture.row(id)?.failure == nil) }
        #expect(tenant.refresh.reuses == 0)
    }

    @Test("Retry-After is respected to the second, and no longer than an hour")
    func retryAfter() async throws {
        let (_, id) = try await fixture.signIn()
        tenant.refreshing {
            $0.answer = FetchResponse(status: 429, fields: [("retry-after", "120")])
        }
        try await fixture.refreshOnce(id)
        tenant.refreshing { $0.answer = nil }
        world.advance(119)
        await fixture.round()
        #expect(tenant.refresh.presented.count == 1)
        world.advance(1)
        await fixture.round()
        #expect(tenant.refresh.presented.count == 2)
        let rows: [(String?, Int64?)] = [
            ("7200", 3_600), ("3600", 3_600), ("0", nil), ("-1", nil), ("x", nil), (nil, nil),
            ("99999999999999999999", 3_600), ("Sun, 06 Nov 1994 08:49:37 GMT", 37),
            ("Sun, 06 Nov 1994 08:48:00 GMT", nil),
        ]
        for (field, seconds) in rows {
            #expect(RetryAfter.seconds(field, nowSeconds: 784_111_740) == seconds, "\(field ?? "none")")
        }
    }

    @Test("another subject ends the session; another issuer, audience or nonce is believed in nothing")
    func identity() async throws {
        let (_, id) = try await fixture.signIn()
        let before = try #require(await fixture.session(id))
        let wrong: [@Sendable (inout JSONObject) -> Void] = [
            { $0["iss"] = "https://evil.example" }, { $0["aud"] = "somebody-else" }, { $0["aud"] = [] },
            { $0["nonce"] = "another" }, { $0["azp"] = "somebody-else" }, { $0["exp"] = 1 },
        ]
        for edit in wrong {
            tenant.refreshing {
                $0.claims = { claims in
                    claims["groups"] = ["root"]
                    edit(&claims)
                }
            }
            try await fixture.refreshOnce(id)
            #expect(await fixture.session(id) == before)
            #expect(await fixture.row(id)?.failure == "answer-unusable")
            #expect(await fixture.row(id)?.unansweredSinceSeconds == nil)
        }
        #expect(tenant.refresh.reuses == 0, "the rotated token was kept each time")
        // The sign-in's own nonce may come again.
        let nonce = try #require(tenant.refresh.families.values.first?.nonce)
        tenant.refreshing { $0.claims = { $0["nonce"] = .string(nonce) } }
        try await fixture.refreshOnce(id)
        #expect(await fixture.row(id)?.failure == nil)
        tenant.refreshing { $0.claims = { $0["sub"] = "person-2" } }
        try await fixture.refreshOnce(id)
        #expect(await fixture.session(id) == nil)
        #expect(fixture.results.endings.first?.end.word == "subject-changed")
    }

    @Test("userinfo about somebody else ends it too, where it is the only word")
    func otherUserinfo() async throws {
        tenant.misbehave { $0.userinfo = ["sub": "person-2"] }
        tenant.refreshing { $0.sendsIDToken = false }
        let (_, id) = try await fixture.signIn()
        try await fixture.refreshOnce(id)
        #expect(fixture.results.endings.first?.end.word == "subject-changed")
    }

    @Test(
        "an answer that was lost is asked for again soon with the token of before, and told apart when that is refused"
    )
    func lostAnswer() async throws {
        let (_, id) = try await fixture.signIn()
        tenant.refreshing { $0.lost = FetchError(.timedOut, "lost") }
        try await fixture.refreshOnce(id)
        let row = try #require(await fixture.row(id))
        #expect(row.unansweredSinceSeconds == world.nowSeconds)
        #expect(row.dueAtSeconds == world.nowSeconds + 5)
        tenant.refreshing { $0.lost = nil }
        try await fixture.refreshOnce(id)
        #expect(tenant.refresh.presented == ["refresh-1", "refresh-1"])
        #expect(fixture.results.endings.first?.end.word == "refresh-answer-lost")
        #expect(await fixture.session(id) == nil)
    }

    @Test("a provider that still takes the token before makes good for a lost answer")
    func grace() async throws {
        tenant.refreshing {
            $0.rotates = false
            $0.lost = FetchError(.timedOut, "lost")
        }
        let (_, id) = try await fixture.signIn()
        try await fixture.refreshOnce(id)
        tenant.refreshing { $0.lost = nil }
        try await fixture.refreshOnce(id)
        let row = try #require(await fixture.row(id))
        #expect(row.unansweredSinceSeconds == nil && row.failure == nil)
        #expect(fixture.results.endings.isEmpty)
    }

    @Test("a rotated token that the store did not take is not lost while the process lives")
    func brokenStore() async throws {
        let (_, id) = try await fixture.signIn()
        try await fixture.untilDue(id)
        let gate = Gate()
        tenant.refreshing { $0.gate = gate }
        await fixture.tick()
        await gate.arrival()
        await world.store.breakDown()
        gate.open()
        await fixture.refreshes.settled()
        await world.store.breakDown(false)
        #expect(await fixture.row(id)?.unansweredSinceSeconds != nil)
        world.advance(5)
        await fixture.round()
        #expect(tenant.refresh.presented == ["refresh-1", "refresh-2"])
        #expect(tenant.refresh.reuses == 0)
        let row = try #require(await fixture.row(id))
        #expect(row.unansweredSinceSeconds == nil)
        #expect(await fixture.session(id) != nil)
    }

    @Test("an end that the store did not take is carried out as soon as it does, without asking again")
    func brokenEnd() async throws {
        let (_, id) = try await fixture.signIn()
        try await fixture.untilDue(id)
        let gate = Gate()
        tenant.refreshing {
            $0.gate = gate
            $0.answer = FakeProvider.json(["error": "invalid_grant"], status: 400)
        }
        await fixture.tick()
        await gate.arrival()
        await world.store.breakDown()
        gate.open()
        await fixture.refreshes.settled()
        #expect(fixture.results.endings.isEmpty)
        await world.store.breakDown(false)
        world.advance(5)
        await fixture.round()
        #expect(fixture.results.endings.first?.end.word == "sign-in-revoked")
        #expect(tenant.refresh.presented.count == 1)
        #expect(await fixture.session(id) == nil)
    }

    @Test("a token that cannot be opened, or is of another registration now, is sent to nobody")
    func unreadable() async throws {
        let (_, id) = try await fixture.signIn()
        var configuration = World.configuration
        for index in configuration.providers.indices {
            configuration.providers[index].refreshSeconds = 900
            configuration.providers[index].clientID += "-new"
        }
        await world.flow.replace(configuration: configuration)
        try await fixture.untilDue(id)
        await fixture.round()
        #expect(tenant.refresh.presented.isEmpty)
        #expect(await fixture.row(id) == nil)
        #expect(await fixture.session(id) != nil)
        #expect(fixture.results.news == [.unreadable(sessionID: id, provider: "entra")])
    }

    @Test("a clock that jumps back delays nothing")
    func clock() async throws {
        let (_, id) = try await fixture.signIn()
        world.advance(-100_000)
        fixture.refreshes.uses.note(id, nowSeconds: world.nowSeconds)
        await fixture.round()
        #expect(tenant.refresh.presented.count == 1)
        #expect(await fixture.row(id)?.dueAtSeconds == world.nowSeconds + 900)
    }
}

@Suite("What a refresh makes of what is known")
struct PersonNewsTests {
    private func session(_ claims: [String: ClaimValue], proof: Int64 = 1_000) -> StoredSession {
        StoredSession(
            id: "s", kind: .global, tokenDigest: [1], host: "h", identityProvider: "p", issuer: "i",
            subject: "u", email: "a@b", name: "Ann", groups: ["old"], claims: claims,
            authenticatedAtSeconds: proof, createdAtSeconds: 1_000, expiresAtSeconds: 9_000)
    }

    private func news(_ claims: [String: ClaimValue] = [:], proof: Int64 = 0, asked: Int64 = 5_000)
        -> PersonNews
    {
        PersonNews(
            person: PersonFacts(
                issuer: "i", subject: "u", email: "c@d", groups: ["new"], claims: claims,
                authenticatedAtSeconds: proof), askedAtSeconds: asked)
    }

    @Test(
        "when somebody proved who they are moves only where the provider says so, and never to now",
        arguments: [
            (0, 1_000), (1_000, 1_000), (900, 900), (3_000, 3_000), (4_879, 4_879), (4_880, 1_000),
            (5_000, 1_000), (5_120, 1_000),
        ] as [(Int64, Int64)])
    func proof(_ said: Int64, _ expected: Int64) {
        var changed = session([:])
        news(proof: said).apply(to: &changed)
        #expect(changed.authenticatedAtSeconds == expected)
        var unsaid = session([:], proof: 0)
        news(proof: said).apply(to: &unsaid)
        #expect(unsaid.authenticatedAtSeconds == (said >= 4_880 ? 0 : said))
    }

    @Test("claims are replaced; what was proven, and what is ours, stays unless it is said anew")
    func claims() {
        var changed = session([
            "acr": .text("phr"), "amr": .list(["pwd", "mfa"]), "acrs": .list(["c1"]),
            "department": .text("sales"), "gatepost-used": .integer(7), "hasgroups": .flag(true),
        ])
        news(["acr": .text("1"), "title": .text("x")]).apply(to: &changed)
        #expect(
            changed.claims == [
                "acr": .text("1"), "amr": .list(["pwd", "mfa"]), "acrs": .list(["c1"]), "title": .text("x"),
                "gatepost-used": .integer(7),
            ])
        #expect(changed.groups == ["new"])
        #expect(changed.email == "c@d")
        #expect(changed.name == "Ann")
    }

    @Test("news without a person change nothing but what they name")
    func silence() {
        let known = session(["hasgroups": .flag(true), "x": .flag(true)])
        var changed = known
        PersonNews(askedAtSeconds: 5_000).apply(to: &changed)
        #expect(changed == known)
        var said = PersonNews(askedAtSeconds: 5_000)
        said.groups = []
        said.email = PersonNews.Email.none
        said.apply(to: &changed)
        #expect(changed.groups.isEmpty && changed.email == nil)
        #expect(changed.claims == ["x": .flag(true)])
    }
}
