import Fetch
import JSON
import Synchronization
import Testing

@testable import Posture
@testable import gatepost_lab

/// A vendor's emulator on a port of its own and the connector that asks it over loopback HTTP, with one clock
/// for both.
final class VendorFixture: Sendable {
    /// What an administrator would have written for the emulator's demo account.
    struct Setup: Sendable {
        var name: String
        var texts: @Sendable (_ address: String) -> [String: String]
        var secrets: [String: String]
        var deviceAgeSecondsMax: Int64 = 86_400
    }

    let setup: Setup
    let clock = TestClock()
    let fetcher: WatchedFetcher
    let site: VendorSite
    /// The emulator's own clock.
    let vendorClock: LabClock
    private let server: SiteServer
    private let tls: ServerTLS?

    /// - Parameters:
    ///   - page: how many records a page of the emulator holds at most.
    ///   - isTLS: whether the emulator is reached over TLS.
    init(_ setup: Setup, page: Int? = nil, isTLS: Bool = false) throws {
        self.setup = setup
        server = try SiteServer(port: 0)
        vendorClock = clock.lab
        let site = VendorSite(port: server.port, clock: vendorClock, scheme: isTLS ? "https" : "http")
        self.site = site
        tls = isTLS ? ServerTLS { site.certificateFault() } : nil
        server.start(site, clock: vendorClock, log: LabLog(isSilent: true), tls: tls)
        fetcher = WatchedFetcher(clock)
        let emulator = try #require(site.emulators[setup.name])
        emulator.state.withLock { $0.pageMax = page }
        self.emulator = emulator
    }

    deinit { server.stop() }

    let emulator: VendorEmulator

    func connection(_ replaced: [String: String] = [:]) -> ProviderConnection {
        ProviderConnection(
            integration: "it", provider: setup.name,
            texts: setup.texts(emulator.address).merging(replaced) { $1 }, secrets: setup.secrets,
            deviceAgeSecondsMax: setup.deviceAgeSecondsMax, authoritiesPEM: tls?.authoritiesPEM,
            allowsPlainHTTP: tls == nil)
    }

    func connector(_ replaced: [String: String] = [:]) throws -> any Connector {
        try Vendor.connector(
            connection(replaced),
            ConnectorParts(fetcher: fetcher, clock: clock.posture, random: { 0.5 }))
    }

    /// Writes members over a device of the demo, by the name of its person's laptop.
    func change(_ members: JSONObject, of name: String = "alice-laptop") {
        emulator.state.withLock { state in
            for index in state.devices.indices where state.devices[index].name == name {
                for member in members.members { state.devices[index].record[member.name] = member.value }
            }
        }
    }

    /// Calls so far whose path has this in it.
    func calls(_ part: String) -> Int {
        emulator.state.withLock { $0.calls }.filter { $0.key.contains(part) }.map(\.value).reduce(0, +)
    }
}

extension VendorFixture.Setup: CustomTestStringConvertible {
    var testDescription: String { name }
}

/// Real HTTP, watched: which addresses were asked, with which fields, and what happens in between.
final class WatchedFetcher: Fetcher {
    private struct State {
        var asked: [FetchRequest] = []
        var timeoutMilliseconds: Int?
        var before: (@Sendable (Int) -> Void)?
    }
    private static let curl = CurlFetcher()
    private let state = Mutex(State())
    private let clock: TestClock

    init(_ clock: TestClock) { self.clock = clock }

    var asked: [FetchRequest] { state.withLock { $0.asked } }
    var urls: [String] { asked.map(\.url) }

    /// Gives up sooner than the product does.
    func limit(milliseconds: Int?) { state.withLock { $0.timeoutMilliseconds = milliseconds } }
    /// Is called with the number of each request, before it is sent.
    func before(_ action: @escaping @Sendable (Int) -> Void) { state.withLock { $0.before = action } }

    func fetch(_ request: FetchRequest) async throws(FetchError) -> FetchResponse {
        let (number, limit, before) = state.withLock { state in
            state.asked.append(request)
            return (state.asked.count - 1, state.timeoutMilliseconds, state.before)
        }
        before?(number)
        var request = request
        if let limit { request.timeoutMilliseconds = limit }
        return try await Self.curl.fetch(request)
    }
}
