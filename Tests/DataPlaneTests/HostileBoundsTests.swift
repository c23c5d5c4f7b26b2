import Access
import Testing

@testable import DataPlane

@Suite("The bounds themselves: at each and one past it")
struct HostileBoundsTests {
    private static let v4 = NetworkAddress(v4: 0x0a00_0001)

    private func admit(
        _ table: ClientTable, _ address: NetworkAddress, connections: Int = 0, perSecond: Int = 0,
        at milliseconds: UInt64 = 0
    ) -> ClientTable.Verdict {
        table.admit(
            address, connectionsMax: connections, handshakesPerSecondMax: perSecond,
            nowMilliseconds: milliseconds)
    }

    @Test func `connections count by IPv4 address, and by the 64 bits of an IPv6 subscriber`() {
        let table = ClientTable()
        let subscriber = NetworkAddress(high: 0x2001_0db8_0000_0001, low: 1)
        #expect(admit(table, subscriber, connections: 2) == .admitted)
        #expect(
            admit(table, NetworkAddress(high: subscriber.high, low: .max), connections: 2) == .admitted)
        #expect(
            admit(table, NetworkAddress(high: subscriber.high, low: 7), connections: 2)
                == .tooManyConnections)
        #expect(
            admit(table, NetworkAddress(high: subscriber.high + 1, low: 1), connections: 2) == .admitted)
        for bits in UInt32(1)...8 {
            #expect(admit(table, NetworkAddress(v4: bits), connections: 1) == .admitted)
            #expect(admit(table, NetworkAddress(v4: bits), connections: 1) == .tooManyConnections)
        }
        table.leave(subscriber, nowMilliseconds: 0)
        #expect(
            admit(table, NetworkAddress(high: subscriber.high, low: 9), connections: 2) == .admitted)
    }

    @Test func `0 is no bound`() {
        let table = ClientTable()
        for _ in 0..<5_000 { #expect(admit(table, Self.v4) == .admitted) }
    }

    @Test func `a second's worth comes at once, one past it does not, and rest pays it back evenly`() {
        let table = ClientTable()
        for _ in 0..<10 { #expect(admit(table, Self.v4, perSecond: 10, at: 5_000) == .admitted) }
        #expect(admit(table, Self.v4, perSecond: 10, at: 5_000) == .tooManyHandshakes)
        #expect(admit(table, Self.v4, perSecond: 10, at: 5_099) == .tooManyHandshakes)
        #expect(admit(table, Self.v4, perSecond: 10, at: 5_100) == .admitted)
        #expect(admit(table, Self.v4, perSecond: 10, at: 5_100) == .tooManyHandshakes)
        // Somebody else has a pace of its own.
        #expect(admit(table, NetworkAddress(v4: 9), perSecond: 10, at: 5_100) == .admitted)
        for _ in 0..<10 { #expect(admit(table, Self.v4, perSecond: 10, at: 9_000) == .admitted) }
        #expect(admit(table, Self.v4, perSecond: 10, at: 9_000) == .tooManyHandshakes)
    }

    @Test func `a pause lasts exactly until one more can be had`() {
        var pace = Pace()
        for _ in 0..<3 {
            let isTaken = pace.take(3, 7_000)
            #expect(isTaken)
        }
        let free = pace.freeAtMilliseconds(3)
        #expect(free > 7_000 && free <= 7_335, "\(free)")
        let isTooEarly = !pace.take(3, free - 2)
        let isDue = pace.take(3, free)
        #expect(isTooEarly && isDue)
    }

    @Test func `clients that have left are forgotten: a million of them fill no memory`() {
        let table = ClientTable()
        for number in UInt32(0)..<200_000 {
            let address = NetworkAddress(v4: number)
            let now = UInt64(number)
            #expect(admit(table, address, connections: 4, perSecond: 5, at: now) == .admitted)
            table.leave(address, nowMilliseconds: now)
        }
        #expect(table.count < 64 * 256, "\(table.count)")
    }

    struct Slowness: CustomTestStringConvertible {
        var testDescription: String
        var bytesPerLook: UInt32
        var looks: Int
        var awaited = ClientDemand.Awaited.sending
        var isCut: Bool
    }

    @Test(arguments: [
        Slowness(testDescription: "silence up to the bound", bytesPerLook: 0, looks: 20, isCut: false),
        Slowness(testDescription: "silence one look past it", bytesPerLook: 0, looks: 21, isCut: true),
        Slowness(testDescription: "exactly the rate", bytesPerLook: 240, looks: 10_000, isCut: false),
        Slowness(testDescription: "a byte a second less", bytesPerLook: 238, looks: 10_000, isCut: true),
        Slowness(testDescription: "one byte a second", bytesPerLook: 1, looks: 22, isCut: true),
        Slowness(
            testDescription: "nobody waits", bytesPerLook: 0, looks: 10_000, awaited: .nothing, isCut: false),
        Slowness(
            testDescription: "it sends but does not read", bytesPerLook: 1_000_000, looks: 21,
            awaited: .reading, isCut: true),
    ])
    func `240 bytes a second, 20 s of patience`(_ row: Slowness) {
        var demand = ClientDemand()
        var received: UInt32 = .max - 1_000
        _ = demand.look(
            sent: 5, received: received, awaited: .nothing, elapsedMilliseconds: 1_000, rate: 240,
            patienceMilliseconds: 20_000)
        var isCut = false
        for _ in 0..<row.looks {
            received &+= row.bytesPerLook
            isCut = demand.look(
                sent: 5, received: received, awaited: row.awaited, elapsedMilliseconds: 1_000, rate: 240,
                patienceMilliseconds: 20_000)
            if isCut { break }
        }
        #expect(isCut == row.isCut)
    }
}
