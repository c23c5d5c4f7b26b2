import Access
import Fetch
import Foundation
import JSON
import Signatures
import Store
import Synchronization
import Testing

@testable import Posture
@testable import gatepost_lab

/// The lab's transmitter and a receiver over loopback HTTP, with one clock and the real store.
final class SignalLab: Sendable {
    static let authorization = "Bearer receiver-secret-0001"

    let clock = TestClock()
    let transmitter: SignalTransmitter
    let store: SQLiteStore
    let settings: ProviderConnection
    private let transmitterServer: SiteServer
    private let receiverServer: SiteServer
    private let receiver: PushReceiver
    private let fetcher: any Fetcher

    init(
        _ delivery: String = "push", texts: [String: String] = [:], secrets: [String: String] = [:],
        lists: [String: [String]] = [:], pinned: [String: String] = ["serial": "PF3ABCDE"],
        fetcher: any Fetcher = CurlFetcher()
    ) async throws {
        self.fetcher = fetcher
        transmitterServer = try SiteServer(port: 0)
        transmitter = SignalTransmitter(
            port: transmitterServer.port, clock: clock.lab, pushesByItself: false)
        transmitter.state.withLock { $0.longPollMilliseconds = 0 }
        transmitterServer.start(transmitter, clock: clock.lab, log: LabLog(isSilent: true))
        receiverServer = try SiteServer(port: 0)
        receiver = PushReceiver()
        receiverServer.start(receiver, clock: clock.lab, log: LabLog(isSilent: true))
        store = try GraphLab.store()
        var all = [
            "issuer": transmitter.address, "audience": SignalTransmitter.audience, "delivery": delivery,
            "endpoint-url": "http://127.0.0.1:\(receiverServer.port)/.gatepost/signals/idp",
        ]
        all.merge(texts) { $1 }
        var hidden = ["api-token": SignalTransmitter.token]
        if delivery == "push" { hidden["push-authorization"] = Self.authorization }
        hidden.merge(secrets) { $1 }
        if secrets["client-secret"] != nil { hidden["api-token"] = nil }
        settings = ProviderConnection(
            integration: "idp", provider: "shared-signals", texts: all, secrets: hidden, lists: lists,
            allowsPlainHTTP: true)
        try await store.upsert(
            StoredDevice(
                id: "device-1", ownerIssuer: "https://idp.example/t1", ownerSubject: "u-17", platform: .linux,
                keyThumbprint: "thumbprint", certificateSerial: "01", enrolledAtSeconds: clock.now,
                certificateNotAfterSeconds: clock.now + 86_400, pinnedIDs: pinned))
        try await start()
    }

    deinit {
        transmitterServer.stop()
        receiverServer.stop()
    }

    /// A new process on the same store.
    func start() async throws {
        let service = try PostureService(
            agents: [], providers: [settings], ring: .ephemeral(), store: store, fetcher: fetcher,
            clock: clock.posture, random: { 0.5 })
        try await service.load()
        let receiver = receiver
        await service.carryOutSignals { [weak service] effects, _ throws(StoreError) in
            if receiver.fails { throw StoreError(.full, file: "x", what: "disk full", remedy: "make room") }
            receiver.note(effects)
            for case .setVerdict(let signal) in effects { try await service?.take(signal) }
        }
        receiver.serve(service)
    }

    var service: PostureService {
        get throws { try #require(receiver.service) }
    }
    var stream: SignalStream {
        get async throws { try #require(await service.signals.streams.first) }
    }
    /// Everything that was carried out, also before a restart.
    var effects: [SignalEffect] { receiver.effects }
    func fail(_ fails: Bool) { receiver.set(fails: fails) }

    /// Makes the stream at the transmitter and lets its verification arrive.
    func connect() async throws {
        try await stream.keepUp()
        try await deliver()
    }

    /// Delivers what waits.
    func deliver() async throws {
        let transmitter = transmitter
        guard settings.texts["delivery"] == "push" else {
            var outbox = SignalPolling.Outbox()
            for _ in 0..<2 { try await poll(&outbox) }
            return
        }
        // The transmitter's threads must not take the ones that the receiver needs.
        await withCheckedContinuation { continuation in
            Thread.detachNewThread {
                transmitter.push()
                continuation.resume()
            }
        }
    }

    func poll(_ outbox: inout SignalPolling.Outbox) async throws {
        let stream = try await stream
        let service = try service
        let url = try #require(await stream.configuration?.endpointURL)
        let handler = try #require(await service.signals.handler)
        let interpret = await service.interpreter(stream.settings)
        while try await stream.poll(url, &outbox, interpret: interpret, handler: handler) {}
    }

    func report() async throws -> IntegrationStatus {
        try #require(await service.integrationStatus().first { $0.integration == "idp" })
    }
    func signals() async throws -> SignalStreamStatus { try #require(try await report().signals) }

    var published: SignalTransmitter.Stream? { transmitter.state.withLock { $0.streams.first } }

    static let user: JSONObject = ["format": "iss_sub", "iss": "https://idp.example/t1", "sub": "u-17"]
    static let device: JSONObject = [
        "format": "complex", "device": ["format": "opaque", "id": "PF3ABCDE"],
    ]

    func revoke() { transmitter.emit(SignalEvent.caep + "session-revoked", subject: Self.user) }

    func compliance(_ isCompliant: Bool, at seconds: Int64? = nil) {
        let words = ["compliant", "not-compliant"]
        transmitter.emit(
            SignalEvent.caep + "device-compliance-change", subject: Self.device,
            event: [
                "previous_status": .string(isCompliant ? words[1] : words[0]),
                "current_status": .string(isCompliant ? words[0] : words[1]),
                "event_timestamp": .integer(seconds ?? clock.now),
            ])
    }

    func ownVerdict() async throws -> Verdict? {
        try await service.deviceFacts(id: "device-1", statement: nil)?.verdicts.first {
            $0.integration == "idp"
        }
    }
}

/// The reserved path of the gateway, without the gateway: answers as it would.
final class PushReceiver: Site {
    private struct State {
        var service: PostureService?
        var effects: [SignalEffect] = []
        var fails = false
    }
    let name = "receiver"
    private let state = Mutex(State())

    var service: PostureService? { state.withLock { $0.service } }
    var effects: [SignalEffect] { state.withLock { $0.effects } }
    var fails: Bool { state.withLock { $0.fails } }
    func serve(_ service: PostureService) { state.withLock { $0.service = service } }
    func note(_ effects: [SignalEffect]) { state.withLock { $0.effects += effects } }
    func set(fails: Bool) { state.withLock { $0.fails = fails } }

    func answer(_ exchange: Exchange) throws {
        let body = try exchange.readBody(bytesMax: 1 << 20)
        let authorization = exchange.head.fields.filter { $0.name == "authorization" }.map(\.value)
        let type = exchange.head.field("content-type")
        let stream = String(exchange.head.path.split(separator: "/").last ?? "")
        let outcome = Mutex<SignalReceipt?>(nil)
        let done = DispatchSemaphore(value: 0)
        let service = service
        Task {
            let receipt = await service?.receiveSignal(
                stream: stream, authorization: authorization, contentType: type, body: body)
            outcome.withLock { $0 = receipt }
            done.signal()
        }
        _ = done.wait(timeout: .now() + 20)
        switch outcome.withLock({ $0 }) {
        case .acknowledged?: try exchange.send(Response(status: 202))
        case .refused(let refusal)?:
            try exchange.send(
                .json(
                    ["err": .string(refusal.code.rawValue), "description": .string(refusal.what)], status: 400
                ))
        case .unavailable?: try exchange.send(.json([:], status: 503))
        case .noSuchStream?, nil: try exchange.send(.json([:], status: 404))
        }
    }
}
