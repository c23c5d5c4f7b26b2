import Access
import Border
import Fetch
import Foundation
import JSON
import Signatures
import Store
import Synchronization
import Testing

@testable import Control
@testable import Posture

@Suite("Records for bearer tokens of configured issuers", .timeLimit(.minutes(10)))
struct BearerTests {
    static let config = MachineTests.config.replacingOccurrences(
        of: "device-policies:",
        with: """
            token-issuers:
              ci:
                issuer: https://ci.example
                audiences: press
                jwks-url: https://ci.example/keys
                claims: { ref: ref }
            device-policies:
            """
    ).replacingOccurrences(
        of: "      - { name: backup, action",
        with: """
                  - { name: release, action: service,
                      include: [ { token: { issuer: ci, subjects: [ scanner ], claims: { ref: main } } } ] }
                  - { name: backup, action
            """)

    /// Counts what is asked of the issuer, and answers with its keys.
    final class Issuer: Fetcher {
        let key = SigningKey.generateP256()
        let asked = Mutex(0)
        let isDown = Mutex(false)
        let published = Mutex<[SigningKey]>([])

        init() { published.withLock { $0 = [key] } }

        func fetch(_ request: FetchRequest) async throws(FetchError) -> FetchResponse {
            asked.withLock { $0 += 1 }
            guard request.url == "https://ci.example/keys", !isDown.withLock({ $0 }) else {
                throw FetchError(.unreachable, request.url)
            }
            let keys = published.withLock { $0 }.map { key -> JSONValue in
                var jwk = key.publicKey.jwk
                jwk["kid"] = .string(key.publicKey.thumbprint)
                return .object(jwk)
            }
            let set = JSONValue.object(["keys": .array(keys)])
            return FetchResponse(status: 200, fields: [], body: Array(set.serializedText().utf8))
        }
    }

    let issuer = Issuer()

    private func house() async throws -> Gatehouse {
        let house = try Gatehouse(Self.config, fetcher: issuer)
        try await house.control.services.posture.load()
        house.control.machines.take(try await house.store.serviceTokens())
        return house
    }

    private func token(
        _ house: Gatehouse, key: SigningKey? = nil, _ change: (inout JSONObject) -> Void = { _ in }
    ) -> String {
        var claims: JSONObject = [
            "iss": "https://ci.example", "aud": "press", "sub": "scanner", "ref": "main",
            "iat": .integer(house.now), "exp": .integer(house.now + 600),
        ]
        change(&claims)
        let key = key ?? issuer.key
        return JWS.sign(
            header: JSONObject([("kid", .string(issuer.key.publicKey.thumbprint))]), payload: claims,
            with: key)
    }

    private func wire(_ token: String, host: String = "press.corp.example") -> [UInt8] {
        ControlPlane.wire(bearer: Array(token.utf8), host: host)
    }

    private func answer(
        _ house: Gatehouse, _ token: String, _ application: String = "press", digest: [UInt8]? = nil
    ) async -> ToReactor? {
        await house.control.pullBearer(
            Ticket(reactor: 0, slot: 1, generation: 1), digest ?? wire(token), Array(token.utf8), application)
        return house.reactors.sent.last?.message
    }

    private func record(
        _ house: Gatehouse, _ token: String, _ application: String = "press", digest: [UInt8]? = nil
    ) async -> SessionRecord? {
        guard case .session(_, let record)? = await answer(house, token, application, digest: digest) else {
            return nil
        }
        return record
    }

    private static func granted(_ record: SessionRecord?) -> String? {
        record?.residual.policies.first { $0.action == .service }?.name
    }

    /// Signatures that were verified until now.
    private static func verified(_ house: Gatehouse) -> Int { house.control.bearers.verifiedCount }

    @Test func `a token is verified once, and its record ends with it, named for policy and upstream`()
        async throws
    {
        let house = try await house()
        let token = token(house)
        let record = try #require(await record(house, token))
        #expect(record.client == .bearerToken && Self.granted(record) == "release")
        #expect(record.expiresAtSeconds == house.now + 600 && record.streamsUntilSeconds <= house.now + 600)
        #expect(record.person == "service token:ci:scanner" && record.tokenDigest == wire(token))
        let line = String(decoding: record.identityFields, as: UTF8.self)
        let jwt = try #require(line.split(separator: " ").last).trimmingCharacters(in: .newlines)
        let claims = try JWS(compact: jwt).payloadObject
        #expect(claims["sub"] == "scanner" && claims["idp"] == "gatepost:token")
        #expect(claims["idp_iss"] == "https://ci.example" && claims["email"] == nil)
        for _ in 0..<20 { #expect(await self.record(house, token) != nil) }
        // Records are made anew as time goes by, and verify nothing.
        house.advance(200)
        for _ in 0..<20 { #expect(await self.record(house, token) != nil) }
        #expect(Self.verified(house) == 1)
        #expect(issuer.asked.withLock { $0 } == 1)
        let list = await house.control.execute(["command": "service-token-list"])
        #expect(list["machines"]?.array?.first?["name"] == "token:ci:scanner")
        #expect(!list.serializedText().contains(token))
    }

    @Test func `refused: forged, expired, foreign, for another audience, host or application`() async throws {
        let house = try await house()
        let good = token(house)
        let now = house.now
        let changes: [(inout JSONObject) -> Void] = [
            { $0["exp"] = .integer(now) }, { $0["exp"] = nil }, { $0["iss"] = "https://other.example" },
            { $0["aud"] = "vault" }, { $0["exp"] = .integer(now + 3_601) }, { $0["sub"] = nil },
        ]
        for (index, change) in changes.enumerated() {
            #expect(await record(house, token(house, change)) == nil, "change \(index)")
        }
        // None of those needed a key.
        #expect(issuer.asked.withLock { $0 } == 0 && Self.verified(house) == 0)
        #expect(await record(house, token(house, key: SigningKey.generateP256())) == nil)
        let elsewhere = wire(good, host: "vault.corp.example")
        #expect(await record(house, good, "vault", digest: elsewhere) == nil)
        #expect(await record(house, good, digest: elsewhere) == nil)
        #expect(await record(house, good, digest: wire(good + "x")) == nil)
        #expect(await record(house, good) != nil)
    }

    @Test func `a token that no policy wants is a machine that nothing lets in`() async throws {
        let house = try await house()
        for change: (inout JSONObject) -> Void in [
            { $0["ref"] = "next" }, { $0["ref"] = nil }, { $0["sub"] = "Scanner" },
        ] {
            let made = try #require(await record(house, token(house, change)))
            #expect(made.client == .bearerToken && Self.granted(made) == nil)
        }
    }

    @Test func `what was refused just now is refused without another look, for ten seconds`() async throws {
        let house = try await house()
        let early = token(house) { $0["nbf"] = .integer(house.now + 125) }
        #expect(await record(house, early) == nil)
        house.advance(9)
        #expect(await record(house, early) == nil)
        house.advance(1)
        #expect(await record(house, early) != nil)
    }

    @Test
    func `an issuer that cannot be asked is a failure for new tokens, and takes nothing from known ones`()
        async throws
    {
        let house = try await house()
        let known = token(house)
        #expect(await record(house, known) != nil)
        let other = try await self.house()
        issuer.isDown.withLock { $0 = true }
        guard case .sessionUnavailable(_, .identityProviderUnavailable)? = await answer(other, token(other))
        else {
            Issue.record("not said that nobody can say")
            return
        }
        house.advance(61)
        await house.control.renew(wire(known), "press")
        guard case .replace(let record)? = house.reactors.revocations.last?.effect else {
            Issue.record("it was not renewed")
            return
        }
        #expect(Self.granted(record) == "release")
    }

    @Test func `a key that the issuer takes out ends what it signed, at the next renewal`() async throws {
        let house = try await house()
        let token = token(house) { $0["exp"] = .integer(house.now + 3_600) }
        let record = try #require(await record(house, token))
        issuer.published.withLock { $0 = [SigningKey.generateP256()] }
        // Another token's unknown key makes the gateway read the set again.
        var header = JSONObject([("kid", "unknown")])
        header["typ"] = "JWT"
        let claims: JSONObject = [
            "iss": "https://ci.example", "aud": "press", "sub": "x", "exp": .integer(house.now + 60),
        ]
        let stranger = JWS.sign(header: header, payload: claims, with: SigningKey.generateP256())
        #expect(await self.record(house, stranger) == nil)
        house.advance(61)
        await house.control.renew(wire(token), "press")
        #expect(house.reactors.revocations.map(\.effect).last == .endSession(record.session))
        #expect(await self.record(house, token) == nil)
    }

    @Test func `a reload that drops the issuer, its policy or its audience ends its machines; others stay`()
        async throws
    {
        for (old, new) in [
            ("audiences: press", "audiences: other"), ("subjects: [ scanner ], ", "subjects: [ else ], "),
            ("max-lifetime: 1h", "max-lifetime: 2h"),
        ] {
            let house = try await house()
            try house.rewrite {
                $0.replacingOccurrences(
                    of: "claims: { ref: ref }", with: "claims: { ref: ref }\n    max-lifetime: 1h")
            }
            try await house.control.reload()
            let record = try #require(await record(house, token(house)))
            let told = house.reactors.revocations.count
            try house.rewrite { $0.replacingOccurrences(of: old, with: new) }
            try await house.control.reload()
            let effects = house.reactors.revocations.dropFirst(told).map(\.effect)
            if old.hasPrefix("subjects") {
                guard case .replace(let changed)? = effects.last else {
                    Issue.record("\(old): \(effects)")
                    continue
                }
                #expect(changed.session == record.session && Self.granted(changed) == nil)
            } else {
                // Read by other rules than today's: the next request is read anew.
                #expect(effects.contains(.endSession(record.session)), "\(old)")
            }
        }
    }

    @Test func `two hundred requests with one new token are one check, and a flood finds a bound`()
        async throws
    {
        let house = try await house()
        let token = token(house)
        await withTaskGroup(of: Void.self) { group in
            for _ in 0..<200 { group.addTask { _ = await record(house, token) } }
        }
        #expect(Self.verified(house) == 1)
        #expect(issuer.asked.withLock { $0 } == 1)
        let (checks, held) = (BearerChecks(), Held())
        let running = (0..<BearerChecks.atOnceMax).map { number in
            Task {
                await checks.outcome(of: [UInt8(number)], nowSeconds: 0) {
                    await held.wait()
                    return .refused
                }
            }
        }
        while held.count < BearerChecks.atOnceMax { await Task.yield() }
        let over = await checks.outcome(of: [255, 255], nowSeconds: 0) { .refused }
        #expect("\(over)".contains("overloaded"))
        held.letGo()
        for task in running { #expect("\(await task.value)" == "refused") }
        #expect("\(await checks.outcome(of: [255, 255], nowSeconds: 0) { .refused })" == "refused")
    }

    @Test func `a refusal by a clock that was ahead is forgotten with it`() async throws {
        let checks = BearerChecks()
        _ = await checks.outcome(of: [1], nowSeconds: 100_000) { .refused }
        for (now, outcome) in [(100_000, "refused"), (100_009, "refused"), (99_999, "unav"), (50, "unav")]
            as [(Int64, String)]
        {
            let found = await checks.outcome(of: [1], nowSeconds: now) { .unavailable(.overloaded) }
            #expect("\(found)".hasPrefix(outcome), "\(now)")
        }
    }

    @Test func `a check that a reload overtakes says nothing to who asks after it, and is not remembered`()
        async throws
    {
        let (checks, held) = (BearerChecks(), Held())
        let early = Task {
            await checks.outcome(of: [1], nowSeconds: 0) {
                await held.wait()
                return .refused
            }
        }
        while held.count < 1 { await Task.yield() }
        checks.forgetRefused()
        // Does not wait for the one that is held.
        let late = await checks.outcome(of: [1], nowSeconds: 0) { .unavailable(.overloaded) }
        #expect("\(late)".hasPrefix("unav"))
        held.letGo()
        #expect("\(await early.value)" == "refused")
        let later = await checks.outcome(of: [1], nowSeconds: 0) { .unavailable(.overloaded) }
        #expect("\(later)".hasPrefix("unav"), "remembered by rules of before")
    }

    @Test func `a refusal is remembered by the rules that it was found by`() async throws {
        let (checks, held) = (BearerChecks(), Held())
        let early = Task {
            await checks.outcome(of: [1], nowSeconds: 0) {
                await held.wait()
                return .refused
            }
        }
        while held.count < 1 { await Task.yield() }
        checks.forgetRefused()
        held.letGo()
        #expect("\(await early.value)" == "refused")
        let later = await checks.outcome(of: [1], nowSeconds: 0) { .unavailable(.overloaded) }
        #expect("\(later)".hasPrefix("unav"))
    }

    /// Checks that go on until they are let go.
    private final class Held: Sendable {
        private let waiting = Mutex<[CheckedContinuation<Void, Never>]>([])
        var count: Int { waiting.withLock { $0.count } }
        func wait() async { await withCheckedContinuation { one in waiting.withLock { $0.append(one) } } }
        func letGo() { for one in waiting.withLock({ $0 }) { one.resume() } }
    }

    @Test func `proofs that have ended are forgotten`() async throws {
        let house = try await house()
        #expect(await record(house, token(house)) != nil)
        #expect(house.control.machines.active { _ in true }.count == 1)
        house.advance(600)
        await house.control.keepUp()
        #expect(house.control.machines.active { _ in true }.isEmpty)
    }

    @Test
    func `decisions about tokens are on record with what the token said, and are decided again bit for bit`()
        throws
    {
        let fixture = DecisionFixture()
        let recorder = DecisionRecorder(log: try fixture.log())
        var policy = DecisionFixture.policy
        policy.applications[0].policies.append(
            ApplicationPolicy(
                name: "release", action: .service,
                include: [
                    .token(
                        TokenCondition(
                            issuer: "ci", subjects: ["scanner"],
                            claims: [ClaimCondition(name: "ref", values: [.text("main"), .integer(7)])]))
                ]))
        policy = DecisionFixture.named(policy)
        let application = try #require(policy.application(named: "wiki"))
        let values: [ClaimValue?] = [.text("main"), .list(["x", "main"]), .integer(7), .flag(true), nil]
        for value in values {
            fixture.advance(10)
            var token = TokenFacts(issuer: "ci", subject: "scanner")
            token.claims["ref"] = value
            let service = ServiceFacts(
                id: "jwt_1", name: "token:ci:scanner", expiresAtSeconds: DecisionFixture.start + 9_999,
                token: token)
            let residual = policy.residual(
                of: nil, nil, service: service, for: application, atSeconds: fixture.now)
            _ = recorder.record(
                MadeDecision(
                    atSeconds: fixture.now, application: "wiki", session: nil, service: service, device: nil,
                    policy: policy, residual: residual, open: nil, deviceResult: nil))
        }
        recorder.finish()
        let lines = fixture.lines("decision")
        #expect(lines.count == values.count)
        #expect(lines.allSatisfy { $0["token"]?["subject"] == "scanner" && $0["person"] == nil })
        #expect(lines[1]["token"]?["claims"]?["ref"] == ["x", "main"] && lines[4]["token"]?["claims"] == [:])
        let replay = try fixture.replay()
        #expect(replay.isEqual && replay.counts.decisions == values.count, "\(replay.problems)")
        // A candidate that asks for another subject lets nobody of them in, and a changed line is no line of ours.
        let both = fixture.text(fixture.files[0]).replacingOccurrences(
            of: "\"token\":{\"issuer\":\"ci\"", with: "\"token\":{\"issuer\":1")
        let path = "\(fixture.folder)/changed.jsonl"
        try both.write(toFile: path, atomically: true, encoding: .utf8)
        var changed = Replay(candidate: nil)
        try changed.add(path)
        #expect(changed.counts.malformed == values.count && !changed.isEqual)
    }
}
