import Access
import JSON
import Posture
import Signatures
import Store
import Testing

@testable import gatepost_agent

@Suite("The real agent against the real verifier")
struct CrossTests {
    static let intune = "5c1d9b7e-0a0e-4d51-9a0f-8d7b7a0d1c11"
    static let ids = #"{"intune_device_id":"5c1d9b7e-0a0e-4d51-9a0f-8d7b7a0d1c11"}"#

    let gateway: GatewayInProcess
    let folder: TemporaryFolder

    init() throws {
        gateway = try GatewayInProcess()
        folder = try TemporaryFolder()
    }

    /// From a fresh challenge to the verdict on the agent's answer.
    func handshake(_ machine: EnrolledMachine) async throws -> DeviceProof {
        let (transaction, challenge) = try await gateway.challenge()
        let reply = machine.attest(challenge, nowSeconds: gateway.now)
        #expect(reply.status == 200, "\(String(decoding: reply.body, as: UTF8.self))")
        let assertion = try #require(try JSONValue(parsing: reply.body)["assertion"]?.string)
        return try await gateway.judge(transaction, assertion)
    }

    func reason(_ body: () async throws -> DeviceProof) async throws -> Reason? {
        do {
            _ = try await body()
            return nil
        } catch let refusal as PostureRefusal {
            return refusal.reason
        }
    }

    @Test("004.3 004.10 enrolment, challenge, assertion and verdict fit together, facts and ids included")
    func whole() async throws {
        let machine = try await EnrolledMachine(gateway, folder: folder, ids: Self.ids)
        let proof = try await handshake(machine)
        #expect(proof.deviceID == machine.identity.enrolment.deviceID)
        #expect(proof.thumbprint == machine.identity.key.publicKey.thumbprint)
        #expect(proof.statement.facts["os-name"] == .text("debian"))
        #expect(proof.statement.agentVersion == AssertionMaker.version)
        let stored = try await gateway.store.device(id: proof.deviceID)
        #expect(stored?.pinnedIDs["intune-device-id"] == Self.intune)
    }

    @Test("challenge and assertion fit a URL of 16 KiB and the gate's body of 8 KiB with room to spare")
    func sizes() async throws {
        let machine = try await EnrolledMachine(gateway, folder: folder, ids: Self.ids)
        let (_, challenge) = try await gateway.challenge()
        let reply = machine.attest(challenge, nowSeconds: gateway.now)
        let assertion = try #require(try JSONValue(parsing: reply.body)["assertion"]?.string)
        #expect(challenge.utf8.count < 4_096 && assertion.utf8.count < 8_192)
    }

    @Test("an answer counts once, and one changed byte of it never") func replay() async throws {
        let machine = try await EnrolledMachine(gateway, folder: folder, ids: Self.ids)
        let (transaction, challenge) = try await gateway.challenge()
        let reply = machine.attest(challenge, nowSeconds: gateway.now)
        let assertion = try #require(try JSONValue(parsing: reply.body)["assertion"]?.string)
        _ = try await gateway.judge(transaction, assertion)
        #expect(try await reason { try await gateway.judge(transaction, assertion) } == .nonceUsed)
        #expect(AgentSetting.word(machine.attest(challenge, nowSeconds: gateway.now)) == "challenge-replayed")
        let (second, fresh) = try await gateway.challenge()
        let again = machine.attest(fresh, nowSeconds: gateway.now)
        var bytes = Array((try JSONValue(parsing: again.body)["assertion"]?.string ?? "").utf8)
        bytes[bytes.count - 10] ^= 1
        let changed = String(decoding: bytes, as: UTF8.self)
        #expect(try await reason { try await gateway.judge(second, changed) } == .signatureInvalid)
    }

    @Test("003.7 004.6 this agent passes a minimum of its own version and not a higher one") func version()
        async throws
    {
        for (minimum, expected) in [(AssertionMaker.version, nil), ("99.0", Reason.agentOutdated)] {
            let strict = try GatewayInProcess(minimumVersion: minimum)
            let machine = try await EnrolledMachine(strict, folder: folder, ids: Self.ids)
            let (transaction, challenge) = try await strict.challenge()
            let reply = machine.attest(challenge, nowSeconds: strict.now)
            let assertion = try #require(try JSONValue(parsing: reply.body)["assertion"]?.string)
            #expect(try await reason { try await strict.judge(transaction, assertion) } == expected)
        }
    }

    @Test("renewals follow the gateway's keys through rotations of challenge and root keys")
    func rotation() async throws {
        let machine = try await EnrolledMachine(gateway, folder: folder, ids: Self.ids)
        for _ in 0..<3 {
            try gateway.ring.rotate(.challenge)
            _ = try await handshake(machine)
            gateway.now += 86_400
            let fresh = try await GatewayExchange(fetcher: gateway).renew(
                machine.identity, nowSeconds: gateway.now)
            try machine.identity.replace(fresh)
            try gateway.ring.rotate(.root)
        }
        _ = try await handshake(machine)
        let other = try GatewayInProcess()
        let (_, foreign) = try await other.challenge()
        let word = AgentSetting.word(machine.attest(foreign, nowSeconds: gateway.now))
        #expect(word == "gateway-not-trusted")
    }

    @Test("a key that was given up is believed until the next handshake, not for a day") func givenUp()
        async throws
    {
        let machine = try await EnrolledMachine(gateway, folder: folder, ids: Self.ids)
        let (_, old) = try await gateway.challenge()
        _ = try await handshake(machine)
        #expect(!machine.identity.isBehind)
        try gateway.ring.rotate(.challenge)
        _ = try await handshake(machine)
        #expect(machine.identity.isBehind)
        try machine.identity.replace(
            try await GatewayExchange(fetcher: gateway).renew(machine.identity, nowSeconds: gateway.now))
        #expect(!machine.identity.isBehind)
        let word = AgentSetting.word(machine.attest(old, nowSeconds: gateway.now))
        #expect(word == "gateway-not-trusted")
    }

    @Test("enrolled again by force, the machine keeps its ids and its old key is worth nothing")
    func enrolledAgain() async throws {
        let first = try await EnrolledMachine(gateway, folder: folder, ids: Self.ids)
        _ = try await handshake(first)
        let second = try await EnrolledMachine(
            gateway, folder: folder, ids: Self.ids, predecessor: first.identity)
        let proof = try await handshake(second)
        #expect(proof.deviceID != first.identity.enrolment.deviceID)
        let stored = try await gateway.store.device(id: proof.deviceID)
        #expect(stored?.pinnedIDs["intune-device-id"] == Self.intune)
        #expect(try await reason { try await handshake(first) } == .certificateRevoked)
    }

    @Test("another machine with the same ids and no proof stays without them") func copiedIDs() async throws {
        let first = try await EnrolledMachine(gateway, folder: folder, ids: Self.ids)
        let other = try await EnrolledMachine(gateway, folder: try TemporaryFolder(), ids: Self.ids)
        let proof = try await handshake(other)
        #expect(proof.statement.facts["device-id-conflict"] == .list(["intune-device-id"]))
        #expect(try await gateway.store.device(id: proof.deviceID)?.pinnedIDs == [:])
        _ = try await handshake(first)
    }
}
