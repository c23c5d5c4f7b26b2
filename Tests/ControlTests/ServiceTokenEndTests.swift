import JSON
import Store
import Testing

@testable import Control

@Suite("The end of a service's last token is foreseen")
struct ServiceTokenEndTests {
    static let day: Int64 = 86_400

    private func token(
        _ id: String, _ name: String = "backup", until: Int64, made: Int64 = 0
    ) -> StoredServiceToken {
        StoredServiceToken(
            id: id, name: name, digest: Array(repeating: 1, count: 32), createdAtSeconds: made,
            expiresAtSeconds: until)
    }

    @Test func `a week and a day before, and when it is over, to the second and once each`() {
        let end = 90 * Self.day
        let ends = ServiceTokenEnds()
        let walk: [(Int64, ServiceTokenState.Stage?)] = [
            (end - 7 * Self.day - 1, nil), (end - 7 * Self.day, .week), (end - 7 * Self.day + 1, nil),
            (end - 9 * Self.day, nil), (end - Self.day - 1, nil), (end - Self.day, .day), (end - 1, nil),
            (end, .ended), (end + Self.day, nil),
        ]
        for (now, stage) in walk {
            #expect(
                ends.news([token("a", until: end)], nowSeconds: now).map(\.stage)
                    == (stage.map { [$0] } ?? []),
                "\(now - end)")
        }
    }

    @Test func `what was rotated says nothing, and what was made for a day is not told beforehand`() {
        let end = 90 * Self.day
        let old = token("a", until: end)
        let new = token("b", until: end + 30 * Self.day, made: end - 8 * Self.day)
        let states = ServiceTokenState.last(
            of: [old, new, token("c", "scan", until: end)], nowSeconds: end - 10)
        #expect(states.map(\.token.id) == ["b", "c"] && states.map(\.stage) == [.good, .day])
        for (made, stage) in [(end - Self.day, ServiceTokenState.Stage.good), (end - Self.day - 1, .day)] {
            let short = ServiceTokenState.last(
                of: [token("s", until: end, made: made)], nowSeconds: end - 10)
            #expect(short.map(\.stage) == [stage])
        }
    }

    @Test func `the status names the service, and says nothing of one that has time`() async throws {
        let house = try Gatehouse()
        house.control.machines.take([
            token("gps_1", until: house.now + 6 * Self.day),
            token("gps_2", "scan", until: house.now + 8 * Self.day),
        ])
        let status = await house.control.execute(["command": "status"])
        let text = try #require(status["text"]?.string)
        #expect(text.contains("service token backup ends at") && text.contains("service-token rotate backup"))
        #expect(!text.contains("scan"))
        let listed = try #require(status["service_tokens"]?.array)
        #expect(listed.count == 1 && listed[0]["token"] == "gps_1" && listed[0]["days_left"] == 6)
    }
}
