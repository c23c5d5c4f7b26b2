import Access
import JSON
import Signatures
import Testing

@testable import Posture

@Suite("Attacks on the handshake with the local agent")
struct HandshakeAttackTests {
    @Test("004.3 an assertion counts once: the second time is refused") func replay() async throws {
        let setting = try Setting()
        let agent = try await setting.enroll()
        let (transaction, challenge) = try await setting.challenge()
        let assertion = try agent.assertion(for: challenge, now: setting.clock.now, counter: 1)
        #expect(await setting.refusal(transaction, assertion) == nil)
        #expect(await setting.refusal(transaction, assertion) == .nonceUsed)
    }

    @Test("of fifty parallel attempts exactly one succeeds") func parallelReplay() async throws {
        let setting = try Setting()
        let agent = try await setting.enroll()
        let (transaction, challenge) = try await setting.challenge()
        let assertion = try agent.assertion(for: challenge, now: setting.clock.now, counter: 1)
        let outcomes = await withTaskGroup(of: Reason?.self) { group in
            for _ in 0..<50 { group.addTask { await setting.refusal(transaction, assertion) } }
            return await group.reduce(into: [Reason?]()) { $0.append($1) }
        }
        #expect(outcomes.filter { $0 == nil }.count == 1)
        #expect(outcomes.filter { $0 == .nonceUsed }.count == 49)
    }

    @Test("a nonce is burned by a failed attempt too") func burned() async throws {
        let setting = try Setting()
        let agent = try await setting.enroll()
        let (transaction, challenge) = try await setting.challenge()
        let bad = try agent.assertion(
            for: challenge, now: setting.clock.now, counter: 1, signer: SigningKey.generateP256())
        let good = try agent.assertion(for: challenge, now: setting.clock.now, counter: 2)
        #expect(await setting.refusal(transaction, bad) == .signatureInvalid)
        #expect(await setting.refusal(transaction, good) == .nonceUsed)
    }

    @Test("a victim's answer never makes the attacker's session healthy (fixation)") func fixation()
        async throws
    {
        let setting = try Setting()
        let victim = try await setting.enroll()
        let (transaction, challenge) = try await setting.challenge(session: "attacker")
        let assertion = try victim.assertion(for: challenge, now: setting.clock.now, counter: 1)
        // Delivered by the victim's browser, with the victim's own session or with none.
        #expect(await setting.refusal(transaction, assertion, session: "victim") == .sessionMismatch)
        #expect(await setting.refusal(transaction, assertion, session: "attacker") == .nonceUsed)
        await #expect(throws: PostureRefusal.self) {
            try await setting.service.challenge(transaction: transaction, globalSession: "victim")
        }
    }

    @Test("a challenge of one transaction does not serve another of the same session") func crossTransaction()
        async throws
    {
        let setting = try Setting()
        let agent = try await setting.enroll()
        let (_, challenge) = try await setting.challenge()
        let (other, _) = try await setting.challenge()
        let assertion = try agent.assertion(for: challenge, now: setting.clock.now, counter: 1)
        #expect(await setting.refusal(other, assertion) == .sessionMismatch)
    }

    @Test("a nonce ends exactly 60 s after its challenge", arguments: [59, 60])
    func nonceEnd(_ seconds: Int64) async throws {
        let setting = try Setting()
        let agent = try await setting.enroll()
        let (transaction, challenge) = try await setting.challenge()
        setting.clock.now += seconds
        let assertion = try agent.assertion(for: challenge, now: setting.clock.now, counter: 1)
        #expect(await setting.refusal(transaction, assertion) == (seconds < 60 ? nil : .nonceExpired))
    }

    @Test(
        "a downgrade to a transport or version that is not offered is refused",
        arguments: ["nav", "websocket", "static"])
    func downgrade(_ transport: String) async throws {
        let setting = try Setting()
        let agent = try await setting.enroll()
        for change in [("transport", JSONValue.string(transport)), ("version", .integer(0))] {
            let (transaction, challenge) = try await setting.challenge()
            let assertion = try agent.assertion(for: challenge, now: setting.clock.now, counter: 1) {
                _ in
            } payload: {
                $0[change.0] = change.1
            }
            #expect(await setting.refusal(transaction, assertion) == .statementInvalid)
        }
    }

    @Test("JOSE: none, HS256, keys in the header, foreign key and cut signatures never count")
    func jose() async throws {
        let setting = try Setting()
        let agent = try await setting.enroll()
        for variant in 0..<6 {
            let (transaction, challenge) = try await setting.challenge()
            let good = try agent.assertion(for: challenge, now: setting.clock.now, counter: 1)
            var parts = good.split(separator: ".").map(String.init)
            func header(_ algorithm: String) -> String {
                let object = JSONObject([
                    ("alg", .string(algorithm)), ("typ", "posture+jwt"),
                    ("x5c", .array(agent.chain.map { .string(Base64.encode($0)) })),
                ])
                return Base64URL.encode(object.serialized())
            }
            switch variant {
            case 0:
                parts[0] = header("none")
                parts[2] = ""
            case 1: parts[0] = header("HS256")
            case 2: parts[0] = header("es256")
            case 3: parts[2] = String(parts[2].dropLast(4))
            case 4: parts[2] = Base64URL.encode([UInt8](repeating: 0, count: 64))
            default: parts[2] = Base64URL.encode(SigningKey.generateP256().sign(Array("x".utf8)))
            }
            #expect(
                await setting.refusal(transaction, parts.joined(separator: ".")) == .signatureInvalid,
                "\(variant)")
        }
    }

    @Test("a counter that came before means that the key was copied: refused and alerted") func copiedKey()
        async throws
    {
        let setting = try Setting()
        let agent = try await setting.enroll()
        for (counter, expected) in [(5, nil), (4, nil), (5, .statementInvalid), (4, .statementInvalid)]
            as [(Int64, Reason?)]
        {
            let (transaction, challenge) = try await setting.challenge()
            let assertion = try agent.assertion(for: challenge, now: setting.clock.now, counter: counter)
            #expect(await setting.refusal(transaction, assertion) == expected, "\(counter)")
        }
        #expect(await setting.store.auditKinds().contains("posture-alert"))
    }

    @Test("a session that is bound to one device refuses another") func otherDevice() async throws {
        let setting = try Setting()
        let agent = try await setting.enroll()
        let (transaction, challenge) = try await setting.challenge()
        let assertion = try agent.assertion(for: challenge, now: setting.clock.now, counter: 1)
        #expect(await setting.refusal(transaction, assertion, bound: "another") == .sessionMismatch)
    }

    @Test("a session that begins checks without end keeps five of them and twenty challenges")
    func flood() throws {
        var transactions = Transactions()
        var nonces = NonceTable(countMax: 100)
        for number in 0..<200 {
            let id = "t\(number)"
            let displaced = try transactions.start(
                Transaction(
                    id: id, globalSession: "s", application: "wiki", returnPath: "/", agent: "agents",
                    deviceOwner: .samePerson, startedAtSeconds: 0))
            if let displaced { nonces.remove(transaction: displaced) }
            for turn in 0..<6 {
                let nonce = Array("\(number)-\(turn)".utf8)
                try nonces.issue(
                    nonce,
                    IssuedChallenge(
                        transaction: id, transactionHash: "h", challengeHash: "c", expiresAtSeconds: 60),
                    nowSeconds: 0)
            }
        }
        #expect(transactions.count == Transactions.perSessionMax)
        #expect(nonces.count == Transactions.perSessionMax * NonceTable.perTransactionMax)
    }

    @Test("appointments are kept when the clock jumps back")
    func clockJump() {
        var schedule = RefreshSchedule()
        let pace = RefreshPace(deviceSeconds: 100, fullSeconds: 1_000, ttlSeconds: 200)
        schedule.add(integration: "i", nowSeconds: 1_000_000)
        _ = schedule.takeDue("i", pace: pace, nowSeconds: 1_000_000) { 0 }
        schedule.add(device: "d", integration: "i", pace: pace, nowSeconds: 1_000_000, random: 0)
        let kept = schedule.takeDue("i", pace: pace, nowSeconds: 1_000_050) { 0 }
        #expect(kept == RefreshSchedule.Work())
        let work = schedule.takeDue("i", pace: pace, nowSeconds: 500_000) { 0 }
        #expect(work.isFullSync && work.devices == ["d"])
        let answers = [500_000, 500_000, 400_000].map { schedule.mayFetchNow("d", nowSeconds: $0) }
        #expect(answers == [true, false, true])
    }

    @Test("five live transactions per session; the sixth takes the oldest one's place")
    func transactionBound() async throws {
        let setting = try Setting()
        var ids: [String] = []
        for _ in 0..<6 {
            ids.append(try await setting.service.start(globalSession: "s", application: "a", returnPath: "/"))
        }
        await #expect(throws: PostureRefusal.self) {
            try await setting.service.challenge(transaction: ids[0], globalSession: "s")
        }
        for id in ids[1...] { _ = try await setting.service.challenge(transaction: id, globalSession: "s") }
        setting.clock.now += 600
        await #expect(throws: PostureRefusal.self) {
            try await setting.service.challenge(transaction: ids[5], globalSession: "s")
        }
    }

    @Test("a store that cannot write refuses the proof") func storeFails() async throws {
        let setting = try Setting()
        let agent = try await setting.enroll()
        await setting.store.failDeviceWrites(true)
        let (transaction, challenge) = try await setting.challenge()
        let assertion = try agent.assertion(for: challenge, now: setting.clock.now, counter: 1)
        #expect(await setting.refusal(transaction, assertion) == .storeUnavailable)
    }

    @Test("challenge: every field of handshake.md 4 and 9, signed by a challenge key") func fields()
        async throws
    {
        let setting = try Setting()
        let (_, challenge) = try await setting.challenge()
        let jws = try JWS(compact: challenge)
        let keys = setting.ring.verificationKeys(.challenge)
        #expect(keys.contains { jws.header["kid"] == .string($0.kid) && jws.verify(with: $0.key) })
        let payload = try jws.payloadObject
        for name in [
            "iss", "aud", "iat", "nbf", "exp", "jti", "nonce", "origin", "app", "txh", "rtn", "req",
            "profiles",
        ] {
            #expect(payload[name] != nil, "\(name)")
        }
        #expect(payload["exp"]?.integer == setting.clock.now + 60)
        #expect(payload["versions"] == ["min": 1, "max": 1])
        #expect(payload["rtn"]?.string?.hasPrefix(Setting.origin + "/") == true)
    }
}
