import Access
import JSON
import Signatures
import Store
import Synchronization
import Testing

@testable import Posture
@testable import gatepost_lab

@Suite("Poll delivery (RFC 8936): acknowledgements, refusals, more to come, and faults")
struct SignalPollTests {
    @Test("more than fit in one answer are all fetched, each acknowledged once") func more() async throws {
        let lab = try await SignalLab("poll")
        try await lab.connect()
        for _ in 0..<60 { lab.revoke() }
        try await lab.deliver()
        #expect(lab.effects.count == 60)
        let stream = try #require(lab.published)
        #expect(stream.waiting.isEmpty && Set(stream.acknowledged).count == 61)
        #expect(stream.acknowledged.count == 61)
    }

    @Test("good ones are acknowledged beside bad ones, which are named with their error") func mixed()
        async throws
    {
        let lab = try await SignalLab("poll")
        try await lab.connect()
        for fault in [nil, SignalFault.wrongAudience, nil, .expiry] {
            if let fault { lab.transmitter.faults.activate(fault, times: 1) }
            lab.revoke()
        }
        try await lab.deliver()
        #expect(lab.effects.count == 2)
        #expect(
            Set(lab.published?.refused.values.map { $0 } ?? []) == ["invalid_audience", "invalid_request"])
        #expect(lab.published?.waiting.isEmpty == true)
    }

    @Test("a token that is delivered under another id is refused") func mislabelled() async throws {
        let lab = try await SignalLab("poll")
        try await lab.connect()
        lab.transmitter.faults.activate(.mislabelledPoll)
        lab.revoke()
        try await lab.deliver()
        #expect(lab.effects.isEmpty)
        #expect(try await (lab.signals().refused["invalid_request"] ?? 0) > 0)
        lab.transmitter.faults.clear()
        try await lab.deliver()
        #expect(lab.effects == [SignalStreamTests.person])
    }

    @Test(
        "an answer that is none acknowledges nothing", arguments: [SignalFault.malformedPoll, .serverError])
    func malformed(_ fault: SignalFault) async throws {
        let lab = try await SignalLab("poll")
        try await lab.connect()
        lab.revoke()
        lab.transmitter.faults.activate(fault)
        var outbox = SignalPolling.Outbox()
        await #expect(throws: ConnectorFailure.self) { try await lab.poll(&outbox) }
        lab.transmitter.faults.clear()
        #expect(lab.effects.isEmpty && lab.published?.waiting.count == 1)
        try await lab.deliver()
        #expect(lab.effects == [SignalStreamTests.person])
    }

    @Test("what could not be told is told with the next question") func kept() async throws {
        let lab = try await SignalLab("poll")
        try await lab.connect()
        lab.revoke()
        var outbox = SignalPolling.Outbox()
        let stream = try await lab.stream
        let service = try lab.service
        let url = try #require(await stream.configuration?.endpointURL)
        let handler = try #require(await service.signals.handler)
        let interpret = await service.interpreter(stream.settings)
        try await stream.poll(url, &outbox, interpret: interpret, handler: handler)
        #expect(outbox.acknowledged.count == 1 && lab.published?.waiting.count == 1)
        lab.transmitter.faults.activate(.serverError, times: 1)
        await #expect(throws: ConnectorFailure.self) {
            try await stream.poll(url, &outbox, interpret: interpret, handler: handler)
        }
        #expect(outbox.acknowledged.count == 1)
        try await stream.poll(url, &outbox, interpret: interpret, handler: handler)
        #expect(outbox.isEmpty && lab.published?.waiting.isEmpty == true && lab.effects.count == 1)
    }

    @Test("the question says what RFC 8936 §2.4 wants") func body() {
        var outbox = SignalPolling.Outbox()
        #expect(
            outbox.body(returnImmediately: false) == ["maxEvents": 25, "returnImmediately": false])
        outbox.acknowledged = ["a"]
        outbox.refused = ["b": SignalRefusal(.invalidKey, "why")]
        #expect(
            outbox.body(returnImmediately: true) == [
                "maxEvents": 25, "returnImmediately": true, "ack": ["a"],
                "setErrs": ["b": ["err": "invalid_key", "description": "why"]],
            ])
    }

    @Test("001.24 the loop by itself: events that come while it asks are carried out") func loop()
        async throws
    {
        let lab = try await SignalLab("poll")
        try await lab.connect()
        lab.transmitter.state.withLock { $0.longPollMilliseconds = 50 }
        let service = try lab.service
        let stream = try await lab.stream
        let handler = try #require(await service.signals.handler)
        let interpret = await service.interpreter(stream.settings)
        let following = Task { await stream.followPolls(interpret: interpret, handler: handler) }
        lab.revoke()
        try await SignalWait.until { lab.effects.count == 1 }
        lab.revoke()
        try await SignalWait.until { lab.effects.count == 2 && lab.published?.waiting.isEmpty == true }
        following.cancel()
        await following.value
    }
}

/// Waits for what another thread does.
enum SignalWait {
    static func until(_ isTrue: @Sendable () async throws -> Bool) async throws {
        let end = ContinuousClock.now.advanced(by: .seconds(20))
        while try await !isTrue() {
            try #require(ContinuousClock.now < end, "nothing happened within 20 s")
            await Task.yield()
        }
    }
}

@Suite("Signals about a device, with a provider that confirms")
struct SignalDeviceTests {
    /// The stream and the lab's custom provider in one service.
    private static func lab() async throws -> (lab: SignalLab, custom: VendorFixture, service: PostureService)
    {
        let lab = try await SignalLab(
            lists: ["confirmed-by": ["it"]], pinned: ["serial": VendorFixture.serial])
        let custom = try VendorFixture(.custom)
        custom.change(["score": 100, "state": "compliant"])
        let connection = custom.connection()
        let service = try PostureService(
            agents: [], providers: [connection, lab.settings], ring: .ephemeral(), store: lab.store,
            fetcher: custom.fetcher, clock: custom.clock.posture, random: { 0.5 })
        try await service.load()
        await service.refreshDue()
        return (lab, custom, service)
    }

    private static func say(
        _ isCompliant: Bool, _ service: PostureService, _ clock: ProviderTests.TestClock
    ) async throws {
        try await service.take(
            DeviceSignal(
                stream: "idp", deviceID: "device-1", word: .compliance(isCompliant: isCompliant),
                happenedAtSeconds: clock.now, receivedAtSeconds: clock.now))
    }

    private static func states(_ service: PostureService) async -> [String: Verdict.State] {
        let verdicts = await service.deviceFacts(id: "device-1", statement: nil)?.verdicts ?? []
        return Dictionary(verdicts.map { ($0.integration, $0.state) }, uniquingKeysWith: { $1 })
    }

    @Test(
        "001.24 not-compliant holds at once against a provider that says otherwise, before anybody was asked")
    func atOnce() async throws {
        let (_, custom, service) = try await Self.lab()
        #expect(await Self.states(service) == ["it": .compliant])
        custom.emulator.faults.activate(.serverError)
        custom.clock.now += 10
        try await Self.say(false, service, custom.clock)
        #expect(await Self.states(service) == ["it": .noncompliant, "idp": .noncompliant])
    }

    @Test("001.24 compliant lifts nothing until the provider's own later answer is compliant, too")
    func confirmed() async throws {
        let (_, custom, service) = try await Self.lab()
        custom.clock.now += 10
        custom.change(["state": "noncompliant", "score": 10])
        try await Self.say(false, service, custom.clock)
        try await SignalWait.until { await service.signals.confirmations.isWorking == false }
        custom.clock.now += 10
        try await Self.say(true, service, custom.clock)
        try await SignalWait.until { await service.signals.confirmations.isWorking == false }
        #expect(await Self.states(service) == ["it": .noncompliant, "idp": .noncompliant])
        custom.change(["state": "compliant", "score": 100])
        custom.clock.now += 1_000
        await service.refreshDue()
        #expect(await Self.states(service) == ["it": .compliant, "idp": .compliant])
    }

    @Test("what was said of a device is known after a restart, and gone after a day without verification")
    func restart() async throws {
        let lab = try await SignalLab()
        try await lab.connect()
        lab.compliance(false)
        try await lab.deliver()
        #expect(try await lab.ownVerdict()?.state == .noncompliant)
        let first = try lab.service
        try await SignalWait.until { await first.signals.confirmations.isWorking == false }
        let verified = try #require(try await lab.signals().verifiedAtSeconds)
        try await lab.start()
        #expect(try await lab.ownVerdict()?.state == .noncompliant)
        #expect(try await lab.ownVerdict()?.expiresAtSeconds == verified + 86_400)
        lab.clock.now = verified + 86_400
        #expect(try await lab.ownVerdict() != nil)
        lab.clock.now += 1
        #expect(try await lab.ownVerdict() == nil)
        #expect(try await lab.signals().isSilenced)
        try await lab.connect()
        #expect(try await lab.ownVerdict()?.state == .noncompliant, "heard of again")
    }

    @Test("events that come out of order: the newer one counts") func order() async throws {
        let lab = try await SignalLab()
        try await lab.connect()
        lab.compliance(true, at: lab.clock.now)
        lab.compliance(false, at: lab.clock.now - 60)
        try await lab.deliver()
        #expect(try await lab.ownVerdict()?.state == .compliant)
        lab.compliance(false, at: lab.clock.now + 1)
        lab.compliance(true, at: lab.clock.now - 30)
        try await lab.deliver()
        #expect(try await lab.ownVerdict()?.state == .noncompliant)
    }

    @Test("an id that two devices bear names neither; a revoked device is named by nothing") func ambiguous()
        async throws
    {
        let lab = try await SignalLab()
        try await lab.connect()
        let guid = "9d3e2c10-7f6a-4f0e-8f30-2b9b8a7c6d5e"
        for (id, pinned) in [("d2", ["entra-device-id": guid]), ("d3", ["intune-device-id": guid])] {
            try await lab.store.upsert(
                .init(
                    id: id, ownerIssuer: "i", ownerSubject: id, keyThumbprint: id, certificateSerial: "1",
                    enrolledAtSeconds: 1, certificateNotAfterSeconds: lab.clock.now + 9, pinnedIDs: pinned))
        }
        try await lab.start()
        try await lab.connect()
        func say(_ id: String) async throws {
            lab.transmitter.emit(
                SignalEvent.caep + "device-compliance-change",
                subject: ["format": "opaque", "id": .string(id)],
                event: ["previous_status": "compliant", "current_status": "not-compliant"])
            try await lab.deliver()
        }
        try await say(guid)
        #expect(try await lab.signals().acknowledged["unmapped-subject"] == 1)
        try await say("d2")
        #expect(try await lab.signals().acknowledged["applied"] == 1)
        _ = try await lab.service.revoke(deviceID: "d3")
        try await say("d3")
        #expect(try await lab.signals().acknowledged["unmapped-subject"] == 2)
        #expect(try await lab.signals().lastUnmapped?.hasSuffix("device-compliance-change") == true)
    }
}
