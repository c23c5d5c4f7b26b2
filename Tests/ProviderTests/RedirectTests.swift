import Access
import Fetch
import JSON
import Synchronization
import Testing

@testable import Posture
@testable import gatepost_lab

/// Answers everything with one redirect to somewhere else.
final class MovedSite: Site {
    let name = "moved"
    private let status: Int
    private let location: String

    init(_ status: Int, to location: String) {
        self.status = status
        self.location = location
    }

    func answer(_ exchange: Exchange) throws {
        _ = try exchange.readBody(bytesMax: 1 << 20)
        try exchange.send(Response(status: status, fields: [("location", location)]))
    }
}

/// Where a redirect leads: nobody may come.
final class TrapSite: Site {
    let name = "trap"
    private let seen = Mutex<[String]>([])
    var visits: [String] { seen.withLock { $0 } }

    func answer(_ exchange: Exchange) throws {
        seen.withLock { $0.append(exchange.head.path) }
        try exchange.send(.json(["access_token": "t", "token_type": "Bearer", "expires_in": 600]))
    }
}

/// Real HTTP to a provider, some of whose addresses have moved to another host.
final class MovedFetcher: Fetcher {
    /// Which requests are redirected: all, or those behind the token.
    enum Part: String, CaseIterable, Sendable { case everything, behindToken }

    private static let curl = CurlFetcher()
    private let part: Part
    private let moved: SiteServer
    private let trapped: SiteServer
    private let asked = Mutex<(urls: [String], redirected: Int)>(([], 0))
    let trap = TrapSite()

    init(_ status: Int, _ part: Part, _ clock: TestClock) throws {
        self.part = part
        trapped = try SiteServer(port: 0)
        trapped.start(trap, clock: clock.lab, log: LabLog(isSilent: true))
        moved = try SiteServer(port: 0)
        let site = MovedSite(status, to: "http://127.0.0.1:\(trapped.port)/elsewhere")
        moved.start(site, clock: clock.lab, log: LabLog(isSilent: true))
    }

    deinit {
        moved.stop()
        trapped.stop()
    }

    var urls: [String] { asked.withLock { $0.urls } }
    var redirected: Int { asked.withLock { $0.redirected } }

    func fetch(_ request: FetchRequest) async throws(FetchError) -> FetchResponse {
        let isMoved = part == .everything || !request.url.contains("token")
        asked.withLock { asked in
            asked.urls.append(request.url)
            if isMoved { asked.redirected += 1 }
        }
        var request = request
        if isMoved { request.url = "http://127.0.0.1:\(moved.port)/" }
        return try await Self.curl.fetch(request)
    }
}

@Suite("A provider's redirect is followed by no client, wherever its credentials would go", .inTurn)
struct RedirectTests {
    struct Case: Sendable, CustomTestStringConvertible {
        var setup: VendorFixture.Setup
        var part: MovedFetcher.Part
        var status: Int
        var testDescription: String { "\(setup.name) \(part.rawValue) \(status)" }
    }

    static let statuses = [301, 302, 303, 307, 308]
    static let vendors = FaultMatrixTests.setups.flatMap { setup in
        MovedFetcher.Part.allCases.flatMap { part in
            statuses.map { Case(setup: setup, part: part, status: $0) }
        }
    }

    private static func check(_ fetcher: MovedFetcher, _ address: String, _ failure: ConnectorFailure?) {
        #expect(fetcher.redirected > 0, "nothing was redirected")
        #expect(fetcher.trap.visits.isEmpty, "a redirect was followed")
        #expect(fetcher.urls.allSatisfy { $0.hasPrefix(address + "/") }, "\(fetcher.urls)")
        #expect(
            [.malformedResponse, .authFailed].contains(failure?.kind), "\(String(describing: failure))")
    }

    @Test("each vendor's list", arguments: vendors.filter { $0.setup.name != "custom" })
    func lists(_ row: Case) async throws {
        let fixture = try VendorFixture(row.setup)
        let fetcher = try MovedFetcher(row.status, row.part, fixture.clock)
        let connector = try Posture.Vendor.connector(
            fixture.connection(),
            ConnectorParts(fetcher: fetcher, clock: fixture.clock.posture, random: { 0.5 }))
        let result = await connector.sync()
        #expect(!result.isComplete && result.records.isEmpty)
        Self.check(fetcher, fixture.emulator.address, result.failure)
    }

    @Test("each vendor's question about one device", arguments: vendors)
    func questions(_ row: Case) async throws {
        let fixture = try VendorFixture(row.setup)
        let fetcher = try MovedFetcher(row.status, row.part, fixture.clock)
        let connector = try Posture.Vendor.connector(
            fixture.connection(),
            ConnectorParts(fetcher: fetcher, clock: fixture.clock.posture, random: { 0.5 }))
        let keys = FaultMatrixTests.keys[row.setup.name] ?? FaultMatrixTests.serials
        let device = KnownDevice(
            id: "device-1", email: "alice@corp.example", keys: [try #require(keys.alice)])
        guard case .failed(let failure) = await connector.fetch(device) else {
            Issue.record("an answer came of a redirect")
            return
        }
        Self.check(fetcher, fixture.emulator.address, failure)
    }

    @Test("Microsoft Graph", arguments: ["intune", "entra"], statuses)
    func graph(_ provider: String, _ status: Int) async throws {
        for part in MovedFetcher.Part.allCases {
            let lab = try GraphLab()
            let fetcher = try MovedFetcher(status, part, lab.clock)
            let connector = try Posture.Vendor.connector(
                lab.connection(provider),
                ConnectorParts(fetcher: fetcher, clock: lab.clock.posture, random: { 0.5 }))
            let result = await connector.sync()
            #expect(!result.isComplete && result.records.isEmpty)
            Self.check(fetcher, lab.lab.graphAddress, result.failure)
        }
    }

    @Test("a Shared Signals transmitter", arguments: ["push", "poll"], statuses)
    func signals(_ delivery: String, _ status: Int) async throws {
        let fetcher = try MovedFetcher(status, .everything, TestClock())
        let lab = try await SignalLab(delivery, fetcher: fetcher)
        try await lab.stream.keepUp()
        let origin = lab.transmitter.address.split(separator: "/", omittingEmptySubsequences: false).prefix(3)
        Self.check(fetcher, origin.joined(separator: "/"), try await lab.report().lastFailure)
    }
}
