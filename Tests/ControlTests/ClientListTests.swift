import Access
import Border
import Config
import Foundation
import JSON
import Posture
import Signatures
import Store
import Testing

@testable import Control

@Suite("Revocation lists of client certificates: followed, never older, and told before they end")
struct ClientListTests {
    static let day: Int64 = 86_400
    static let config = MachineTests.config.replacingOccurrences(
        of: "authorities: certs/chain.pem, platform",
        with: "authorities: certs/chain.pem, crl: certs/list.crl, platform")

    func write(_ bytes: [UInt8]?, _ house: Gatehouse) throws {
        let path = house.folder.appending(path: "certs/list.crl")
        try? FileManager.default.removeItem(at: path)
        if let bytes { try Data(bytes).write(to: path) }
    }

    /// A house whose listener has such a list.
    func house(_ bytes: [UInt8]? = nil) async throws -> Gatehouse {
        let house = try Gatehouse(MachineTests.config)
        try write(bytes ?? Self.list(house, 0).pem, house)
        try house.rewrite { _ in Self.config }
        try await house.control.reload()
        return house
    }

    private static func list(
        _ house: Gatehouse, _ made: Int64, until: Int64 = 7 * day, issuer: String = "test"
    ) -> UnsignedList {
        UnsignedList(
            issuer: issuer, thisUpdate: Gatehouse.start + made, nextUpdate: Gatehouse.start + made + until)
    }

    /// What reactors were given last, as PEM.
    func given(_ house: Gatehouse) throws -> [ListedRevocations] {
        let pem = house.reactors.snapshots.last?.clientCertificates.first??.revocationsPEM
        return try ListedRevocations.all(try #require(pem))
    }

    @Test func `a file that is replaced is given to the reactors, as PEM or DER, without a reload`()
        async throws
    {
        let house = try await house()
        await house.control.followClientLists()
        let count = house.reactors.snapshots.count
        #expect(try given(house).map(\.thisUpdateSeconds) == [Gatehouse.start])
        try write(Self.list(house, 10).der, house)
        await house.control.followClientLists()
        #expect(try given(house).map(\.thisUpdateSeconds) == [Gatehouse.start + 10])
        #expect(house.reactors.snapshots.count == count + 1)
        let last = try #require(house.reactors.snapshots.last)
        #expect(last.revision > house.reactors.snapshots[count - 1].revision)
        #expect(house.control.snapshot == last)
        // Looked at again, and written again as it was: nobody has to prove anything anew.
        await house.control.followClientLists()
        try write(Self.list(house, 10).pem, house)
        await house.control.followClientLists()
        #expect(house.reactors.snapshots.count == count + 1)
    }

    @Test func `nothing takes a list back: no older one, none of another issuer, no broken file, no reload`()
        async throws
    {
        let house = try await house()
        let newest = Self.list(house, 100)
        try write(newest.pem, house)
        await house.control.followClientLists()
        let count = house.reactors.snapshots.count
        let broken = newest.pem.dropLast(40)
        for (bytes, problem) in [
            (Self.list(house, 99).pem, "older"), (Array(broken), "broken"), ([], "no revocation list"),
            (newest.der + [0], "bytes follow"), (nil, "cannot be opened"),
            (Self.list(house, 99).der, "older"),
        ] as [([UInt8]?, String)] {
            try write(bytes, house)
            await house.control.followClientLists()
            #expect(house.reactors.snapshots.count == count, "\(problem)")
            let text = await house.control.execute(["command": "status"])["text"]?.string ?? ""
            #expect(text.contains("the file is not used:") && text.contains(problem), "\(text)")
        }
        // A reload with the older file, and one in between without any.
        try await house.control.reload()
        #expect(try given(house).map(\.thisUpdateSeconds) == [Gatehouse.start + 100])
        try house.rewrite { _ in MachineTests.config }
        try await house.control.reload()
        #expect(house.reactors.snapshots.last?.clientCertificates.first??.revocationsPEM == nil)
        try house.rewrite { _ in Self.config }
        try await house.control.reload()
        #expect(try given(house).map(\.thisUpdateSeconds) == [Gatehouse.start + 100])
        // One of another authority comes beside it.
        try write(Self.list(house, 5, issuer: "other").pem, house)
        await house.control.followClientLists()
        #expect(try given(house).map(\.issuerName) == ["CN=test", "CN=other"])
    }

    @Test func `lists of one second have their numbers`() async throws {
        let house = try await house()
        func numbered(_ number: UInt8) -> UnsignedList {
            var list = Self.list(house, 50)
            list.number = number
            return list
        }
        for (number, expected) in [(7, 7), (6, 7), (9, 9)] as [(UInt8, UInt8)] {
            try write(numbered(number).der, house)
            await house.control.followClientLists()
            #expect(try given(house).first?.number == [expected])
        }
    }

    @Test func `a list of sixty thousand certificates is taken at a reload and when it is replaced`()
        async throws
    {
        func large(_ made: Int64) -> [UInt8] {
            UnsignedList(
                thisUpdate: Gatehouse.start + made, nextUpdate: Gatehouse.start + Self.day, entries: 60_000
            ).der
        }
        let house = try await house(large(0))
        #expect(large(0).count > 1 << 20)
        #expect(try given(house).first?.count == 60_000)
        try write(large(1), house)
        await house.control.followClientLists()
        #expect(try given(house).first?.thisUpdateSeconds == Gatehouse.start + 1)
    }

    @Test("what is no file of lists is refused whole") func refused() throws {
        let good = UnsignedList(thisUpdate: 0, nextUpdate: 10)
        #expect(try ListedRevocations.all(good.pem + good.pem).count == 2)
        #expect(try ListedRevocations.all(good.der).count == 1)
        for end in 0..<good.der.count {
            #expect(throws: SignatureError.self) { try ListedRevocations.all(Array(good.der[..<end])) }
        }
        let endless = UnsignedList(thisUpdate: 0, nextUpdate: nil)
        let half: [UInt8] = good.pem + Array(good.pem.dropLast(30))
        let tooMany: [UInt8] = Array(repeatElement(good.pem, count: ListedRevocations.listsMax + 1).joined())
        let rows: [[UInt8]] = [
            [], Array("no list".utf8), half, good.der + good.der, endless.der, endless.pem, tooMany,
        ]
        for bytes in rows {
            #expect(throws: SignatureError.self) { try ListedRevocations.all(bytes) }
        }
        let most = Array(repeatElement(good.pem, count: ListedRevocations.listsMax).joined())
        #expect(try ListedRevocations.all(most).count == ListedRevocations.listsMax)
        let again = try ListedRevocations.all(ListedRevocations.pem(try ListedRevocations.all(good.der)))
        #expect(again.map(\.der) == [good.der])
    }

    // MARK: Before the end

    @Test func `an end is foreseen when a fifth of the time is left, at most two days, to the second`() {
        for (life, near) in [(10, 2), (Self.day, Self.day / 5), (100 * Self.day, 2 * Self.day)]
            as [(Int64, Int64)]
        {
            let list = ClientTrust.List(
                listener: "l", authority: "a", thisUpdateSeconds: 0, nextUpdateSeconds: life)
            for (now, stage) in [
                (life - near - 1, .good), (life - near, .near), (life - 1, .near), (life, .ended),
            ] as [(Int64, ClientTrust.List.Stage)] {
                #expect(list.stage(nowSeconds: now) == stage, "\(life) \(now)")
                #expect((list.problem(nowSeconds: now) == nil) == (stage == .good))
            }
        }
    }

    @Test func `the event log tells each stage once, and the next list is a list of its own`() {
        func list(_ made: Int64) -> ClientTrust.List {
            ClientTrust.List(
                listener: "l", authority: "a", thisUpdateSeconds: made, nextUpdateSeconds: made + 100)
        }
        let ends = ListEnds()
        for (now, count) in [(79, 0), (80, 1), (81, 0), (50, 0), (99, 0), (100, 1), (500, 0)]
            as [(Int64, Int)]
        {
            #expect(ends.news([list(0)], nowSeconds: now).count == count, "\(now)")
        }
        #expect(ends.news([list(450)], nowSeconds: 500).isEmpty)
        #expect(ends.news([list(450)], nowSeconds: 530).count == 1)
        let missing = ClientTrust.List(
            listener: "l", authority: "a", thisUpdateSeconds: 0, nextUpdateSeconds: nil)
        #expect(ends.news([missing], nowSeconds: 0).count == 1)
        #expect(ends.news([missing], nowSeconds: 9).isEmpty)
    }

    @Test func `check and status say what ends, what has ended and which authority has no list`() async throws
    {
        let house = try await house()
        let path = house.folder.appending(path: "gatepost.yaml").path
        func warnings(_ at: Int64) throws -> [String] {
            let config = try ConfigurationLoader.load(path: path)
            let found = ClientTrust.findings(config, path: "gatepost.yaml", nowSeconds: Gatehouse.start + at)
            #expect(found.problems.isEmpty)
            return found.warnings.filter { $0.key.hasSuffix(".crl") }.map { "\($0)" }
        }
        #expect(try warnings(0).isEmpty)
        #expect(try warnings(6 * Self.day).first?.contains("CN=test ends at") == true)
        #expect(try warnings(7 * Self.day).first?.contains("CN=test ended at") == true)
        let good = await house.control.execute(["command": "status"])
        #expect(good["text"]?.string?.contains("revocation list") == false)
        house.advance(7 * Self.day)
        let late = await house.control.execute(["command": "status"])
        #expect(late["text"]?.string?.contains("the revocation list of CN=test ended at") == true)
        let listed = late["client_certificates"]?["revocation_lists"]?.array
        #expect(listed?.count == 1 && listed?.first?["problem"]?.string != nil)
        try write(Self.list(house, 0, issuer: "other").pem, house)
        #expect(try warnings(0).contains { $0.contains("test has no revocation list") })
        // What is no list is a problem, before anything runs.
        try write([0x30, 0x00], house)
        #expect(throws: ConfigFailure.self) { try ConfigurationLoader.load(path: path) }
        await #expect(throws: ControlFailure.self) { try await house.control.reload() }
        #expect(try given(house).count == 1)
    }

    @Test func `an authority's end is foreseen as that of any configured certificate`() async throws {
        let house = try await house()
        let trust = house.control.clientTrust
        #expect(trust.certificates.map(\.integration) == ["gateway.listeners[0]"])
        let end = try #require(trust.certificates.first?.certificate.notAfterSeconds)
        #expect(
            trust.warnings(nowSeconds: end - 31 * Self.day).allSatisfy { !$0.contains("certificate test") })
        #expect(
            trust.warnings(nowSeconds: end - 6 * Self.day).contains {
                $0.contains("certificate test ends at")
            })
        let news = CertificateEnds().news(trust.certificates, nowSeconds: end - 6 * Self.day)
        #expect(
            news.count == 1 && news[0].members.contains { $0.0 == "use" && $0.1 == "client-certificates" })
    }
}
