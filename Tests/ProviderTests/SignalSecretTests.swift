import Access
import Fetch
import JSON
import Signatures
import Synchronization
import Testing

@testable import Posture
@testable import gatepost_lab

@Suite("A Shared Signals stream's secrets change while it is in use")
struct SignalSecretTests {
    static let new = "Bearer receiver-secret-0002"

    private func rotate(_ lab: SignalLab, _ secrets: [String: String?]) async throws {
        var next = lab.settings
        for (name, value) in secrets { next.secrets[name] = value }
        let service = try lab.service
        await service.take(try await service.rotation(to: [next]))
    }

    /// What a push with this `Authorization` is refused for; it carries no token.
    private func refusal(_ lab: SignalLab, _ authorization: String) async throws -> SignalRefusal.Code? {
        let receipt = try await lab.service.receiveSignal(
            stream: "idp", authorization: [authorization], contentType: "text/plain", body: [])
        guard case .refused(let refusal) = receipt else { return nil }
        return refusal.code
    }

    @Test(
        "000.21 the transmitter is told the new Authorization; the one before ends two minutes after it is used"
    )
    func pushed() async throws {
        let lab = try await SignalLab()
        try await lab.connect()
        #expect(try await refusal(lab, Self.new) == .authenticationFailed)
        try await rotate(lab, ["push-authorization": Self.new])
        #expect(try await refusal(lab, SignalLab.authorization) == .invalidRequest, "it is still on its way")
        try await SignalWait.until { lab.published?.authorization == Self.new }
        lab.revoke()
        try await lab.deliver()
        #expect(lab.effects.count == 1)
        lab.clock.now += SignalSecrets.overtakenSecondsMax - 1
        #expect(try await refusal(lab, SignalLab.authorization) == .invalidRequest)
        lab.clock.now += 1
        #expect(try await refusal(lab, SignalLab.authorization) == .authenticationFailed)
        #expect(try await refusal(lab, Self.new) == .invalidRequest)
        for wrong in ["", "Bearer", Self.new + " ", String(Self.new.dropLast())] {
            #expect(try await refusal(lab, wrong) == .authenticationFailed)
        }
    }

    @Test("a transmitter that cannot be told delivers on for an hour, and then no more") func untold()
        async throws
    {
        let lab = try await SignalLab()
        try await lab.connect()
        try await rotate(lab, ["push-authorization": Self.new, "api-token": "mistyped"])
        try await SignalWait.until { try await lab.report().state == .pending }
        #expect(try await lab.report().lastFailure?.kind == .authFailed)
        lab.revoke()
        try await lab.deliver()
        #expect(lab.effects.count == 1 && lab.published?.authorization == SignalLab.authorization)
        lab.clock.now += SignalSecrets.formerSecondsMax - 1
        #expect(try await refusal(lab, SignalLab.authorization) == .invalidRequest)
        lab.clock.now += 1
        #expect(try await refusal(lab, SignalLab.authorization) == .authenticationFailed)
        try await rotate(
            lab, ["push-authorization": Self.new, "api-token": SignalTransmitter.token])
        try await SignalWait.until { lab.published?.authorization == Self.new }
        try await SignalWait.until { try await lab.report().state == .configured }
    }

    @Test(
        "000.21 a new token for stream management is used at once, by push and by poll",
        arguments: ["push", "poll"])
    func management(_ delivery: String) async throws {
        let lab = try await SignalLab(delivery, secrets: ["api-token": "mistyped"])
        try await lab.stream.keepUp()
        #expect(try await lab.report().lastFailure?.kind == .authFailed)
        try await rotate(lab, ["api-token": SignalTransmitter.token])
        try await SignalWait.until { try await lab.report().state == .configured }
        lab.revoke()
        try await lab.deliver()
        #expect(lab.effects.count == 1)
    }

    @Test("secrets that make no stream are refused, and nothing changes") func refused() async throws {
        let lab = try await SignalLab()
        try await lab.connect()
        let bad: [[String: String?]] = [
            ["push-authorization": "too short"], ["push-authorization": "Bearer receiver\nsecret"],
            ["push-authorization": nil], ["api-token": nil],
        ]
        for secrets in bad {
            let failure = await #expect(throws: ConnectorFailure.self) { try await rotate(lab, secrets) }
            #expect(failure?.kind == .configError)
        }
        #expect(lab.published?.authorization == SignalLab.authorization)
        #expect(try await refusal(lab, SignalLab.authorization) == .invalidRequest)
        #expect(try await refusal(lab, "too short") == .authenticationFailed)
        lab.revoke()
        try await lab.deliver()
        #expect(lab.effects.count == 1)
    }

    @Test("anything else about a stream is passed over, and the same secrets change nothing") func others()
        async throws
    {
        let lab = try await SignalLab()
        try await lab.connect()
        var next = lab.settings
        #expect(try await lab.service.rotation(to: [next]).integrations.isEmpty)
        next.texts["audience"] = "https://other.example"
        #expect(try await lab.service.rotation(to: [next]).integrations.isEmpty)
        next.secrets["push-authorization"] = Self.new
        #expect(try await lab.service.rotation(to: [next]).integrations == ["idp"])
        #expect(try await refusal(lab, Self.new) == .authenticationFailed, "made is not yet taken")
    }

    @Test("what is written with former secrets while others come does not stay") func race() async throws {
        let gate = GatedFetcher()
        let lab = try await SignalLab(fetcher: gate)
        gate.close()
        let first = Task { try await lab.stream.keepUp() }
        try await SignalWait.until { gate.isWaiting }
        try await rotate(lab, ["push-authorization": Self.new])
        try await SignalWait.until { lab.published?.authorization == Self.new }
        // As if it had got there last.
        lab.transmitter.state.withLock { $0.streams[0].authorization = SignalLab.authorization }
        gate.open()
        try await first.value
        try await lab.stream.keepUp()
        #expect(lab.published?.authorization == Self.new)
        #expect(lab.transmitter.state.withLock { $0.streams.count } == 1)
    }
}

/// Holds the answer to the first stream that is made while it is closed.
final class GatedFetcher: Fetcher {
    private struct State {
        var isClosed = false
        var waiting: CheckedContinuation<Void, Never>?
    }
    private let state = Mutex(State())
    private let inner = CurlFetcher()

    var isWaiting: Bool { state.withLock { $0.waiting != nil } }
    func close() { state.withLock { $0.isClosed = true } }
    func open() {
        let waiting = state.withLock { state in
            defer { state.waiting = nil }
            return state.waiting
        }
        waiting?.resume()
    }

    func fetch(_ request: FetchRequest) async throws(FetchError) -> FetchResponse {
        let response = try await inner.fetch(request)
        guard request.method == "POST", request.url.hasSuffix("/streams") else { return response }
        let isFirst = state.withLock { state in
            defer { state.isClosed = false }
            return state.isClosed
        }
        guard isFirst else { return response }
        await withCheckedContinuation { continuation in state.withLock { $0.waiting = continuation } }
        return response
    }
}
