import Fetch
import Foundation
import JSON
import Synchronization
import Testing

@testable import Posture
@testable import gatepost_lab

@Suite("How large and how deep a provider's page may be, over HTTP (providers.md 1.1)")
struct BodyLimitTests {
    /// Answers every call with the same bytes.
    private final class Page: Site {
        let name = "page"
        let body: [UInt8]
        init(_ body: [UInt8]) { self.body = body }

        func answer(_ exchange: Exchange) throws {
            var response = Response.json(.null)
            response.body = body
            try exchange.send(response)
        }
    }

    private func answer(to body: [UInt8]) async throws -> ConnectorFailure? {
        let clock = TestClock()
        let server = try SiteServer(port: 0)
        defer { server.stop() }
        server.start(Page(body), clock: clock.lab, log: LabLog(isSilent: true))
        let client = ConnectorParts(fetcher: CurlFetcher(), clock: clock.posture, random: { 0.5 }).client(
            ProviderAPI(
                name: "Page", base: "http://127.0.0.1:\(server.port)", credentials: .fixed([]),
                allowsPlainHTTP: true))
        do throws(ConnectorFailure) {
            _ = try await client.get("/page", waitSecondsMax: 1)
            return nil
        } catch {
            return error
        }
    }

    private static func text(bytes: Int) -> [UInt8] {
        [0x22] + [UInt8](repeating: 0x61, count: bytes - 2) + [0x22]
    }

    @Test("15.9 MiB and exactly 16 MiB are read, one byte more is a malformed response")
    func bytes() async throws {
        #expect(try await answer(to: Self.text(bytes: 16_672_358)) == nil)
        #expect(try await answer(to: Self.text(bytes: 16 << 20)) == nil)
        #expect(try await answer(to: Self.text(bytes: 16 << 20 | 1))?.kind == .malformedResponse)
    }

    @Test("64 levels are read, 65 are a malformed response") func depth() async throws {
        func nested(_ depth: Int) -> [UInt8] {
            [UInt8](repeating: 0x5b, count: depth) + [UInt8](repeating: 0x5d, count: depth)
        }
        #expect(try await answer(to: nested(64)) == nil)
        #expect(try await answer(to: nested(65))?.kind == .malformedResponse)
    }

    /// As the vendor describes one, with a few adapters and tags: some 1.7 KB.
    private static func machine(_ number: Int) -> VendorDevice {
        let digits = String(number + 100_000)
        var machine = Defender.machine(
            String(repeating: "c", count: 34) + digits, entra: "9d3e2c10-7f6a-4f0e-8f31-000000\(digits)",
            name: "lt-\(digits)", health: "Active", risk: "None")
        machine.record["ipAddresses"] = .array(
            (0..<9).map { adapter in
                [
                    "ipAddress": .string("fe80::7c21:4aff:fe0b:\(adapter)c\(digits.suffix(2))"),
                    "macAddress": .string("7C214A\(digits)"), "operationalStatus": "Up",
                    "type": "Wireless80211",
                ]
            })
        machine.record["machineTags"] = .array(
            (0..<6).map { .string("site-\($0)-of-the-organisation-\(digits)") })
        return machine
    }

    @Test("10,000 machines as they really are come in pages that can be read, and prove to be all of them")
    func manyMachines() async throws {
        let fixture = try VendorFixture(.defender)
        fixture.emulator.state.withLock { $0.devices = (0..<10_000).map(Self.machine) }
        let all = fixture.emulator.records(nowSeconds: fixture.clock.now).prefix(100).map {
            JSONValue.object($0).serialized().count
        }
        #expect(all.reduce(0, +) > 170_000, "as one page they would be more than 16 MiB")
        let result = try await fixture.connector().sync()
        #expect(result.failure == nil && result.isComplete && result.records.count == 10_000)
    }
}
