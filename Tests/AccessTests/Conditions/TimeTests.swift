import Access
import Testing

@Suite("Time windows, at Friday 2027-01-15 08:00:00 UTC")
struct TimeTests {
    struct Case: Sendable, CustomTestStringConvertible {
        var name: String
        var days: [TimeCondition.Weekday]
        var from: Int
        var until: Int
        var offset: Int
        var at: Int64
        var holds: Bool
        var edge: Int64
        var testDescription: String { name }
        init(
            _ name: String, _ days: [TimeCondition.Weekday], _ window: (Int, Int), offset: Int = 0,
            at: Int64 = now,
            _ holds: Bool, edge: Int64 = 900
        ) {
            (self.name, self.days, from, until) = (name, days, window.0, window.1)
            (self.offset, self.at, self.holds, self.edge) = (offset, at, holds, edge)
        }
    }

    static let table: [Case] = [
        .init("exactly at the beginning", [.fri], (480, 490), true, edge: 600),
        .init("one second before it", [.fri], (480, 490), at: now - 1, false, edge: 1),
        .init("the last second", [.fri], (470, 480), at: now - 1, true, edge: 1),
        .init("exactly at the end", [.fri], (470, 480), false),
        .init("another day", [.sat, .sun], (0, 1_440), false),
        .init("an hour east it is nine", [.fri], (540, 550), offset: 60, true, edge: 600),
        .init("an hour west it is seven", [.fri], (420, 481), offset: -60, true),
        .init("far enough east it is Saturday", [.sat], (0, 5), offset: 960, true, edge: 300),
        .init("the whole day ends at midnight", [.fri], (0, 1_440), at: now + 57_599, true, edge: 1),
        .init("and the next begins", [.fri], (0, 1_440), at: now + 57_600, false),
        .init("the first second of 1970 was a Thursday", [.thu], (0, 1_440), at: 0, true),
        .init("and before it a Wednesday", [.wed], (1_439, 1_440), at: -1, true, edge: 1),
        .init("a leap day: Tuesday 2028-02-29", [.tue], (0, 1_440), at: 1_835_395_200, true),
    ]

    @Test(
        "the window holds from its first to before its last minute, and bounds the residual", arguments: table
    )
    func window(_ c: Case) {
        let condition = Condition.time(
            .init(days: c.days, fromMinute: c.from, untilMinute: c.until, offsetMinutes: c.offset))
        let shown = session(created: c.at - 1, expires: .max)
        let answer = meets(condition, shown, at: c.at)
        #expect(answer.isForward == c.holds)
        #expect(answer.validUntil == c.at + c.edge)
    }

    @Test("002.17 an exception by network ends by itself, in the very second of its day") func until() {
        let plant = Condition.network(
            .init(ranges: [NetworkRange(base: NetworkAddress(v4: 0x0a00_0000), prefixLength: 104)]))
        let app = application([
            .init(name: "ot", action: .allow, include: [plant], require: [.until(.init(seconds: now + 100))]),
            .init(name: "staff", action: .allow, include: [.everyone], require: [deviceIs(.compliant)]),
        ])
        let residual = snapshot().residual(of: session(), nil, for: app, atSeconds: now)
        #expect(residual.validUntilSeconds == now + 100)
        #expect(decide(session(), nil, app, at: now + 99).isForward)
        #expect(decide(session(), nil, app, at: now + 100) == .refuse(.deviceRequired))
        #expect(!decide(session(), nil, app, snapshot(), request(from: "192.0.2.1")).isForward)
        #expect(decide(nil, nil, app) == .signIn)
    }

    @Test("nobody's answer never passes: a block in a window asks for a sign-in, whatever the hour")
    func nobody() {
        let condition = Condition.time(.init(days: [.fri], fromMinute: 0, untilMinute: 1, offsetMinutes: 0))
        let app = application([
            .init(name: "no", action: .block, include: [.everyone], require: [condition]),
            .init(name: "open", action: .bypass, include: [.everyone]),
        ])
        #expect(decide(nil, nil, app) == .signIn)
        #expect(snapshot().residual(of: nil, nil, for: app, atSeconds: now).validUntilSeconds == .max)
        #expect(decide(session(), nil, app).isForward)
    }
}
