import Access
import Border
import CLinux
import Foundation
import Synchronization

@testable import DataPlane

/// A data plane in this process with a control plane that does what the test says.
final class Gateway: Sendable {
    typealias Answer = @Sendable (ToControl, Gateway) -> Void
    static let macKey = MACKey(id: 7, secret: (0..<32).map { UInt8($0) })

    let engine: DataPlaneEngine
    let control: ControlInbox
    let received = Mutex<[ToControl]>([])
    let logReader: TestSocket
    private let logWriter: Int32
    private let isEnding = Atomic<Bool>(false)

    init(
        _ routes: [ApplicationRoute], limits: Limits = Limits(), workers: Int = 1, accessLog: Bool = false,
        clients: [ClientCertificates?] = [], addresses: ClientAddressTrust? = nil, listeners: Int = 1,
        answer: @escaping Answer = { _, _ in }, ahead: (DataPlaneEngine) -> Void = { _ in }
    ) throws {
        var pipes: [Int32] = [0, 0]
        pipe(&pipes)
        logReader = TestSocket(descriptor: pipes[0])
        logWriter = pipes[1]
        control = try ControlInbox()
        engine = try DataPlaneEngine(
            listeners: (0..<listeners).map { _ in ListenerAddress(address: "127.0.0.1", port: 0) },
            workers: workers,
            snapshot: Gateway.snapshot(
                routes, limits: limits, accessLog: accessLog, clients: clients, addresses: addresses),
            toControl: control,
            accessLog: logWriter)
        ahead(engine)
        engine.start()
        let control = control
        Thread.detachNewThread { [weak self] in
            while true {
                _ = control.wait(timeoutMilliseconds: 50)
                guard let self, !self.isEnding.load(ordering: .relaxed) else { return }
                while let message = control.receive() {
                    self.received.withLock { $0.append(message) }
                    answer(message, self)
                }
            }
        }
    }

    deinit {
        isEnding.store(true, ordering: .relaxed)
        engine.drain(deadlineMilliseconds: 0)
        engine.join()
        _ = close(logWriter)
        logReader.close()
    }

    var port: UInt16 { engine.boundPorts[0] }

    func client(_ serverName: String = "wiki.test", identity: TestIdentity? = nil) throws -> TestClient {
        guard let client = try TestClient(port: port, serverName: serverName, identity: identity) else {
            throw NoHandshake()
        }
        return client
    }

    struct NoHandshake: Error {}

    static func snapshot(
        _ routes: [ApplicationRoute], limits: Limits = Limits(), revision: UInt64 = 1,
        accessLog: Bool = false,
        clients: [ClientCertificates?] = [], addresses: ClientAddressTrust? = nil
    ) -> GatewaySnapshot {
        let certificates = TestCertificates.shared
        var snapshot = GatewaySnapshot(
            revision: revision, authHost: "auth.test", publicPort: 8443,
            certificates: [
                ListenerCertificate(
                    names: ["*.test", "localhost"], chainPEM: certificates.chainPEM,
                    keyPEM: certificates.keyPEM),
                ListenerCertificate(
                    names: ["other.example"], chainPEM: certificates.otherChainPEM,
                    keyPEM: certificates.otherKeyPEM),
            ],
            applications: routes, limits: limits, cookieKeys: [macKey],
            ticketKeys: [(0..<80).map { UInt8($0) }], accessLog: accessLog)
        snapshot.clientCertificates = clients
        snapshot.clientAddresses = [addresses]
        return snapshot
    }

    /// Sends until the reactor has taken it.
    func send(_ message: ToReactor, to reactor: Int = 0) {
        while !engine.send(message, to: reactor) { sched_yield() }
    }

    /// Waits for a message of the data plane that fits, at most a minute.
    func waitFor(_ matches: (ToControl) -> Bool) -> ToControl? {
        waitUntil { self.received.withLock { $0.first(where: matches) } }
    }

    func waitUntil<Value>(_ condition: () -> Value?) -> Value? {
        let end = Clock.monotonicNanoseconds() + 60_000_000_000
        while Clock.monotonicNanoseconds() < end {
            if let value = condition() { return value }
            poll(nil, 0, 1)
        }
        return nil
    }

    func waitForCounter(_ name: String, atLeast count: UInt64) -> Bool {
        waitUntil { self.engine.metrics().sum(name) >= count ? true : nil } ?? false
    }

    /// One line of the access log.
    func logLine() -> String? {
        var line: [UInt8] = []
        while let byte = logReader.read(1) {
            if byte[0] == 10 { return String(decoding: line, as: UTF8.self) }
            line += byte
        }
        return nil
    }
}
