import Access
import Border
import Foundation
import Identity
import JSON
import Posture
import Store
import Testing

@testable import Control

@Suite("A proof of the device is repeated without disturbing anybody")
struct RecheckTests {
    @Test("records say from when on pages are asked about: at four fifths of the application's own age")
    func due() async throws {
        let house = try await RecheckHouse()
        try await house.prove()
        let start = house.now
        #expect(try await house.record("vault").recheckAtSeconds == start + 240)
        #expect(try await house.record("slow").recheckAtSeconds == start + 2_880)
        #expect(try await house.record("wiki").recheckAtSeconds == .max, "it asks for no device")
    }

    @Test("one second before, the page is opened; from then on it goes by way of the device check, once")
    func once() async throws {
        let house = try await RecheckHouse()
        try await house.prove()
        house.house.advance(239)
        #expect(try await house.detour("vault") == nil)
        house.house.advance(1)
        let detour = try #require(try await house.detour("vault"))
        #expect(detour.hasPrefix("https://auth.corp.example:8443/.gatepost/posture/start?tx="))
        #expect(detour.hasSuffix("&soft=1"))
        #expect(
            try await house.detour("vault") == nil, "the agent did not answer: nobody is sent there again")
        #expect(try await house.detour("slow") == nil)
        house.house.advance(2_639)
        #expect(try await house.detour("slow") == nil)
        house.house.advance(1)
        #expect(try await house.detour("slow") != nil, "each application asks for itself")
        try await house.prove()
        house.house.advance(240)
        #expect(try await house.detour("vault") != nil, "and each proof is asked for once")
    }

    @Test(
        "a proof that took a click, or of which nobody knows how it came, is never repeated by itself",
        arguments: [HandshakeTransport.popup, .navigation, nil])
    func audible(_ transport: HandshakeTransport?) async throws {
        let house = try await RecheckHouse()
        try await house.prove(.x5c, transport)
        #expect(try await house.record("vault").recheckAtSeconds == .max)
        house.house.advance(299)
        #expect(try await house.detour("vault") == nil)
    }

    @Test("a navigation that the page began by itself is repeated so; not where only scripts count")
    func unasked() async throws {
        let house = try await RecheckHouse()
        try await house.prove(.x5c, .navigation, isUnasked: true)
        #expect(try await house.record("vault").recheckAtSeconds == house.now + 240)
        house.house.advance(240)
        #expect(try await house.detour("vault")?.hasSuffix("&soft=1") == true)
        let strict = try await RecheckHouse(
            RecheckHouse.config.replacing("max-age: 5m", with: "max-age: 5m, transports: [fetch]"))
        try await strict.prove(.x5c, .navigation, isUnasked: true)
        #expect(try await strict.record("vault").recheckAtSeconds == .max)
    }

    @Test("the reactor hears `proceed` where the page is simply opened, and else the redirect")
    func messages() async throws {
        let house = try await RecheckHouse()
        try await house.prove()
        let request = try house.request("vault")
        await house.control.recheck(request)
        #expect(house.house.reactors.sent.last?.message == .proceed(request.ticket))
        house.house.advance(240)
        await house.control.recheck(request)
        guard case .response(let response)? = house.house.reactors.sent.last?.message else {
            Issue.record("no redirect was sent")
            return
        }
        #expect(response.status == 302)
        let stranger = house.house.request("/", host: "vault.corp.example", purpose: .recheck)
        await house.control.recheck(stranger)
        #expect(house.house.reactors.sent.last?.message == .proceed(stranger.ticket))
    }

    @Test("the page of a check ahead of time knows the way back, the page of a needed one does not")
    func page() async throws {
        let house = try await RecheckHouse()
        try await house.prove()
        house.house.advance(240)
        let soft = try #require(try await house.detour("vault")?.split(separator: "/").last)
        let way = "data-back=\"https://vault.corp.example:8443/page?q=1\""
        let cookie = RecheckHouse.field(house.globalCookie)
        let page = await house.control.answer(house.house.request("/.gatepost/posture/\(soft)", [cookie]))
        #expect(String(decoding: page.body, as: UTF8.self).contains(way))
        let refused = await house.control.answer(
            try house.request("vault", purpose: .refused(.postureRequired)))
        #expect(refused.status != 302, "the proof still counts: there is nothing to repeat")
        house.house.advance(60)
        let sent = await house.control.answer(
            try house.request("vault", purpose: .refused(.postureRequired)))
        let hard = try #require(house.location(sent)?.split(separator: "/").last)
        #expect(!hard.contains("soft"))
        let needed = await house.control.answer(house.house.request("/.gatepost/posture/\(hard)", [cookie]))
        #expect(needed.status == 200)
        #expect(!String(decoding: needed.body, as: UTF8.self).contains("data-back"))
    }

    @Test(
        "5 minutes and an hour share one proof: what is new ends at the age, what is open with the grace",
        arguments: [
            (299, true, true, true), (300, false, true, true), (359, false, true, true),
            (360, false, false, true), (3_599, false, false, true), (3_600, false, false, false),
        ] as [(Int64, Bool, Bool, Bool)])
    func shared(_ age: Int64, _ isNew: Bool, _ isOpen: Bool, _ isSlow: Bool) async throws {
        let house = try await RecheckHouse()
        try await house.prove()
        house.house.advance(age)
        let vault = try await house.record("vault")
        #expect(house.mayOpen(vault) == isNew && house.mayOpen(vault, isOpen: true) == isOpen)
        if isNew || isOpen { #expect(vault.streamsUntilSeconds == house.now - age + 360) }
        if !isNew { #expect(vault.residual.refusal == .postureRequired) }
        #expect(house.mayOpen(try await house.record("slow")) == isSlow)
        #expect(house.mayOpen(try await house.record("wiki")))
    }

    @Test("a clock that was set back makes a proof of unknown age: it is repeated, and counts from then on")
    func clockBack() async throws {
        let house = try await RecheckHouse()
        try await house.prove()
        house.house.advance(-300)
        #expect(house.mayOpen(try await house.record("vault")))
        house.house.advance(-1)
        let record = try await house.record("vault")
        #expect(!house.mayOpen(record) && record.residual.refusal == .postureRequired)
        let answer = await house.control.answer(
            try house.request("vault", purpose: .refused(.postureRequired)))
        #expect(house.location(answer)?.contains("/posture/start?tx=") == true)
        try await house.prove()
        #expect(house.mayOpen(try await house.record("vault")))
        house.house.advance(80_000)
        #expect(!house.mayOpen(try await house.record("slow"), isOpen: true), "forward it only ends")
    }

    @Test("an agent that is gone for an hour takes everything but what needs no device, and gives it back")
    func gone() async throws {
        let house = try await RecheckHouse()
        let agent = try await HouseAgent(house.house)
        #expect(try await house.checkIn(agent, counter: 1).status == 200)
        for name in ["vault", "slow", "wiki"] { #expect(house.mayOpen(try await house.record(name))) }
        house.house.advance(3_600)
        for name in ["vault", "slow"] {
            let record = try await house.record(name)
            #expect(!house.mayOpen(record) && record.residual.refusal == .postureRequired)
        }
        #expect(house.mayOpen(try await house.record("wiki")))
        let refused = await house.control.answer(
            try house.request("vault", purpose: .refused(.postureRequired)))
        let transaction = try house.transaction(house.location(refused))
        let cookie = RecheckHouse.field(try await house.signedInAgain())
        #expect(try await house.finish(transaction, agent, counter: 2, cookie: cookie).status == 200)
        for name in ["vault", "slow"] { #expect(house.mayOpen(try await house.record(name))) }
    }

    @Test("a renewal after the end tells every reactor that it is over, and why")
    func renewal() async throws {
        let house = try await RecheckHouse()
        try await house.prove()
        let digest = try #require(house.cookies["vault"]).tokenDigest
        _ = await house.house.pulled(digest, "vault")
        house.house.advance(360)
        await house.control.renew(digest, "vault")
        guard case .replace(let record)? = house.house.reactors.revocations.last?.effect else {
            Issue.record("reactors were told nothing")
            return
        }
        #expect(!house.mayOpen(record) && !house.mayOpen(record, isOpen: true))
        #expect(record.residual.refusal == .postureRequired && record.identityFields.isEmpty)
    }

    @Test("a proof that does not count here tells the application nothing of the device")
    func untold() async throws {
        let house = try await RecheckHouse()
        try await house.prove()
        let vault = try #require(house.sessions["vault"])
        func result() async throws -> DeviceResult? {
            try await house.control.services.records.decided(
                vault, sequence: 0, nowSeconds: house.now)?.result
        }
        #expect(try await result()?.deviceClass == .compliant)
        house.house.advance(300)
        #expect(try await result() == nil)
    }
}

@Suite("The device check that a person opens, and who may go on with it")
struct RecheckPageTests {
    private func ask(_ house: RecheckHouse, _ fields: [Field] = [], isNavigation: Bool = true) async throws
        -> ControlResponse
    {
        await house.control.answer(
            try house.request(
                "vault", "/.gatepost/sign-in?device-check=1", fields, purpose: .reserved,
                isNavigation: isNavigation))
    }

    @Test("the address in a 401 leads by way of the check back to the page that opened it")
    func opened() async throws {
        let house = try await RecheckHouse()
        try await house.prove()
        let page = Field("referer", "https://vault.corp.example:8443/board?id=7")
        let fresh = try await ask(house, [page])
        #expect(fresh.status == 303 && house.location(fresh) == "/board?id=7", "nothing is to be done")
        house.house.advance(300)
        let old = try await ask(house, [page])
        #expect(old.status == 303 && house.location(old)?.contains("soft") == false)
        let transaction = try house.transaction(house.location(old))
        let way = await house.control.services.posture.destination(transaction: transaction)
        #expect(way?.returnPath == "https://vault.corp.example:8443/board?id=7")
        let evil = try await ask(house, [Field("referer", "https://vault.corp.example.evil/x")])
        let other = try house.transaction(house.location(evil))
        let back = await house.control.services.posture.destination(transaction: other)
        #expect(back?.returnPath == "https://vault.corp.example:8443/", "another site chooses no address")
    }

    @Test("a script that calls it gets no redirect, and nobody without a session a device check")
    func others() async throws {
        let house = try await RecheckHouse()
        try await house.prove()
        house.house.advance(300)
        let script = try await ask(house, isNavigation: false)
        #expect(script.status == 401 && house.location(script) == nil)
        let stranger = await house.control.answer(
            house.house.request("/.gatepost/sign-in?device-check=1", host: "vault.corp.example"))
        #expect(house.location(stranger)?.contains("posture") == false)
    }

    @Test("while something of the device is held nothing is repeated, neither by itself nor on request")
    func held() async throws {
        let house = try await RecheckHouse()
        try await house.prove()
        let cause = HeldCause(kind: .absence(["health"]))
        let losses = (0..<12).map { index in
            SessionLoss(
                session: "s\(index)", person: "p\(index)", application: "vault",
                device: index == 0 ? "laptop" : "d\(index)", cause: cause)
        }
        let ruling = house.control.blast.radius { radius in
            radius.beginBatch()
            return radius.settle(losses, live: 12, nowSeconds: house.now)
        }
        #expect(ruling.held.count == 12)
        house.house.advance(240)
        #expect(try await house.detour("vault") == nil)
        house.house.advance(60)
        let asked = try await ask(house)
        #expect(asked.status == 303 && house.location(asked) == "/")
        house.control.blast.radius { for loss in losses { $0.drop(loss.session) } }
        #expect(house.location(try await ask(house))?.contains("/posture/start?tx=") == true)
    }

    @Test("the handshake's own end is nobody's silence: it is never held")
    func neverHeld() async throws {
        let house = try await RecheckHouse()
        try await house.prove()
        let digest = try #require(house.cookies["vault"]).tokenDigest
        _ = await house.house.pulled(digest, "vault")
        house.house.advance(360)
        await house.control.renew(digest, "vault")
        #expect(!house.control.blast.radius { $0.isHeld(device: "laptop") })
    }

    @Test("004.3 another device at the re-check ends the session everywhere, and is on record")
    func otherDevice() async throws {
        let house = try await RecheckHouse()
        let (own, other) = (try await HouseAgent(house.house), try await HouseAgent(house.house))
        #expect(try await house.checkIn(own, counter: 1).status == 200)
        _ = try await house.record("slow")
        house.house.advance(300)
        let refused = await house.control.answer(
            try house.request("vault", purpose: .refused(.postureRequired)))
        let global = try #require(try await house.house.store.session(id: house.globalID))
        let transaction = try house.transaction(house.location(refused))
        let cookie = RecheckHouse.field(try await house.signedInAgain())
        let answer = try await house.finish(transaction, other, counter: 1, cookie: cookie)
        #expect(answer.status == 403 && answer.reason == .sessionMismatch)
        #expect(global.deviceID == own.deviceID)
        #expect(try await house.house.store.session(id: house.globalID) == nil)
        for session in house.sessions.values {
            #expect(try await house.house.store.session(id: session.id) == nil)
            #expect(
                house.house.reactors.revocations.contains { $0.effect == .endSession(session.id) })
        }
        let trail = try await house.house.store.audit(limit: 100)
        #expect(trail.contains { $0.kind == "device-changed" && $0.json.contains(own.deviceID) })
        #expect(trail.contains { $0.kind == "posture-alert" })
    }

    @Test(
        "two tabs that repeat the proof at once both come to their pages, and so does one with the cookie before"
    )
    func tabs() async throws {
        let house = try await RecheckHouse()
        let agent = try await HouseAgent(house.house)
        #expect(try await house.checkIn(agent, counter: 1).status == 200)
        house.house.advance(300)
        var checks: [String] = []
        for path in ["/one", "/two", "/three"] {
            let refused = await house.control.answer(
                try house.request("vault", path, purpose: .refused(.postureRequired)))
            checks.append(try house.transaction(house.location(refused)))
        }
        let global = try #require(try await house.house.store.session(id: house.globalID))
        // The cookie that the browser has by now: the first check changed it once.
        #expect(global.tokenDigest != house.globalCookie.tokenDigest)
        let cookie = RecheckHouse.field(try await house.signedInAgain())
        let (one, two) = (checks[0], checks[1])
        async let first = house.finish(one, agent, counter: 2, cookie: cookie)
        async let second = house.finish(two, agent, counter: 3, cookie: cookie)
        let answers = try await [first, second]
        #expect(answers.map(\.status) == [200, 200])
        let ways = try answers.map { try JSONValue(parsing: $0.body)["next"]?.string }
        #expect(ways == ["https://vault.corp.example:8443/one", "https://vault.corp.example:8443/two"])
        house.house.advance(29)
        #expect(try await house.finish(checks[2], agent, counter: 4, cookie: cookie).status == 200)
        #expect(house.mayOpen(try await house.record("vault")))
    }
}

extension RecheckHouse {
    /// The auth host's cookie as a browser has it after a sign-in that renews the session.
    func signedInAgain() async throws -> SessionCookie {
        let sessions = Sessions(store: house.store, ring: control.ring)
        let global = try #require(try await house.store.session(id: globalID))
        let rotated = try await sessions.rotate(
            globalID, presented: global.tokenDigest, nowSeconds: now, { _ in })
        return try #require(rotated?.cookie)
    }
}
