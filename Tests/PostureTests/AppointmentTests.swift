import Access
import Testing

@testable import Posture

@Suite("Appointments by the second")
struct AppointmentTests {
    private func take(_ appointments: inout Appointments, _ now: Int64, max: Int = 100) -> [String] {
        appointments.take(nowSeconds: now, within: 7_200, max: max).map(\.text)
    }

    @Test func `what is due comes in order, exactly at its second and not before`() {
        var appointments = Appointments()
        for (device, due) in [("c", 30), ("a", 10), ("b", 10), ("d", 31)] as [(String, Int64)] {
            appointments.set(ExactKey(device), atSeconds: due)
        }
        #expect(appointments.nextSeconds() == 10)
        #expect(take(&appointments, 9) == [])
        #expect(take(&appointments, 10) == ["a", "b"])
        #expect(appointments.nextSeconds() == 30)
        #expect(take(&appointments, 30) == ["c"])
        #expect(take(&appointments, 1_000) == ["d"])
        #expect(appointments.nextSeconds() == nil)
    }

    @Test func `no more than asked for, and the rest stays due`() {
        var appointments = Appointments()
        for number in 0..<10 { appointments.set(ExactKey("d\(number)"), atSeconds: 5) }
        #expect(take(&appointments, 5, max: 4) == ["d0", "d1", "d2", "d3"])
        #expect(take(&appointments, 5, max: 100).count == 6)
    }

    @Test func `moved and removed appointments are passed over`() {
        var appointments = Appointments()
        appointments.set(ExactKey("moved"), atSeconds: 10)
        appointments.set(ExactKey("moved"), atSeconds: 20)
        appointments.set(ExactKey("gone"), atSeconds: 10)
        appointments.remove(ExactKey("gone"))
        #expect(appointments.nextSeconds() == 20)
        #expect(take(&appointments, 19) == [])
        #expect(take(&appointments, 20) == ["moved"])
        #expect(appointments.count == 0)
    }

    @Test func `a clock that jumped back makes everything due`() {
        var appointments = Appointments()
        appointments.set(ExactKey("a"), atSeconds: 100_000)
        #expect(take(&appointments, 100_000 - 7_200) == [])
        #expect(take(&appointments, 100_000 - 7_201) == ["a"])
    }

    @Test("against a plain list, for random calls", arguments: 0..<50)
    func model(_ seed: UInt64) {
        var random = Seeded(state: seed &+ 1)
        var appointments = Appointments()
        var plain: [String: Int64] = [:]
        var now: Int64 = 1_000
        for _ in 0..<400 {
            let device = "d\(random.below(20))"
            switch random.below(4) {
            case 0, 1:
                let due = now + Int64(random.below(300))
                appointments.set(ExactKey(device), atSeconds: due)
                plain[device] = due
            case 2:
                appointments.remove(ExactKey(device))
                plain[device] = nil
            case _:
                now += Int64(random.below(120))
                let due = plain.filter { $0.value <= now }.sorted { ($0.value, $0.key) < ($1.value, $1.key) }
                    .prefix(5).map(\.key)
                for device in due { plain[device] = nil }
                #expect(take(&appointments, now, max: 5) == due, "seed \(seed)")
            }
            #expect(appointments.nextSeconds() == plain.values.min(), "seed \(seed)")
            #expect(appointments.count == plain.count)
        }
    }

    private struct Seeded {
        var state: UInt64
        mutating func below(_ bound: UInt64) -> UInt64 {
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return (state >> 33) % bound
        }
    }
}
