import Border
import DataPlane
import Foundation
import Signatures
import Synchronization
import Testing

@testable import gatepost

@Suite("A certificate that is revoked while the reactors begin", .timeLimit(.minutes(10)))
struct EarlyRevocationTests {
    /// A data process's end of the border with one real reactor on a free port, and a control process that was greeted.
    private final class House: Sendable {
        let link: ControlLink
        let peer: FakePeer
        let broken = Told<String>()

        /// - Parameter making: done while the engine is made, by whom it is made.
        init(making: @escaping @Sendable () throws -> Void = {}) async throws {
            let inbox = try ControlInbox()
            let bell = try #require(Bell())
            let broken = broken
            link = ControlLink(inbox: inbox, bell: bell) { snapshot in
                let engine = try DataPlaneEngine(
                    listeners: [ListenerAddress(address: "127.0.0.1", port: 0)], workers: 1,
                    snapshot: snapshot, toControl: inbox)
                try making()
                return engine
            } broken: {
                broken.add("\($0)")
            }
            peer = try FakePeer()
            link.connect(messages: peer.theirs.messages, revocations: peer.theirs.revocations)
            #expect(try await peer.hear(FromData.self) == .greeting(BorderGreeting()))
            #expect(try await peer.hear(FromData.self) == .state(sequence: 0, revision: 0))
            try peer.say(ToData.greeting(BorderGreeting()))
        }

        deinit {
            link.engine?.drain(deadlineMilliseconds: 0)
            link.engine?.join()
        }

        func revoke(_ sequence: UInt64, _ effect: Revocation.Effect) throws {
            try peer.revoke(Revocation(sequence: sequence, eventNanoseconds: 1, effect: effect))
        }

        /// The first configuration, once everything up to this revocation has arrived.
        func configure(after sequence: UInt64) throws {
            let nobody = Ticket(reactor: 0, slot: 0, generation: 0)
            try peer.say(ToData.message(.proceed(nobody), reactor: 0, after: sequence))
            let (chain, key) = try EnrollmentAuthority.generateSelfSigned(
                commonName: "auth.corp.test", nowSeconds: Int64(Date().timeIntervalSince1970))
            var first = Samples.snapshot(1)
            first.certificates = [ListenerCertificate(names: ["*.corp.test"], chainPEM: chain, keyPEM: key)]
            try peer.say(ToData.configure(number: 1, first))
        }

        /// Which revocations the reactor applied, up to this one, and whether it took the configuration before.
        func applied(upTo last: UInt64) async throws -> [UInt64] {
            var all: [UInt64] = []
            while all.last != last {
                switch try await peer.hear(FromData.self) {
                case .message(.cut(let sequence, 0, 0, _))?: all.append(sequence)
                case .configured(1, nil)?: continue
                case let other: throw FakePeer.Failure(description: "after \(all): \(other as Any)")
                }
            }
            return all
        }
    }

    private static let certificate = Revocation.Effect.revokeCertificate("c0ffee1")

    @Test func `what came before the first configuration is applied; sessions that nobody can have are not`()
        async throws
    {
        let house = try await House()
        try house.revoke(1, .endSession("s"))
        try house.revoke(2, Self.certificate)
        try house.revoke(3, .endPerson("p"))
        try house.configure(after: 3)
        #expect(try await house.applied(upTo: 2) == [2])
        // From now on everything goes to the reactor.
        try house.revoke(4, .endSession("s"))
        #expect(try await house.applied(upTo: 4) == [4])
        #expect(house.broken.count == 0)
    }

    @Test func `what comes while the reactors are made is applied`() async throws {
        let making = DispatchSemaphore(value: 0)
        let made = DispatchSemaphore(value: 0)
        let house = try await House {
            making.signal()
            _ = made.wait(timeout: .now() + .seconds(60))
        }
        try house.configure(after: 0)
        let isMaking = try await offPool { making.wait(timeout: .now() + .seconds(60)) == .success }
        try #require(isMaking)
        #expect(house.link.engine == nil)
        try house.revoke(1, Self.certificate)
        // Its reader is a thread that nothing here can wait for.
        try await offPool {
            let end = ContinuousClock.now + .seconds(60)
            while house.link.state.withLock({ $0.early.isEmpty }), ContinuousClock.now < end { usleep(1_000) }
        }
        #expect(house.link.state.withLock { $0.early.count } == 1)
        made.signal()
        #expect(try await house.applied(upTo: 1) == [1])
    }

    @Test func `as many as a reactor takes before it runs are applied`() async throws {
        let house = try await House()
        let last = UInt64(ControlLink.earlyMax)
        let told = Task.detached {
            for sequence in 1...last { try house.revoke(sequence, .revokeCertificate("\(sequence)")) }
            try house.configure(after: last)
        }
        #expect(try await house.applied(upTo: last).count == Int(last))
        try await told.value
        #expect(house.broken.count == 0)
    }

    @Test func `one more is a breach of the border: nothing may be forgotten`() async throws {
        let house = try await House()
        let count = ControlLink.earlyMax + 1
        Thread.detachNewThread {
            // The other end goes away over the last one.
            for sequence in 1...UInt64(count) {
                try? house.revoke(sequence, .revokeCertificate("\(sequence)"))
            }
        }
        let said = try await house.broken.first()
        #expect(
            said == ["more than \(ControlLink.earlyMax) certificates were revoked before there are reactors"])
        #expect(house.link.engine == nil)
    }
}
