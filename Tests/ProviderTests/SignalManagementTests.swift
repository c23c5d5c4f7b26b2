import Access
import JSON
import Signatures
import Store
import Synchronization
import Testing

@testable import Posture
@testable import gatepost_lab

@Suite("A Shared Signals stream is kept at its transmitter, and known to work")
struct SignalManagementTests {
    private func failure(_ lab: SignalLab) async throws -> ConnectorFailure? {
        try await lab.stream.keepUp()
        return try await lab.report().lastFailure
    }

    @Test(
        "the issuer's own answers are taken, and nobody else's",
        arguments: [
            SignalFault.metadataIssuer, .foreignEndpoint, .streamIssuer, .streamAudience,
        ])
    func foreign(_ fault: SignalFault) async throws {
        let lab = try await SignalLab()
        lab.transmitter.faults.activate(fault)
        let failure = try await failure(lab)
        #expect(failure?.kind == .malformedResponse)
        #expect(try await lab.report().state == .pending)
        #expect(try await lab.signals().streamID == nil)
        lab.transmitter.faults.clear()
        lab.clock.now += 3_600
        try await lab.connect()
        #expect(try await lab.report().state == .configured)
    }

    @Test("a stream that is ours already is found again and told our authorization anew") func adopted()
        async throws
    {
        let lab = try await SignalLab()
        try await lab.connect()
        let id = try #require(lab.published?.id)
        lab.transmitter.state.withLock { $0.streams[0].authorization = "somebody changed it" }
        try await lab.start()
        try await lab.connect()
        #expect(lab.transmitter.state.withLock { $0.streams.map(\.id) } == [id])
        #expect(lab.published?.authorization == SignalLab.authorization)
    }

    @Test("a transmitter that has another stream and allows one is not robbed of it") func conflict()
        async throws
    {
        let lab = try await SignalLab()
        let foreign = SignalTransmitter.Stream(
            id: "theirs", method: "urn:ietf:rfc:8935", endpointURL: "https://other.example/", requested: [])
        lab.transmitter.state.withLock { $0.streams = [foreign] }
        lab.transmitter.faults.activate(.oneStreamOnly)
        let failure = try await failure(lab)
        #expect(failure?.kind == .configError && failure?.what.contains("stream-id") == true)
        #expect(
            lab.transmitter.state.withLock { $0.streams.map(\.endpointURL) } == ["https://other.example/"])
    }

    @Test("a stream that is named is used, and corrected") func named() async throws {
        let lab = try await SignalLab(texts: ["stream-id": "theirs"])
        #expect(try await failure(lab)?.kind == .notFound)
        let made = SignalTransmitter.Stream(id: "theirs", method: "urn:ietf:rfc:8936", requested: [])
        lab.transmitter.state.withLock { $0.streams = [made] }
        lab.clock.now += 60
        try await lab.connect()
        #expect(
            lab.published?.method == "urn:ietf:rfc:8935" && lab.published?.requested == SignalEvent.wanted)
        #expect(try await lab.signals().verifiedAtSeconds == lab.clock.now)
    }

    @Test("OAuth credentials get a token; one that was revoked is replaced; wrong ones are auth_failed")
    func credentials() async throws {
        let texts = ["client-id": SignalTransmitter.clientID, "token-url": "", "scope": "ssf.manage"]
        for (secret, works) in [(SignalTransmitter.clientSecret, true), ("wrong", false)] {
            let port = try SiteServer(port: 0)
            defer { port.stop() }
            let site = SignalTransmitter(port: port.port, clock: LabClock(), pushesByItself: false)
            port.start(site, clock: LabClock(), log: LabLog(isSilent: true))
            var all = texts
            all["token-url"] = site.address + "/token"
            all["issuer"] = site.address
            let lab = try await SignalLab(texts: all, secrets: ["client-secret": secret])
            let failure = try await failure(lab)
            #expect(works ? failure == nil : failure?.kind == .authFailed)
            guard works else { continue }
            site.state.withLock { $0.tokens = [:] }
            lab.clock.now += 900
            // Nobody delivered the verification event, but the stream could be read.
            #expect(try await self.failure(lab)?.kind == .timeout)
            #expect(site.state.withLock { $0.calls["POST /signals/token"] } == 2)
        }
    }

    struct Verification: Sendable, CustomTestStringConvertible {
        var testDescription: String
        var fault: SignalFault?
        var isVerified: Bool
        var refused: String?
    }

    static let verifications: [Verification] = [
        Verification(testDescription: "as asked", fault: nil, isVerified: true),
        Verification(testDescription: "without a state", fault: .missingState, isVerified: true),
        Verification(
            testDescription: "another state", fault: .wrongState, isVerified: false,
            refused: "invalid_state"),
        Verification(testDescription: "none", fault: .noVerification, isVerified: false),
        Verification(testDescription: "throttled", fault: .throttledVerification, isVerified: false),
    ]

    @Test(
        "a verification counts with our state or none; one that does not come degrades after 2 min",
        arguments: verifications)
    func verification(_ row: Verification) async throws {
        let lab = try await SignalLab()
        if let fault = row.fault { lab.transmitter.faults.activate(fault, times: 1) }
        try await lab.connect()
        #expect((try await lab.signals().verifiedAtSeconds != nil) == row.isVerified)
        #expect(lab.published?.refused.values.first == row.refused)
        lab.clock.now += 120
        #expect(try await lab.signals().isDegraded == false)
        lab.clock.now += 1
        // A state that was never echoed is still awaited; where none was asked for, nothing is late.
        let isLate = row.fault == .noVerification || row.fault == .wrongState || row.fault == .missingState
        #expect(try await lab.signals().isDegraded == isLate)
        lab.clock.now += 900
        try await lab.connect()
        #expect(try await lab.signals().verifiedAtSeconds == lab.clock.now)
        #expect(try await lab.signals().isDegraded == false)
    }

    @Test("a verification of another stream, and one that nobody asked for with a state, are refused")
    func strangers() async throws {
        let lab = try await SignalLab()
        try await lab.connect()
        lab.transmitter.emit(SignalEvent.verificationType, subject: ["format": "opaque", "id": "other"])
        let id = try #require(lab.published?.id)
        lab.transmitter.sendVerification(id, state: "made-up")
        try await lab.deliver()
        #expect(Set(lab.published?.refused.values.map { $0 } ?? []) == ["invalid_request", "invalid_state"])
    }

    @Test(
        "it is verified as often as allowed, and well inside the time after which we would be taken for gone")
    func pace() async throws {
        for (minimum, inactivity, expected) in [
            (0, nil, 900), (0, 1_000, 500), (3_600, nil, 3_600), (0, 100, 60),
        ] as [(Int64, Int64?, Int64)] {
            let lab = try await SignalLab()
            lab.transmitter.state.withLock {
                $0.verificationSecondsMin = minimum
                $0.inactivitySeconds = inactivity
            }
            try await lab.connect()
            func asked() -> Int { lab.transmitter.state.withLock { $0.calls["POST /signals/verify"] ?? 0 } }
            lab.clock.now += expected - 1
            try await lab.connect()
            #expect(asked() == 1, "\(expected)")
            lab.clock.now += 1
            try await lab.connect()
            #expect(asked() == 2, "\(expected)")
        }
    }

    @Test(
        "a paused stream is switched on and its backlog counts; a disabled one is left alone and shown",
        arguments: SignalStreamTests.deliveries)
    func states(_ delivery: String) async throws {
        let lab = try await SignalLab(delivery)
        try await lab.connect()
        lab.transmitter.state.withLock { $0.streams[0].status = "paused" }
        lab.revoke()
        try await lab.deliver()
        #expect(lab.effects.isEmpty)
        lab.clock.now += 900
        try await lab.connect()
        #expect(lab.published?.status == "enabled" && lab.effects == [SignalStreamTests.person])
        lab.transmitter.state.withLock {
            $0.streams[0].status = "disabled"
            $0.streams[0].reason = "licence ended"
        }
        lab.clock.now += 900
        try await lab.stream.keepUp()
        #expect(lab.published?.status == "disabled")
        let report = try await lab.report()
        #expect(report.state == .pending && report.pendingReason?.contains("licence ended") == true)
    }
}
