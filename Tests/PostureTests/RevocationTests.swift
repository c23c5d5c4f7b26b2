import Access
import Foundation
import JSON
import Signatures
import Testing

@testable import Posture

@Suite("Revoked certificates: by serial number and by a list of their authority")
struct RevocationTests {
    /// A service whose authority has a list in a file.
    struct House {
        let folder: TemporaryFolder
        let setting: ModeSetting
        var path: String { folder.path + "/list.crl" }

        init(
            allowsStale: Bool = false,
            first: ((ModeSetting) -> RevocationListBench)? = { RevocationTests.list($0) }
        ) async throws {
            let folder = try TemporaryFolder()
            self.folder = folder
            let key = SigningKey.generateP256()
            let now = ModeSetting.now
            let authority = try CertificateBench.authority(
                for: key, named: "Devices", by: .init(key: key, der: nil), from: now - 86_400,
                until: now + 315_360_000)
            setting = try ModeSetting(
                revocation: RevocationSettings(paths: [folder.path + "/list.crl"], allowsStale: allowsStale),
                authority: (key, try Certificate(der: authority).pem))
            if let first { try write(first(setting).der) }
            try await setting.enroll()
        }

        func write(_ bytes: [UInt8]) throws {
            try Data(bytes).write(to: URL(filePath: path), options: .atomic)
        }

        func serial() throws -> String { try Certificate(der: try leaf).serialHex }
        let leafBox = LeafBox()
        /// One certificate, so that its number stays.
        var leaf: [UInt8] {
            get throws {
                if let made = leafBox.der { return made }
                let made = try setting.leaf()
                leafBox.der = made
                return made
            }
        }

        func refusal(counter: Int64) async throws -> Reason? {
            var answer = ModeSetting.Answer(counter: counter)
            answer.chain = [try leaf]
            return try await setting.refusal(answer)?.reason
        }
    }

    final class LeafBox: @unchecked Sendable { var der: [UInt8]? }

    static func list(_ setting: ModeSetting, _ serials: [String] = [], age: Int64 = 60) -> RevocationListBench
    {
        RevocationListBench(
            issuerName: "Devices", key: setting.authorityKey, thisUpdate: setting.clock.now - age,
            nextUpdate: setting.clock.now + 86_400, serials: serials)
    }

    @Test("a list that is replaced counts at once, and its devices are announced as changed") func replaced()
        async throws
    {
        let house = try await House()
        #expect(try await house.refusal(counter: 1) == nil)
        #expect(await house.setting.service.deviceFacts(id: "d1", statement: nil) != nil)
        let serial = try house.serial()
        try house.write(Self.list(house.setting, [serial], age: 30).der)
        let news = await house.setting.service.refreshRevocationLists()
        #expect(news.map(\.kind) == ["revocation-list-read"])
        var changes = house.setting.service.changes.makeAsyncIterator()
        #expect(await changes.next()?.deviceID == "d1")
        #expect(await house.setting.service.deviceFacts(id: "d1", statement: nil) == nil)
        #expect(try await house.refusal(counter: 2) == .certificateRevoked)
        // Taken off the list again, it counts again: the list is the authority's word.
        try house.write(Self.list(house.setting, [], age: 20).der)
        await house.setting.service.refreshRevocationLists()
        #expect(await changes.next()?.deviceID == "d1")
        #expect(try await house.refusal(counter: 3) == nil)
        #expect(await house.setting.service.refreshRevocationLists().isEmpty)
    }

    @Test("who has another certificate of a device on a list does not come back with it") func sibling()
        async throws
    {
        let house = try await House()
        let before = try house.setting.leaf()
        #expect(try await house.refusal(counter: 1) == nil)
        try house.write(Self.list(house.setting, [try house.serial()], age: 30).der)
        await house.setting.service.refreshRevocationLists()
        var answer = ModeSetting.Answer(counter: 2)
        answer.chain = [before]
        #expect(try await house.setting.refusal(answer)?.reason == .certificateRevoked)
        #expect(await house.setting.service.deviceFacts(id: "d1", statement: nil) == nil)
    }

    @Test("a list ends at nextUpdate to the second, and then devices are refused", arguments: [-1, 0])
    func stale(_ offset: Int64) async throws {
        for allowsStale in [false, true] {
            let house = try await House(allowsStale: allowsStale)
            house.setting.clock.now += 86_400 + offset - 3_600
            let leaf = try house.leaf
            house.setting.clock.now = ModeSetting.now + 86_400 + offset
            _ = leaf
            let expected: Reason? = offset < 0 || allowsStale ? nil : .certificateUntrusted
            #expect(try await house.refusal(counter: 1) == expected)
        }
    }

    @Test("without a readable list nobody is let in, whether or not old ones are believed") func absent()
        async throws
    {
        for allowsStale in [false, true] {
            let house = try await House(allowsStale: allowsStale, first: nil)
            #expect(try await house.refusal(counter: 1) == .certificateUntrusted)
            #expect(await house.setting.service.revocationLists().first?.problem != nil)
        }
    }

    @Test("what is no good list changes nothing and is told: the one before it goes on") func refused()
        async throws
    {
        let house = try await House()
        let setting = house.setting
        let serial = try house.serial()
        let good = Self.list(setting, [serial], age: 30)
        var foreign = good
        foreign.key = SigningKey.generateP256()
        var renamed = good
        renamed.issuerName = "Others"
        var endless = good
        endless.nextUpdate = nil
        var partial = good
        partial.hasCriticalExtension = true
        var older = good
        older.thisUpdate = setting.clock.now - 61
        var bent = good.der
        bent[bent.count - 5] ^= 1
        let rows: [(String, [UInt8])] = [
            ("by another key", foreign.der), ("of another name", renamed.der),
            ("without an end", endless.der),
            ("a critical extension", partial.der), ("older than the last", older.der),
            ("a bit changed", bent),
            ("bytes behind it", good.der + [0]), ("half of it", Array(good.der.prefix(100))), ("empty", []),
            ("text", Array("hello".utf8)), ("a PEM certificate", setting.authority.certificate.pem),
        ]
        for (index, (name, bytes)) in rows.enumerated() {
            try house.write(bytes)
            let news = await setting.service.refreshRevocationLists()
            #expect(news.map(\.kind) == ["revocation-list-refused"], "\(name)")
            #expect(try await house.refusal(counter: Int64(index + 1)) == nil, "\(name)")
        }
        try FileManager.default.removeItem(atPath: house.path)
        #expect(await setting.service.refreshRevocationLists().map(\.kind) == ["revocation-list-refused"])
        try house.write(good.der)
        await setting.service.refreshRevocationLists()
        #expect(try await house.refusal(counter: 100) == .certificateRevoked)
    }

    @Test("a path over an intermediate that no list speaks for is refused") func uncovered() async throws {
        let house = try await House()
        var answer = ModeSetting.Answer()
        answer.chain = try HandshakeFaultTests.path(house.setting, intermediates: 1)
        #expect(try await house.setting.refusal(answer)?.reason == .certificateUntrusted)
    }

    @Test("an intermediate that is on its authority's list takes its devices with it") func intermediate()
        async throws
    {
        let house = try await House()
        var answer = ModeSetting.Answer()
        let path = try HandshakeFaultTests.path(house.setting, intermediates: 1)
        let serial = try Certificate(der: path[1]).serialHex
        try house.write(Self.list(house.setting, [serial], age: 30).der)
        await house.setting.service.refreshRevocationLists()
        answer.chain = path
        let reason = try await house.setting.refusal(answer)?.reason
        #expect(reason == .certificateUntrusted || reason == .certificateRevoked)
    }

    @Test("a serial number revokes its device for good, over a restart too, and nobody else's") func serial()
        async throws
    {
        let setting = try ModeSetting()
        try await setting.enroll()
        var answer = ModeSetting.Answer()
        let leaf = try setting.leaf()
        answer.chain = [leaf]
        #expect(try await setting.refusal(answer) == nil)
        #expect(try await setting.service.revoke(serialHex: "00ff") == [])
        #expect(await setting.service.deviceFacts(id: "d1", statement: nil) != nil)
        // Not the newest certificate that enrolment knows, but the one that was used last.
        let serial = try Certificate(der: leaf).serialHex
        #expect(try await setting.service.revoke(serialHex: serial) == ["d1"])
        var changes = setting.service.changes.makeAsyncIterator()
        #expect(await changes.next()?.deviceID == "d1")
        #expect(await setting.service.deviceFacts(id: "d1", statement: nil) == nil)
        answer.counter = 2
        #expect(try await setting.refusal(answer)?.reason == .certificateRevoked)
        try await setting.service.load()
        answer.counter = 3
        #expect(try await setting.refusal(answer)?.reason == .certificateRevoked)
    }

    @Test("a certificate that was denied before it was seen never counts") func unseen() async throws {
        let setting = try ModeSetting()
        try await setting.enroll()
        let leaf = try setting.leaf()
        #expect(try await setting.service.revoke(serialHex: try Certificate(der: leaf).serialHex) == [])
        var answer = ModeSetting.Answer()
        answer.chain = [leaf]
        #expect(try await setting.refusal(answer)?.reason == .certificateRevoked)
        answer.chain = [try setting.leaf()]
        #expect(try await setting.refusal(answer) == nil)
    }
}
