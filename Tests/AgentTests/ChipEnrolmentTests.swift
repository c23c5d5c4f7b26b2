import Access
import Foundation
import JSON
import Posture
import Signatures
import Store
import Testing

@testable import gatepost_agent

@Suite("Device keys in a TPM 2.0, from enrolment to the statement")
struct ChipEnrolmentTests {
    /// A handshake's statement, as policy sees it.
    ///
    /// - Parameter second: of the machine's own time: its gate answers only a few in one.
    func statement(
        _ gateway: GatewayInProcess, _ machine: EnrolledMachine, second: Int64 = 0
    ) async throws -> AgentStatement {
        let (transaction, challenge) = try await gateway.challenge()
        let body = JSONValue.object(JSONObject([("challenge", .string(challenge))])).serialized()
        let reply = machine.gate.attest(
            AgentSetting.post(), body: body, peer: AgentSetting.peer, nowSeconds: gateway.now,
            nowMilliseconds: second * 1000)
        let assertion = try #require(
            try JSONValue(parsing: reply.body)["assertion"]?.string,
            "\(String(decoding: reply.body, as: UTF8.self))")
        return try await gateway.judge(transaction, assertion).statement
    }

    func stored(_ gateway: GatewayInProcess, _ machine: EnrolledMachine) async throws -> StoredDevice {
        try #require(try await gateway.store.device(id: machine.identity.enrolment.deviceID))
    }

    @Test("004.1 a key born in a chip is attested, is used by the chip, and survives a restart of the agent")
    func attested() async throws {
        let chip = try SoftwareTPM()
        let gateway = try GatewayInProcess()
        let folder = try TemporaryFolder()
        let machine = try await EnrolledMachine(gateway, folder: folder, keys: ["--tpm", chip.path])
        #expect(machine.identity.key is TPMKey)
        #expect(!FileManager.default.fileExists(atPath: folder.path + "/device-key.pem"))
        #expect(try await statement(gateway, machine).keyLevel == .attested)
        let device = try await stored(gateway, machine)
        #expect(device.keyLevel == .attested && device.chipID?.utf8.count == 64 && !device.isChipMakerKnown)
        machine.identity.key.release()
        let again = try DeviceIdentity(folder: StateFolder(path: folder.path))
        #expect(again.key.publicKey.thumbprint == device.keyThumbprint)
        #expect(again.key.publicKey.verify(try again.key.sign([1, 2, 3]), over: [1, 2, 3]))
    }

    @Test("a certified chip is attested under its maker, and only claimed under another one")
    func makers() async throws {
        let chip = try SoftwareTPM(isCertified: true)
        let other = try SoftwareTPM(isCertified: true)
        for (authorities, expected) in [
            (try chip.authorities(), AgentStatement.KeyLevel.attested), (try other.authorities(), .claimed),
        ] {
            let gateway = try GatewayInProcess(chipAuthorities: authorities)
            let machine = try await EnrolledMachine(
                gateway, folder: try TemporaryFolder(), keys: ["--tpm", chip.path])
            #expect(try await statement(gateway, machine).keyLevel == expected)
            let device = try await stored(gateway, machine)
            #expect(device.keyLevel == expected && device.isChipMakerKnown == (expected == .attested))
            machine.identity.key.release()
        }
    }

    @Test("an emulator without a maker's certificate is only claimed once makers are demanded")
    func unknownMaker() async throws {
        let certified = try SoftwareTPM(isCertified: true)
        let gateway = try GatewayInProcess(chipAuthorities: try certified.authorities())
        let plain = try SoftwareTPM()
        let machine = try await EnrolledMachine(
            gateway, folder: try TemporaryFolder(), keys: ["--tpm", plain.path])
        #expect(try await statement(gateway, machine).keyLevel == .claimed)
    }

    @Test("a key in a file is software whatever it says, also to a gateway that it told otherwise")
    func file() async throws {
        let gateway = try GatewayInProcess()
        let machine = try await EnrolledMachine(
            gateway, folder: try TemporaryFolder(), keys: ["--key-storage", "file"])
        #expect(machine.identity.key is SigningKey)
        #expect(try await statement(gateway, machine).keyLevel == .software)
        let liar = LyingKey(key: .generateP256())
        let enrolment = try await GatewayExchange(fetcher: gateway).enroll(
            url: AgentSetting.origin, token: try await gateway.token(), key: liar, facts: JSONObject(),
            users: [1000], authoritiesPEM: nil, nowSeconds: gateway.now)
        let device = try #require(try await gateway.store.device(id: enrolment.deviceID))
        #expect(device.keyLevel == .software, "\"attested\" without a proof is nothing")
    }

    @Test("renewal keeps the level of its key; a successor has its own, also a weaker one")
    func renewalAndSuccession() async throws {
        let chip = try SoftwareTPM()
        let gateway = try GatewayInProcess()
        let folder = try TemporaryFolder()
        let machine = try await EnrolledMachine(gateway, folder: folder, keys: ["--tpm", chip.path])
        gateway.now += 86_400
        let fresh = try await GatewayExchange(fetcher: gateway).renew(
            machine.identity, nowSeconds: gateway.now)
        try machine.identity.replace(fresh)
        #expect(try await statement(gateway, machine).keyLevel == .attested)
        // From chip to chip, then from chip to file, each vouched for by the key before.
        let second = try await EnrolledMachine(
            gateway, folder: folder, keys: ["--tpm", chip.path], predecessor: machine.identity)
        #expect(try await stored(gateway, machine).supersededBy == second.identity.enrolment.deviceID)
        #expect(try await statement(gateway, second).keyLevel == .attested)
        let third = try await EnrolledMachine(
            gateway, folder: folder, keys: ["--key-storage", "file"], predecessor: second.identity)
        #expect(try await stored(gateway, second).supersededBy == third.identity.enrolment.deviceID)
        #expect(try await statement(gateway, third).keyLevel == .software)
        #expect(!FileManager.default.fileExists(atPath: folder.path + "/device-key.tpm"))
    }

    @Test("levels outlive a restart of the gateway") func restart() async throws {
        let chip = try SoftwareTPM()
        let gateway = try GatewayInProcess()
        let machine = try await EnrolledMachine(
            gateway, folder: try TemporaryFolder(), keys: ["--tpm", chip.path])
        let before = try await stored(gateway, machine)
        let again = try SQLiteStore(folder: gateway.folder.path + "/store")
        #expect(try await again.device(id: before.id) == before)
    }

    @Test("without a chip: auto takes a file, tpm and a named chip are an error that says what to do")
    func absent() async throws {
        let gateway = try GatewayInProcess()
        let named = ["--tpm", "/nonexistent/tpm"]
        for options in [named, named + ["--key-storage", "tpm"]] {
            let error = await #expect(throws: AgentError.self) {
                _ = try await EnrolledMachine(gateway, folder: try TemporaryFolder(), keys: options)
            }
            #expect(error?.remedy.contains("group tss") == true)
        }
    }

    @Test("a wrapped key is worth nothing in another chip, and a cleared chip is told by its path")
    func stolenBlob() async throws {
        let chip = try SoftwareTPM()
        let gateway = try GatewayInProcess()
        let folder = try TemporaryFolder()
        let machine = try await EnrolledMachine(gateway, folder: folder, keys: ["--tpm", chip.path])
        machine.identity.key.release()
        let thief = try SoftwareTPM()
        let stolen = try DeviceIdentity(folder: StateFolder(path: folder.path), chip: thief.path)
        let error = #expect(throws: AgentError.self) { _ = try stolen.key.sign([1]) }
        #expect(error?.remedy.contains(thief.path) == true)
    }

    @Test("two copies of a state folder: the one that speaks second is told from the first by its counter")
    func clone() async throws {
        let gateway = try GatewayInProcess()
        let folder = try TemporaryFolder()
        let machine = try await EnrolledMachine(gateway, folder: folder, keys: ["--key-storage", "file"])
        _ = try await statement(gateway, machine)
        let copied = try TemporaryFolder()
        for name in try FileManager.default.contentsOfDirectory(atPath: folder.path) where name != "machine" {
            try FileManager.default.copyItem(
                atPath: folder.path + "/" + name, toPath: copied.path + "/" + name)
        }
        let collector = FactCollector(
            root: HostRoot(folder.path + "/machine"),
            probes: FactProbes.all(deviceIDsPath: "/none", machineIDKey: [1]))
        let clone = try EnrolledMachine(stored: copied, collector: collector)
        // The copy starts at the next block; the original is then far behind, and both come into one range.
        _ = try await statement(gateway, clone)
        var refusals = 0
        for second in 1...80 {
            for side in [machine, clone] {
                do {
                    _ = try await statement(gateway, side, second: Int64(second))
                } catch let refusal as PostureRefusal {
                    #expect(refusal.reason == .statementInvalid && refusal.isAlert)
                    #expect(refusal.detail.contains("may have been copied"))
                    refusals += 1
                }
            }
        }
        #expect(refusals >= 1)
    }
}

/// A key in a file that calls itself attested.
struct LyingKey: DeviceSigner {
    let key: SigningKey
    var publicKey: VerificationKey { key.publicKey }
    var level: String { "attested" }
    func sign(_ bytes: [UInt8]) throws(AgentError) -> [UInt8] { key.sign(bytes) }
    func release() {}
}
