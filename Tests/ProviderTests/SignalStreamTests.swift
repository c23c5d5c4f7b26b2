import Access
import JSON
import Signatures
import Store
import Synchronization
import Testing

@testable import Posture
@testable import gatepost_lab

@Suite("A Shared Signals stream over loopback: management, push and poll against the lab's transmitter")
struct SignalStreamTests {
    /// The id of the last event, whichever that was, is what a duplicate will have.
    private func nameLastEvent(_ lab: SignalLab) throws {
        let acknowledged = lab.transmitter.state.withLock { $0.streams.first?.acknowledged ?? [] }
        try #require(acknowledged.count > 1)
        lab.transmitter.state.withLock { $0.lastTokenID = acknowledged[1] }
    }

    static let deliveries = ["push", "poll"]
    static let person: SignalEffect = {
        var target = SignalTarget()
        target.persons = [.identity(issuer: "https://idp.example/t1", subject: "u-17")]
        return .endSessions(target)
    }()

    @Test("001.23 a stream is made, verified and delivers, by push and by poll", arguments: deliveries)
    func delivers(_ delivery: String) async throws {
        let lab = try await SignalLab(delivery)
        try await lab.connect()
        let made = try #require(lab.published)
        #expect(made.requested == SignalEvent.wanted)
        #expect(made.authorization == (delivery == "push" ? SignalLab.authorization : nil))
        var shown = try await lab.signals()
        #expect(shown.streamID == made.id && shown.state == "enabled" && !shown.isDegraded)
        #expect(shown.verifiedAtSeconds == lab.clock.now)
        #expect(shown.missingEvents == [SignalEvent.risc + "account-purged"])
        #expect(try await lab.report().state == .configured)
        lab.revoke()
        try await lab.deliver()
        #expect(lab.effects == [Self.person])
        shown = try await lab.signals()
        #expect(shown.acknowledged == ["applied": 1, "noted": 1] && shown.refused.isEmpty)
        #expect(lab.published?.waiting.isEmpty == true && lab.published?.acknowledged.count == 2)
    }

    struct FaultRow: Sendable, CustomTestStringConvertible {
        var fault: SignalFault
        var error: SignalRefusal.Code?
        var outcome: String?
        var testDescription: String { fault.rawValue }
        init(_ fault: SignalFault, _ error: SignalRefusal.Code?, _ outcome: String? = nil) {
            self.fault = fault
            self.error = error
            self.outcome = outcome
        }
    }

    static let faultRows: [FaultRow] = [
        FaultRow(.wrongType, .invalidRequest), FaultRow(.noType, .invalidRequest),
        FaultRow(.expiry, .invalidRequest), FaultRow(.subject, .invalidRequest),
        FaultRow(.wrongIssuer, .invalidIssuer), FaultRow(.wrongAudience, .invalidAudience),
        FaultRow(.noIssuedAt, .invalidRequest), FaultRow(.futureIssuedAt, .invalidRequest),
        FaultRow(.noTokenID, .invalidRequest), FaultRow(.twoEvents, .invalidRequest),
        FaultRow(.noEvents, .invalidRequest), FaultRow(.noSubject, .invalidRequest),
        FaultRow(.nestedSubject, .invalidRequest), FaultRow(.hugeToken, .invalidRequest),
        FaultRow(.unsecured, .invalidRequest), FaultRow(.wrongSignature, .authenticationFailed),
        FaultRow(.unknownKey, .invalidKey), FaultRow(.criticalMember, nil, "critical-member"),
        FaultRow(.unknownEvent, nil, "unknown-event"),
    ]

    @Test(
        "001.23 a faulty token has no effect, its transmitter is told why, and the next good one counts",
        arguments: deliveries, faultRows)
    func faults(_ delivery: String, _ row: FaultRow) async throws {
        let lab = try await SignalLab(delivery)
        try await lab.connect()
        lab.transmitter.faults.activate(row.fault, times: 1)
        lab.revoke()
        lab.transmitter.faults.clear()
        try await lab.deliver()
        #expect(lab.effects.isEmpty)
        #expect(lab.published?.refused.values.first == row.error?.rawValue)
        let shown = try await lab.signals()
        if let error = row.error { #expect(shown.refused == [error.rawValue: 1]) }
        if let outcome = row.outcome { #expect(shown.acknowledged[outcome] == 1) }
        #expect(lab.published?.waiting.isEmpty == true, "what is refused for good does not come again")
        lab.revoke()
        try await lab.deliver()
        #expect(lab.effects == [Self.person])
    }

    @Test("a token that was taken is acknowledged and ignored, also after a restart", arguments: deliveries)
    func duplicates(_ delivery: String) async throws {
        let lab = try await SignalLab(delivery)
        try await lab.connect()
        lab.revoke()
        try await lab.deliver()
        for restarts in [false, true] {
            if restarts {
                try await lab.start()
                try await lab.connect()
            }
            lab.transmitter.faults.activate(.duplicateTokenID, times: 1)
            try nameLastEvent(lab)
            lab.revoke()
            try await lab.deliver()
            #expect(lab.effects.count == 1)
            #expect(try await lab.signals().acknowledged["duplicate"] == 1)
            #expect(lab.published?.waiting.isEmpty == true)
        }
    }

    @Test("an id is remembered for seven days: exactly so long, and one second more") func week() async throws
    {
        let lab = try await SignalLab()
        try await lab.connect()
        lab.revoke()
        try await lab.deliver()
        let taken = lab.clock.now
        for (seconds, count) in [(SeenTokens.rememberedSeconds, 1), (SeenTokens.rememberedSeconds + 1, 2)] {
            lab.clock.now = taken + seconds
            try await lab.store.removeExpired(nowSeconds: lab.clock.now)
            try nameLastEvent(lab)
            lab.transmitter.faults.activate(.duplicateTokenID, times: 1)
            lab.revoke()
            try await lab.deliver()
            #expect(lab.effects.count == count)
        }
    }

    @Test("what cannot be carried out is not acknowledged, and comes again", arguments: deliveries)
    func unavailable(_ delivery: String) async throws {
        let lab = try await SignalLab(delivery)
        try await lab.connect()
        lab.fail(true)
        lab.revoke()
        try await lab.deliver()
        #expect(lab.effects.isEmpty && lab.published?.waiting.count == 1)
        // Also when the process ends in between.
        try await lab.start()
        lab.fail(false)
        lab.clock.now += 10
        try await lab.connect()
        try await lab.deliver()
        #expect(lab.effects == [Self.person] && lab.published?.waiting.isEmpty == true)
    }

    @Test("a push without the authorization that we gave is refused, whatever is in it")
    func authorization() async throws {
        let lab = try await SignalLab()
        try await lab.connect()
        let service = try lab.service
        lab.revoke()
        let compact = Array(try #require(lab.published?.waiting.first).compact.utf8)
        let type = "application/secevent+jwt"
        for given in [
            [], [""], ["Bearer receiver-secret-0002"], ["Bearer receiver-secret-000"],
            [SignalLab.authorization + " "], [SignalLab.authorization, SignalLab.authorization],
        ] {
            let receipt = await service.receiveSignal(
                stream: "idp", authorization: given, contentType: type, body: compact)
            guard case .refused(let refusal) = receipt else {
                Issue.record("\(given) was taken")
                continue
            }
            #expect(refusal.code == .authenticationFailed)
        }
        for (stream, kind) in [("other", type), ("idp", "application/jwt"), ("idp", "")] {
            let receipt = await service.receiveSignal(
                stream: stream, authorization: [SignalLab.authorization], contentType: kind, body: compact)
            #expect(receipt != .acknowledged)
        }
        #expect(lab.effects.isEmpty)
        let receipt = await service.receiveSignal(
            stream: "idp", authorization: [SignalLab.authorization], contentType: type + "; charset=utf-8",
            body: compact)
        #expect(receipt == .acknowledged && lab.effects == [Self.person])
    }

    @Test("a new key is fetched when it is met, once a minute at most; one that is gone signs no more")
    func rotation() async throws {
        let lab = try await SignalLab()
        try await lab.connect()
        lab.transmitter.rotateKeys(keepsOld: true)
        lab.revoke()
        try await lab.deliver()
        #expect(lab.effects.count == 1)
        func fetches() -> Int {
            lab.transmitter.state.withLock { $0.calls["GET /signals/jwks"] ?? 0 }
        }
        let before = fetches()
        for _ in 0..<5 {
            lab.transmitter.faults.activate(.unknownKey, times: 1)
            lab.revoke()
            try await lab.deliver()
        }
        #expect(fetches() == before, "the last refetch is less than a minute ago")
        #expect(lab.published?.waiting.count == 5, "the key may be a new one: none is refused for it")
        lab.clock.now += 60
        lab.transmitter.faults.activate(.unknownKey, times: 1)
        lab.revoke()
        try await lab.deliver()
        #expect(fetches() == before + 1 && lab.effects.count == 1)
        let old = try #require(lab.transmitter.state.withLock { $0.keys.first })
        lab.transmitter.rotateKeys(keepsOld: false)
        lab.clock.now += 3_601
        lab.transmitter.state.withLock { $0.keys.insert(old, at: 0) }
        lab.revoke()
        lab.transmitter.state.withLock { _ = $0.keys.removeFirst() }
        try await lab.deliver()
        #expect(lab.effects.count == 1 && lab.published?.refused.values.contains("invalid_key") == true)
    }

    @Test("without keys nothing is refused: it comes again when they can be read") func noKeys() async throws
    {
        let lab = try await SignalLab()
        _ = try await lab.stream.keepUp()
        lab.transmitter.faults.activate(.serverError)
        try await lab.deliver()
        #expect(lab.published?.refused.isEmpty == true && lab.published?.waiting.count == 1)
        lab.transmitter.faults.clear()
        lab.clock.now += 60
        try await lab.deliver()
        #expect(lab.published?.waiting.isEmpty == true)
    }

    @Test("RS256 with 2048 bits is what the interoperability profile asks for") func rsa() async throws {
        let lab = try await SignalLab()
        let pair = try GraphLab.certificate()
        let key = try SigningKey(pem: pair.key, keyID: "rsa-1")
        lab.transmitter.state.withLock { $0.keys = [key] }
        try await lab.connect()
        lab.revoke()
        try await lab.deliver()
        #expect(lab.effects == [Self.person])
    }
}
