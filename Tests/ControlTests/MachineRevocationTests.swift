import Access
import Border
import Config
import Foundation
import GRDB
import JSON
import Signatures
import Store
import Testing

@testable import Control
@testable import Posture

/// An administrator's revocation ends machines as it ends people's sessions.
extension MachineTests {
    private func revoke(_ house: Gatehouse, serial: String) async -> JSONValue {
        await ask(house, [("command", "device-revoke"), ("serial", .string(serial))])
    }

    private func effects(_ house: Gatehouse, since seen: Int) -> [Revocation.Effect] {
        house.reactors.revocations.dropFirst(seen).map(\.effect)
    }

    @Test func `a revoked serial number ends the machine, and it does not come back`() async throws {
        let house = try await house()
        await say(.compliant, house)
        let claim = Self.claim(["dns:\(Self.guid)"], serial: "0c0ffee1")
        let other = Self.claim(["dns:\(Self.guid)"], serial: "0c0ffee2")
        let record = try #require(await pulled(house, claim))
        let kept = try #require(await pulled(house, other))
        let seen = house.reactors.revocations.count
        let answer = await revoke(house, serial: "0C:0F:FE:E1")
        #expect(answer["machines"]?.integer == 1)
        #expect(answer["text"]?.string?.contains("0 sessions and 1 machine ended") == true, "\(answer)")
        let told = effects(house, since: seen)
        // What the data plane decides alone comes first.
        #expect(told.first == .revokeCertificate("c0ffee1"))
        #expect(told.contains(.endSession(record.session)) && !told.contains(.endSession(kept.session)))
        #expect(house.control.machines.active(claim.tokenDigest) == nil)
        #expect(await pulled(house, claim) == nil)
        #expect(await pulled(house, other) != nil)
        // After a restart: the next process reads it before its data plane has a configuration.
        try await house.control.services.posture.load()
        #expect(await pulled(house, claim) == nil)
        let path = house.folder.appending(path: "gatepost.yaml").path
        let config = try ConfigurationLoader.load(path: path)
        let next = try ControlPlane(
            configPath: path, config: config, store: house.store, keysFolder: config.gateway.keysFolder,
            reactors: RecordingReactors())
        #expect(next.snapshot.revokedSerials == nil)
        try await next.prepare()
        #expect(next.snapshot.revokedSerials == ["c0ffee1"])
        // And a reload carries it.
        try house.rewrite { $0.replacingOccurrences(of: "[ backup ]", with: "[ restore ]") }
        try await house.control.reload()
        #expect(house.reactors.snapshots.last?.revokedSerials == ["c0ffee1"])
    }

    @Test func `a machine whose device was revoked is none, also after a restart, until the id is another's`()
        async throws
    {
        let house = try await house()
        try await house.enroll("laptop", pinned: ["intune-device-id": Self.guid])
        await say(.compliant, house)
        let claim = Self.claim(["dns:\(Self.guid)"])
        let record = try #require(await pulled(house, claim))
        #expect(Self.granted(record)?.name == "healthy")
        let seen = house.reactors.revocations.count
        let answer = await ask(house, [("command", "device-revoke"), ("device", "laptop")])
        #expect(answer["machines"]?.integer == 1, "\(answer)")
        #expect(effects(house, since: seen).contains(.endSession(record.session)))
        #expect(await pulled(house, claim) == nil)
        try await house.control.services.posture.load()
        #expect(await pulled(house, claim) == nil)
        // The provider's word brings nobody back.
        await say(.compliant, house)
        #expect(await pulled(house, claim) == nil)
        try await house.enroll("next", pinned: ["intune-device-id": Self.guid])
        #expect(await pulled(house, claim) != nil)
        #expect(try await house.store.revokedPins().isEmpty)
    }

    @Test func `a disk that refuses does not keep a revoked machine`() async throws {
        let house = try await house()
        await say(.compliant, house)
        let claim = Self.claim(["dns:\(Self.guid)"], serial: "0c0ffee1")
        let record = try #require(await pulled(house, claim))
        let seen = house.reactors.revocations.count
        let file = house.folder.appending(path: "state/sessions.sqlite").path
        try await DatabaseQueue(path: file).write { try $0.execute(sql: "DROP TABLE revoked_certificates") }
        let answer = await revoke(house, serial: "0c0ffee1")
        #expect(answer["error"] != nil, "\(answer)")
        let told = effects(house, since: seen)
        #expect(told.contains(.revokeCertificate("c0ffee1")) && told.contains(.endSession(record.session)))
        #expect(await pulled(house, claim) == nil)
    }

    @Test func `more serial numbers than have room are refused before anything happens`() async throws {
        let house = try await house()
        house.control.revokedSerials.insert(
            contentsOf: Set(
                (0..<GatewaySnapshot.revokedSerialsMax).map { String(0x1000_0000 + $0, radix: 16) }))
        let seen = house.reactors.revocations.count
        #expect(await revoke(house, serial: "77")["error"] != nil)
        #expect(house.reactors.revocations.count == seen)
        // One that is among them is revoked again.
        #expect(await revoke(house, serial: "10000000")["error"] == nil)
    }
}
