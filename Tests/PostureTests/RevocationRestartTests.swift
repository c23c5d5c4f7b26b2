import Access
import Foundation
import Store
import Testing

@testable import Posture
@testable import Signatures

@Suite("A restart never takes a revocation back")
struct RevocationRestartTests {
    typealias House = RevocationTests.House

    /// The service of the next process, with the same store, and what it says of the device's certificate.
    private func restarted(_ house: House) async throws -> PostureService {
        let setting = house.setting
        await setting.service.keepRevocationLists()
        let next = PostureService(
            agents: await setting.service.agents, connectors: [], ring: setting.ring, store: setting.store,
            clock: setting.clock.clock, random: { 0.5 })
        try await next.load()
        return next
    }

    private func isRevoked(_ house: House, _ service: PostureService) async throws -> Bool {
        let link = CertificateLink(
            serialHex: try house.serial(), issuer: try #require(house.setting.authority.issuers.first))
        do throws(PostureRefusal) {
            try await service.checkNotWithdrawn([link], integration: "agents", nowSeconds: ModeSetting.now)
            return false
        } catch {
            #expect(error.reason == .certificateRevoked)
            return true
        }
    }

    @Test(
        "a list whose file is gone, broken or older after the restart still counts, as often as it restarts")
    func held() async throws {
        for name in ["gone", "broken", "older"] {
            let house = try await House()
            try house.write(RevocationTests.list(house.setting, [try house.serial()], age: 30).der)
            await house.setting.service.refreshRevocationLists()
            switch name {
            case "gone": try FileManager.default.removeItem(atPath: house.path)
            case "broken": try house.write(Array("x".utf8))
            default: try house.write(RevocationTests.list(house.setting, [], age: 31).der)
            }
            for _ in 0..<2 {
                let next = try await restarted(house)
                #expect(try await isRevoked(house, next), "\(name)")
                #expect(await next.revocationLists().first?.problem?.isEmpty == false, "\(name)")
            }
        }
    }

    @Test("a newer list after the restart takes its place, and is kept in its turn") func newer() async throws
    {
        let house = try await House()
        try house.write(RevocationTests.list(house.setting, [try house.serial()], age: 30).der)
        await house.setting.service.refreshRevocationLists()
        try house.write(RevocationTests.list(house.setting, [], age: 20).der)
        let next = try await restarted(house)
        #expect(try await !isRevoked(house, next))
        let kept = try await house.setting.store.revocationLists()
        #expect(kept.count == 1 && kept[0].serials.isEmpty)
    }

    @Test("the store gives back what was kept, of each integration its own") func store() async throws {
        let folder = try TemporaryFolder()
        let list = StoredRevocationList(
            integration: "agents", issuer: [1, 2], number: [3, 0], thisUpdateSeconds: 5,
            nextUpdateSeconds: 9, serials: ["0a", "ff"])
        var other = list
        (other.integration, other.number, other.serials) = ("Agents", nil, [])
        for _ in 0..<2 {
            let store = try SQLiteStore(folder: folder.path)
            try await store.keep([list], of: "agents")
            try await store.keep([other], of: "Agents")
            #expect(Set(try await store.revocationLists()) == [list, other])
        }
        let store = try SQLiteStore(folder: folder.path)
        try await store.keep([], of: "agents")
        #expect(try await store.revocationLists() == [other])
    }
}
