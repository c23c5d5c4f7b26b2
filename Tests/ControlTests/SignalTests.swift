import Access
import Border
import Config
import Foundation
import Identity
import JSON
import Posture
import Signatures
import Store
import Testing

@testable import Control

@Suite("What a signal does here: sessions end, claims change, devices are decided again")
struct SignalTests {
    static let issuer = "https://login.corp.example"

    /// A stream that a rule of `vault` asks, and a provider that would have to confirm; nobody answers for
    /// either.
    static let config = Gatehouse.config.replacingOccurrences(
        of: "device-policies:",
        with: """
              health:
                provider: custom
                api-url: http://127.0.0.1:9/evaluate
                api-token: { file: secrets/corp }
                unsafe-allow-http: true
              idp:
                provider: shared-signals
                issuer: http://127.0.0.1:9/t1
                audience: https://auth.corp.example/ssf
                api-token: { file: secrets/corp }
                push-authorization: { file: secrets/push }
                confirmed-by: [ health ]
                unsafe-allow-http: true
            device-policies:
            """
    ).replacingOccurrences(
        of: "{ agent: agents, managed: true }",
        with:
            "{ agent: agents, managed: true }, { shared-signals: idp, tags: { matches-any: [ compliant ] } }")

    static func target(_ change: (inout SignalTarget) -> Void) -> SignalTarget {
        var target = SignalTarget()
        change(&target)
        return target
    }

    static let byAddress = target { $0.persons = [.email("ada@corp.example")] }
    static let targets: [(String, SignalTarget)] = [
        ("address", byAddress),
        ("person", target { $0.persons = [.identity(issuer: issuer, subject: "ada@corp.example")] }),
        ("device", target { $0.deviceID = "laptop" }),
        ("the provider's session", target { $0.sessions = ["sid-1"] }),
        (
            "person on a device",
            target {
                $0.persons = [.email("ada@corp.example")]
                $0.deviceID = "laptop"
            }
        ),
    ]

    @Test(
        "001.24 003.6 an event ends the sessions that it names, and no others",
        arguments: targets.indices)
    func ends(_ index: Int) async throws {
        let house = try Gatehouse()
        try await house.enroll("laptop")
        let meant = try await house.signIn(device: "laptop")
        let other = try await house.signIn("eve@corp.example", device: "tablet")
        for (id, sid) in [(meant.global.id, "sid-1"), (other.global.id, "sid-2")] {
            let old = try #require(try await house.store.session(id: id))
            var new = old
            new.claims["sid"] = .text(sid)
            _ = try await house.store.replace(old, with: new)
        }
        try await house.control.carryOut(
            [.endSessions(Self.targets[index].1)], of: SignalTests.origin())
        #expect(try await house.store.session(id: meant.global.id) == nil)
        #expect(try await house.store.session(id: meant.session.id) == nil)
        #expect(try await house.store.session(id: other.global.id) != nil)
        #expect(try await house.store.session(id: other.session.id) != nil)
        #expect(house.reactors.revocations.map(\.effect) == [.endSession(meant.session.id)])
        let audit = try await house.store.audit(limit: 1).first
        #expect(audit?.kind == "signal-applied" && audit?.json.contains(meant.session.id) == true)
    }

    @Test("a session that does not say which of the provider's it is of is its sign-in's, where that says it")
    func renewedAbove() async throws {
        let house = try Gatehouse()
        let (global, session, _) = try await house.signIn()
        var named = global
        named.claims["sid"] = .text("sid-2")
        #expect(try await house.store.replace(global, with: named))
        let person = SignalTarget.Person.email("ada@corp.example")
        for (sid, isMeant) in [("sid-1", false), ("sid-2", true)] {
            let target = Self.target { ($0.persons, $0.sessions) = ([person], [sid]) }
            try await house.control.carryOut([.endSessions(target)], of: Self.origin())
            #expect(try await (house.store.session(id: session.id) == nil) == isMeant, "\(sid)")
        }
        // Where neither says it, it may be the one.
        let other = try await house.signIn()
        let target = Self.target { ($0.persons, $0.sessions) = ([person], ["sid-3"]) }
        try await house.control.carryOut([.endSessions(target)], of: Self.origin())
        #expect(try await house.store.session(id: other.session.id) == nil)
    }

    @Test("our own id of a session ends this one and leaves the person's others") func one() async throws {
        let house = try Gatehouse()
        let first = try await house.signIn()
        let second = try await house.signIn()
        try await house.control.carryOut(
            [.endSessions(Self.target { $0.sessions = [first.session.id] })], of: Self.origin())
        #expect(try await house.store.session(id: first.session.id) == nil)
        #expect(try await house.store.session(id: first.global.id) != nil)
        #expect(try await house.store.session(id: second.session.id) != nil)
    }

    @Test("a target of nothing ends nothing, and carrying out twice is as good as once") func again()
        async throws
    {
        let house = try Gatehouse()
        let (global, _, _) = try await house.signIn()
        try await house.control.carryOut([.endSessions(SignalTarget())], of: Self.origin())
        #expect(try await house.store.session(id: global.id) != nil)
        for _ in 0..<2 {
            try await house.control.carryOut([.requireReauthentication(Self.byAddress)], of: Self.origin())
        }
        #expect(try await house.store.session(id: global.id) == nil)
        #expect(house.reactors.revocations.count == 1)
    }

    @Test("when the store fails, the event is not acknowledged") func failing() async throws {
        let house = try Gatehouse()
        _ = try await house.signIn()
        try house.breakSessions()
        await #expect(throws: StoreError.self) {
            try await house.control.carryOut([.endSessions(Self.byAddress)], of: Self.origin())
        }
    }

    @Test("003.6 other groups are kept with every session of the person, and decided with at once")
    func claims() async throws {
        let house = try Gatehouse(
            Gatehouse.config.replacingOccurrences(
                of: "include: [ { email-domain: corp.example } ] }",
                with: "include: [ { group: staff } ] }"))
        let (global, session, cookie) = try await house.signIn()
        let other = try await house.signIn("eve@corp.example")
        #expect(await house.pulled(cookie.tokenDigest)?.residual.policies.isEmpty == true)
        let changes = ClaimChanges(groups: ["staff"], values: ["department": .text("research")])
        try await house.control.carryOut([.replaceClaims(Self.byAddress, changes)], of: Self.origin())
        for id in [global.id, session.id] {
            let now = try #require(try await house.store.session(id: id))
            #expect(now.groups == ["staff"] && now.claims["department"] == .text("research"))
        }
        #expect(try await house.store.session(id: other.global.id)?.groups == [])
        let sent = house.reactors.revocations.compactMap { revocation -> SessionRecord? in
            if case .replace(let record) = revocation.effect { record } else { nil }
        }
        #expect(sent.map(\.session) == [session.id])
        #expect(sent.first?.residual.policies.map(\.name) == ["staff"])
    }

    static func origin() -> SignalOrigin {
        SignalOrigin(stream: "idp", tokenID: "t-1", transaction: "tx-9", event: "urn:test")
    }

    // MARK: Devices

    static func signal(_ isCompliant: Bool, at seconds: Int64) -> SignalEffect {
        .setVerdict(
            DeviceSignal(
                stream: "idp", deviceID: "laptop", word: .compliance(isCompliant: isCompliant),
                happenedAtSeconds: seconds, receivedAtSeconds: seconds))
    }

    private func isOpen(_ house: Gatehouse, _ digest: [UInt8]) async -> Bool {
        await house.control.deviceChanged("laptop", 1)
        return await house.pulled(digest, "vault")?.residual.policies.isEmpty == false
    }

    @Test("001.24 not-compliant applies at once; compliant alone does not lift it") func compliance()
        async throws
    {
        let house = try Gatehouse(Self.config)
        try await house.enroll("laptop")
        let (_, session, cookie) = try await house.signIn(at: "vault", device: "laptop")
        #expect(await !isOpen(house, cookie.tokenDigest), "nothing is known yet")
        try await house.control.carryOut([Self.signal(true, at: house.now)], of: Self.origin())
        #expect(await isOpen(house, cookie.tokenDigest))
        house.reactors.clear()
        try await house.control.carryOut([Self.signal(false, at: house.now + 1)], of: Self.origin())
        #expect(await !isOpen(house, cookie.tokenDigest))
        #expect(
            house.reactors.revocations.contains { revocation in
                guard case .replace(let record) = revocation.effect else { return false }
                return record.session == session.id && record.residual.policies.isEmpty
            }, "what is open hears of it")
        try await house.control.carryOut([Self.signal(true, at: house.now + 2)], of: Self.origin())
        #expect(await !isOpen(house, cookie.tokenDigest), "nobody confirmed it")
        // An older word that comes late changes nothing.
        try await house.control.carryOut([Self.signal(true, at: house.now)], of: Self.origin())
        #expect(await !isOpen(house, cookie.tokenDigest))
    }

    @Test(
        "a stream that is silent for a day says nothing: exactly a day, and one second more"
    )
    func silence() async throws {
        let house = try Gatehouse(Self.config)
        try await house.enroll("laptop")
        try await house.control.carryOut([Self.signal(true, at: house.now)], of: Self.origin())
        func state() async -> Verdict.State? {
            await house.control.services.posture.deviceFacts(id: "laptop", statement: nil)?.verdicts.first {
                $0.integration == "idp"
            }?.state
        }
        house.advance(86_400)
        #expect(await state() == .compliant)
        house.advance(1)
        #expect(await state() == nil)
    }

    // MARK: The reserved path

    struct Push: Sendable, CustomTestStringConvertible {
        var testDescription: String
        var method = "POST"
        var path = "/.gatepost/signals/idp"
        var host = "auth.corp.example"
        var authorization = ["Bearer push-secret-0001"]
        var type = "application/secevent+jwt"
        var body = "not.a.token"
        var status: Int
        var error: String?
    }

    static let pushes: [Push] = [
        Push(testDescription: "no token", status: 400, error: "invalid_request"),
        Push(testDescription: "another type", type: "text/plain", status: 400, error: "invalid_request"),
        Push(testDescription: "nobody", authorization: [], status: 400, error: "authentication_failed"),
        Push(
            testDescription: "somebody else", authorization: ["Bearer push-secret-0002"], status: 400,
            error: "authentication_failed"),
        Push(
            testDescription: "twice", authorization: ["Bearer push-secret-0001", "Bearer push-secret-0001"],
            status: 400, error: "authentication_failed"),
        Push(testDescription: "a read", method: "GET", status: 405),
        Push(testDescription: "another stream", path: "/.gatepost/signals/other", status: 404),
        Push(testDescription: "no stream", path: "/.gatepost/signals/", status: 404),
        Push(testDescription: "a provider", path: "/.gatepost/signals/health", status: 404),
        Push(testDescription: "an application's host", host: "wiki.corp.example", status: 404),
    ]

    @Test("001.23 a push is refused in the words of RFC 8935 §2.3", arguments: pushes)
    func refusals(_ row: Push) async throws {
        let house = try Gatehouse(Self.config)
        await house.control.carryOutSignals()
        let fields =
            row.authorization.map { Field("authorization", $0) } + [Field("content-type", row.type)]
        let response = await house.control.answer(
            house.request(row.path, host: row.host, method: row.method, fields, body: row.body))
        #expect(response.status == row.status)
        guard let error = row.error else { return }
        let body = try JSONValue(parsing: response.body)
        #expect(body["err"]?.string == error && body["description"]?.string?.isEmpty == false)
        #expect(response.fields.contains(Field("Content-Language", "en")))
    }

    /// A token that could be one; its transmitter's keys cannot be read.
    static func token() -> String {
        let claims: JSONObject = [
            "iss": "http://127.0.0.1:9/t1", "aud": "https://auth.corp.example/ssf", "jti": "1",
            "iat": .integer(Gatehouse.start), "sub_id": ["format": "email", "email": "ada@corp.example"],
            "events": ["https://schemas.openid.net/secevent/caep/event-type/session-revoked": [:]],
        ]
        return JWS.sign(
            header: ["typ": "secevent+jwt", "kid": "k"], payload: claims, with: SigningKey.generateP256())
    }

    @Test("a push whose keys cannot be read is to come again, and ends nothing") func later() async throws {
        let house = try Gatehouse(Self.config)
        let (global, _, _) = try await house.signIn()
        let fields = [
            Field("authorization", "Bearer push-secret-0001"),
            Field("content-type", "application/secevent+jwt"),
        ]
        let request = house.request("/.gatepost/signals/idp", method: "POST", fields, body: Self.token())
        for isStarted in [false, true] {
            if isStarted { await house.control.carryOutSignals() }
            let response = await house.control.answer(request)
            #expect(response.status == 503 && response.fields.contains(Field("Retry-After", "5")))
        }
        #expect(try await house.store.session(id: global.id) != nil)
    }

    @Test("001.25 status shows the stream") func status() async throws {
        let house = try Gatehouse(Self.config)
        try await house.enroll("laptop")
        let status = await house.control.execute(["command": "status"])
        #expect(
            status["text"]?.string?.contains("idp: push, stream - (state not known), never verified") == true)
        let integration = status["integrations"]?.array?.first { $0["integration"] == "idp" }
        #expect(integration?["signals"]?["delivery"] == "push")
        #expect(integration?["signals"]?["silenced"] == false)
    }
}
