import Border
import Foundation
import JSON
import Signatures
import Testing

@testable import Control

/// Whose list is whose: an authority may have several keys, and several lists of each.
extension ClientListTests {
    private static func list(
        _ house: Gatehouse, _ made: Int64, key: UInt8? = nil, place: String? = nil, isDelta: Bool = false
    ) -> UnsignedList {
        var list = UnsignedList(
            thisUpdate: Gatehouse.start + made, nextUpdate: Gatehouse.start + made + 7 * day)
        list.key = key.map { [UInt8](repeating: $0, count: 20) }
        list.place = place
        list.isDelta = isDelta
        return list
    }

    @Test func `two keys under one name have a list each, and each follows its own`() async throws {
        let house = try await house()
        func file(_ first: Int64, _ second: Int64) -> [UInt8] {
            Self.list(house, first, key: 1).pem + Self.list(house, second, key: 2).pem
        }
        try write(file(10, 20), house)
        await house.control.followClientLists()
        #expect(try given(house).map(\.thisUpdateSeconds) == [0, 10, 20].map { Gatehouse.start + $0 })
        // The first key's newer one, though older than the second key's.
        try write(file(15, 20), house)
        await house.control.followClientLists()
        #expect(try given(house).map(\.thisUpdateSeconds) == [0, 15, 20].map { Gatehouse.start + $0 })
        // Neither goes back, whatever the other does.
        try write(file(14, 30), house)
        await house.control.followClientLists()
        #expect(try given(house).map(\.thisUpdateSeconds) == [0, 15, 30].map { Gatehouse.start + $0 })
        let text = await house.control.execute(["command": "status"])["text"]?.string ?? ""
        #expect(text.contains("older than the one that is in use"), "\(text)")
        try await house.control.reload()
        #expect(try given(house).count == 3)
    }

    @Test func `lists of parts of an authority's certificates stand beside each other`() async throws {
        let house = try await house()
        let (one, two) = ("http://ca.corp.example/1.crl", "http://ca.corp.example/2.crl")
        func list(_ made: Int64, _ place: String) -> [UInt8] {
            Self.list(house, made, key: 1, place: place).pem
        }
        try write(list(10, one) + list(20, two), house)
        await house.control.followClientLists()
        #expect(try given(house).map(\.thisUpdateSeconds) == [0, 10, 20].map { Gatehouse.start + $0 })
        try write(list(30, two) + list(11, one), house)
        await house.control.followClientLists()
        #expect(try given(house).map(\.thisUpdateSeconds) == [0, 11, 30].map { Gatehouse.start + $0 })
    }

    @Test func `with more lists than are kept, those of the file stay`() async throws {
        let house = try await house()
        let most = ListedRevocations.listsMax
        func file(_ keys: [Int]) -> [UInt8] {
            keys.flatMap { Self.list(house, 10, key: UInt8($0)).pem }
        }
        try write(file(Array(1...most)), house)
        await house.control.followClientLists()
        #expect(try given(house).count == most)
        try write(file([most + 1] + Array(1..<most)), house)
        await house.control.followClientLists()
        let keys = try given(house).map(\.key)
        #expect(Set(keys.map { $0?.first ?? 0 }) == Set((1..<most).map { UInt8($0) } + [UInt8(most + 1)]))
    }

    @Test func `what no list can be told from is refused, and says what to do`() {
        var endless = UnsignedList(thisUpdate: 0, nextUpdate: nil)
        endless.key = [1]
        var delta = UnsignedList(thisUpdate: 0, nextUpdate: 10)
        delta.isDelta = true
        let many = Array(
            repeatElement(
                UnsignedList(thisUpdate: 0, nextUpdate: 10).pem, count: ListedRevocations.listsMax + 1
            ).joined())
        for (bytes, parts) in [
            (endless.der, ["CN=test", "nextUpdate", "have its authority"]),
            (delta.pem, ["CN=test", "delta", "whole"]), (many, ["more than 100", "newest"]),
        ] as [([UInt8], [String])] {
            let error = #expect(throws: SignatureError.self) { try ListedRevocations.all(bytes) }
            for part in parts { #expect(error?.what.contains(part) == true, "\(part): \(error?.what ?? "")") }
        }
    }

    @Test func `lists that the reactors refuse are offered again until they take them`() async throws {
        let house = try await house()
        await house.control.followClientLists()
        let count = house.reactors.snapshots.count
        try write(Self.list(house, 10).pem, house)
        house.reactors.refuseConfigurations("no memory")
        for _ in 0..<2 {
            await house.control.followClientLists()
            let text = await house.control.execute(["command": "status"])["text"]?.string ?? ""
            #expect(text.contains("no memory"), "\(text)")
        }
        #expect(house.reactors.snapshots.count == count)
        house.reactors.refuseConfigurations(nil)
        await house.control.followClientLists()
        #expect(try given(house).map(\.thisUpdateSeconds) == [Gatehouse.start + 10])
        #expect(house.reactors.snapshots.count == count + 1)
        let text = await house.control.execute(["command": "status"])["text"]?.string ?? ""
        #expect(!text.contains("no memory"))
        await house.control.followClientLists()
        #expect(house.reactors.snapshots.count == count + 1)
    }

    @Test func `a reload that reactors refuse does not swallow the list that it read`() async throws {
        let house = try await house()
        await house.control.followClientLists()
        try write(Self.list(house, 10).pem, house)
        house.reactors.refuseConfigurations("no memory")
        await #expect(throws: ControlFailure.self) { try await house.control.reload() }
        house.reactors.refuseConfigurations(nil)
        await house.control.followClientLists()
        #expect(try given(house).map(\.thisUpdateSeconds) == [Gatehouse.start + 10])
        // What a reload gave them is given once.
        try write(Self.list(house, 20).pem, house)
        try await house.control.reload()
        let count = house.reactors.snapshots.count
        await house.control.followClientLists()
        #expect(house.reactors.snapshots.count == count)
        #expect(try given(house).map(\.thisUpdateSeconds) == [Gatehouse.start + 20])
    }
}
