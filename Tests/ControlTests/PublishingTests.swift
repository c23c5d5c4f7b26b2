import Access
import Border
import Config
import Foundation
import JSON
import Posture
import Store
import Synchronization
import Testing

@testable import Control

@Suite("Offering our own verdict to directories")
struct PublishingTests {
    /// A directory at which nothing listens: what is offered waits, and can be looked at.
    static let config = ConnectTests.config.replacingOccurrences(
        of: "permissions: delegated,", with: "client-secret: { file: secrets/corp }, publish-verdict: true,")
    static let object = "b7d69b7e-0a0e-4d51-9a0f-8d7b7a0d1c11"
    static let entraID = "9d3e2c10-7f6a-4f0e-8f30-2b9b8a7c6d5e"

    /// A device whose record in the directory is known.
    private func house(_ config: String = config) async throws -> Gatehouse {
        let house = try Gatehouse(config)
        let verdict = Verdict(
            id: "v", integration: "entra", provider: "entra", nativeID: Self.object, state: .unknown,
            observedAtSeconds: house.now, fetchedAtSeconds: house.now,
            expiresAtSeconds: house.now + 7_200, matchKey: "entra-device-id=\(Self.entraID)",
            matchStrength: .weak)
        try await house.store.upsert([VerdictRow(verdict)], of: "entra")
        try await house.store.upsert(
            StoredDevice(
                id: "laptop", ownerIssuer: "https://login.corp.example", ownerSubject: "ada@corp.example",
                ownerEmail: "ada@corp.example", platform: .linux, keyThumbprint: "t",
                certificateSerial: "01", enrolledAtSeconds: house.now,
                certificateNotAfterSeconds: house.now + 86_400,
                pinnedIDs: ["entra-device-id": Self.entraID]))
        try await house.control.services.posture.load()
        return house
    }

    private func waiting(_ house: Gatehouse) async -> PublishedState? {
        await house.control.services.posture.publicationsOf(deviceID: "laptop").first?.waiting
    }

    @Test("the class of the device policies is offered, with what the agent says of its management")
    func standing() async throws {
        let house = try await house()
        await house.control.publishNews()
        #expect(await waiting(house) == nil, "nothing is known of it, and that is no verdict")
        _ = try await house.signIn(at: "vault", device: "laptop")
        house.control.noteForPublishing("laptop")
        await house.control.publishNews()
        #expect(await waiting(house) == PublishedState(isCompliant: true, isManaged: true))
        let answer = await house.control.execute(["command": "verdicts", "device": "laptop"])
        #expect(
            answer["text"]?.string?.contains(
                "published to entra: nothing yet; waiting: compliant, managed") == true)
        #expect(answer["published"]?.array?.first?["waiting"]?["is_compliant"] == true)
        let status = await house.control.execute(["command": "integrations"])
        #expect(status["text"]?.string?.contains("publishes verdicts: 0 written, last -, 1 waiting") == true)
    }

    @Test("an expired statement is no word about now: what waited stays, and nothing new is said")
    func expired()
        async throws
    {
        let house = try await house()
        _ = try await house.signIn(at: "vault", device: "laptop", seconds: 10_000)
        house.advance(901)
        await house.control.publishNews()
        #expect(await waiting(house) == nil)
    }

    @Test(
        "every device is looked at each quarter of an hour, and at once when news overflow",
        arguments: [true, false])
    func sweep(_ overflows: Bool) async throws {
        let house = try await house()
        await house.control.publishNews()
        _ = try await house.signIn(at: "vault", device: "laptop", seconds: 10_000)
        house.advance(600)
        await house.control.publishNews()
        #expect(await waiting(house) == nil, "600 s after the last look")
        if overflows {
            for number in 0..<10_001 { house.control.noteForPublishing("other-\(number)") }
        } else {
            house.advance(299)
            await house.control.publishNews()
            #expect(await waiting(house) == nil)
            _ = try await house.signIn("bob@corp.example", at: "vault", device: "laptop")
            house.advance(1)
        }
        await house.control.publishNews()
        #expect(await waiting(house)?.isCompliant == true)
    }

    @Test("a device that was ended is offered as not compliant only where it was called something")
    func ended()
        async throws
    {
        let house = try await house()
        _ = try await house.control.services.posture.revoke(deviceID: "laptop")
        house.control.noteForPublishing("laptop")
        await house.control.publishNews()
        #expect(await waiting(house) == nil)
        try await house.store.upsert(
            SyncState(
                integration: "entra#published/laptop", completedAtSeconds: house.now,
                deltaLink: "\(Self.object) true -"))
        let again = try ControlPlane(
            configPath: house.folder.appending(path: "gatepost.yaml").path,
            config: house.control.services.config, store: house.store,
            keysFolder: house.control.services.config.gateway.keysFolder, reactors: house.reactors,
            nowSeconds: { house.now })
        try await again.services.posture.load()
        again.noteForPublishing("laptop")
        await again.publishNews()
        let publication = await again.services.posture.publicationsOf(deviceID: "laptop").first
        #expect(publication?.state?.isCompliant == true && publication?.waiting?.isCompliant == false)
    }

    @Test("switched off, nothing is noted and nothing is looked at") func off() async throws {
        let house = try await house(ConnectTests.config)
        _ = try await house.signIn(at: "vault", device: "laptop")
        house.control.noteForPublishing("laptop")
        #expect(house.control.upkeep.withLock { $0.changedDevices.isEmpty })
        await house.control.publishNews()
        #expect(house.control.upkeep.withLock { $0.publishedAtSeconds } == nil)
        let answer = await house.control.execute(["command": "verdicts", "device": "laptop"])
        #expect(answer["published"]?.array?.isEmpty == true)
    }

    @Test("a store that cannot be read publishes nothing") func brokenStore() async throws {
        let house = try await house()
        _ = try await house.signIn(at: "vault", device: "laptop")
        try house.breakSessions()
        await house.control.publishNews()
        #expect(await waiting(house) == nil)
    }
}
