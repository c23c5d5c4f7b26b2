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

    /// Two of them at once: one that began with the former secrets, and the one that the change begins.
    @Test(
        "what is written with former secrets while others come does not stay", arguments: ["former", "new"])
    func race(lastToEnd: String) async throws {
        let gates = GatedFetcher()
        let lab = try await SignalLab(fetcher: gates)
        gates.close("/streams")
        let former = Task { try await lab.stream.keepUp() }
        try await SignalWait.until { gates.isWaiting("/streams") }
        gates.close("/verify")
        var next = lab.settings
        next.secrets["push-authorization"] = Self.new
        try await lab.stream.take(SignalStreamSettings(next))
        let new = Task { try await lab.stream.keepUp() }
        try await SignalWait.until { gates.isWaiting("/verify") }
        #expect(lab.published?.authorization == Self.new)
        // As if it had got there last.
        lab.transmitter.state.withLock { $0.streams[0].authorization = SignalLab.authorization }
        let ends = [("/streams", former), ("/verify", new)]
        for (gate, task) in lastToEnd == "new" ? ends : ends.reversed() {
            gates.open(gate)
            try await task.value
        }
        try await lab.stream.keepUp()
        #expect(lab.published?.authorization == Self.new)
        #expect(lab.transmitter.state.withLock { $0.streams.count } == 1)
    }
}

/// Holds the answer to the first POST to each path whose gate is closed.
final class GatedFetcher: Fetcher {
    private struct State {
        var closed: Set<String> = []
        var waiting: [String: CheckedContinuation<Void, Never>] = [:]
    }
    private let state = Mutex(State())
    private let inner = CurlFetcher()

    func isWaiting(_ path: String) -> Bool { state.withLock { $0.waiting[path] != nil } }
    func close(_ path: String) { state.withLock { _ = $0.closed.insert(path) } }
    func open(_ path: String) { state.withLock { $0.waiting.removeValue(forKey: path) }?.resume() }

    func fetch(_ request: FetchRequest) async throws(FetchError) -> FetchResponse {
        let response = try await inner.fetch(request)
        guard request.method == "POST" else { return response }
        let gate = state.withLock { state in
            state.closed.first { request.url.hasSuffix($0) }.flatMap { state.closed.remove($0) }
        }
        guard let gate else { return response }
        await withCheckedContinuation { continuation in
            state.withLock { $0.waiting[gate] = continuation }
        }
        return response
    }
}
