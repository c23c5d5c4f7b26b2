import Access
import Foundation
import Signatures
import Testing

@testable import Posture

@Suite("A reload never takes a revocation back")
struct RevocationReloadTests {
    typealias House = RevocationTests.House

    /// A house with a device whose certificate is on the list that was read last.
    private func revoked() async throws -> House {
        let house = try await House()
        #expect(try await house.refusal(counter: 1) == nil)
        try house.write(RevocationTests.list(house.setting, [try house.serial()], age: 30).der)
        await house.setting.service.refreshRevocationLists()
        #expect(try await house.refusal(counter: 2) == .certificateRevoked)
        return house
    }

    @Test("a file that is gone, broken or older at the reload: the list before it holds, and it is told")
    func held() async throws {
        for (name, bytes) in [("gone", nil), ("broken", Array("x".utf8)), ("older", [])] {
            let house = try await revoked()
            let service = house.setting.service
            if name == "older" {
                try house.write(RevocationTests.list(house.setting, [], age: 31).der)
            } else if let bytes {
                try house.write(bytes)
            } else {
                try FileManager.default.removeItem(atPath: house.path)
            }
            let before = await house.setting.store.auditKinds().count { $0 == "revocation-list-refused" }
            await service.take(await service.agents)
            #expect(try await house.refusal(counter: 3) == .certificateRevoked, "\(name)")
            #expect(await service.deviceFacts(id: "d1", statement: nil) == nil, "\(name)")
            let status = try #require(await service.revocationLists().first)
            #expect(status.problem?.hasSuffix(RevocationFiles.heldRemark) == true, "\(name)")
            #expect(status.count == 1, "\(name)")
            let after = await house.setting.store.auditKinds().count { $0 == "revocation-list-refused" }
            #expect(after == before + 1, "\(name)")
            // Twice is as once.
            await service.take(await service.agents)
            #expect(try await house.refusal(counter: 4) == .certificateRevoked, "\(name)")
        }
    }

    @Test("a newer list after the reload counts as ever") func newer() async throws {
        let house = try await revoked()
        let service = house.setting.service
        await service.take(await service.agents)
        #expect(await service.revocationLists().first?.problem == nil)
        #expect(try await house.refusal(counter: 3) == .certificateRevoked)
        try house.write(RevocationTests.list(house.setting, [], age: 20).der)
        await service.take(await service.agents)
        #expect(try await house.refusal(counter: 4) == nil)
    }

    @Test("a list of another issuer in the file takes nothing back") func otherIssuer() async throws {
        let house = try await revoked()
        let setting = house.setting
        let key = SigningKey.generateP256()
        let other = try CertificateBench.authority(
            for: key, named: "Others", by: .init(key: key, der: nil), from: ModeSetting.now - 86_400,
            until: ModeSetting.now + 86_400)
        var agents = await setting.service.agents
        agents[0].authority = try EnrollmentAuthority(
            certificatePEM: setting.authority.certificate.pem, keyPEM: setting.authorityKey.pem,
            furtherPEM: [try Certificate(der: other).pem])
        await setting.service.take(agents)
        var list = RevocationTests.list(setting, [], age: 10)
        (list.issuerName, list.key) = ("Others", key)
        try house.write(list.der)
        #expect(await setting.service.refreshRevocationLists().map(\.kind) == ["revocation-list-read"])
        #expect(try await house.refusal(counter: 3) == .certificateRevoked)
    }

    @Test("of two lists of one second the one with the higher number counts") func numbers() async throws {
        let house = try await House()
        let serial = try house.serial()
        var list = RevocationTests.list(house.setting, [serial], age: 30)
        list.number = 256
        try house.write(list.der)
        await house.setting.service.refreshRevocationLists()
        (list.number, list.serials) = (255, [])
        try house.write(list.der)
        let news = await house.setting.service.refreshRevocationLists()
        #expect(news.map(\.kind) == ["revocation-list-refused"])
        #expect(try await house.refusal(counter: 1) == .certificateRevoked)
        list.number = 257
        try house.write(list.der)
        await house.setting.service.refreshRevocationLists()
        #expect(try await house.refusal(counter: 2) == nil)
    }
}
