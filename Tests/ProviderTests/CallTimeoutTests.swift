import Fetch
import Synchronization
import Testing

@testable import Posture
@testable import gatepost_lab

@Suite("Each call of an integration has its configured bounds, token requests among them")
struct CallTimeoutTests {
    @Test(
        "five, ten and thirty seconds, or what is configured",
        arguments: [nil, (2, 7, 13)] as [(Int, Int, Int)?])
    func bounds(_ configured: (Int, Int, Int)?) async throws {
        let fixture = try VendorFixture(.defender)
        var connection = fixture.connection()
        if let configured {
            connection.timeouts = CallTimeouts(
                connectSeconds: Int64(configured.0), firstByteSeconds: Int64(configured.1),
                callSeconds: Int64(configured.2))
        }
        let connector = try Posture.Vendor.connector(
            connection,
            ConnectorParts(fetcher: fixture.fetcher, clock: fixture.clock.posture, random: { 0.5 }))
        #expect(await connector.sync().isComplete)
        let (connect, first, whole) = configured ?? (5, 10, 30)
        #expect(fixture.fetcher.asked.count == 3, "a token, a page and the count")
        for request in fixture.fetcher.asked {
            #expect(request.connectTimeoutMilliseconds == connect * 1_000)
            #expect(request.firstByteTimeoutMilliseconds == first * 1_000)
            #expect(request.timeoutMilliseconds == whole * 1_000)
        }
    }

    @Test("an answer that does not begin in time is a timeout, and is asked for four times")
    func late() async throws {
        let fixture = try VendorFixture(.defender)
        fixture.emulator.faults.activate(.slow, milliseconds: 1_600)
        var connection = fixture.connection()
        connection.timeouts = CallTimeouts(connectSeconds: 1, firstByteSeconds: 1, callSeconds: 30)
        let connector = try Posture.Vendor.connector(
            connection,
            ConnectorParts(fetcher: fixture.fetcher, clock: fixture.clock.posture, random: { 0.5 }))
        let failure = try #require(await connector.sync().failure)
        #expect(failure.kind == .timeout && failure.what.contains("no answer began within 1000 ms"))
    }
}
