import Access
import Fetch
import Foundation
import JSON
import Signatures
import Store
import Synchronization
import Testing

@testable import Posture
@testable import gatepost_lab

@Suite(
    "Every provider and every fault have a documented outcome; none removes or lets in a device by mistake",
    .inTurn)
struct FaultMatrixTests {
    struct Case: Sendable, CustomTestStringConvertible {
        var setup: VendorFixture.Setup
        var fault: VendorFault
        var testDescription: String { "\(setup.name) \(fault.rawValue)" }
    }

    /// Everybody with an emulator of this kind; the test below sees to it that nobody is forgotten.
    static let setups: [VendorFixture.Setup] =
        [.crowdStrike, .defender, .tanium, .workspaceOne] + VendorFixture.Setup.declared + [.custom]
    static let table = setups.flatMap { setup in VendorFault.allCases.map { Case(setup: setup, fault: $0) } }
    /// Alice's and Bob's devices, by a key that each vendor has.
    static let keys: [String: (alice: DeviceKey?, bob: DeviceKey?)] = [
        "defender": (
            DeviceKey(.entra, "9d3e2c10-7f6a-4f0e-8f30-000000000001"),
            DeviceKey(.entra, "9d3e2c10-7f6a-4f0e-8f30-000000000002")
        )
    ]
    static let serials = (
        alice: DeviceKey(.serial, "LAB-ALICE-0001"), bob: DeviceKey(.serial, "LAB-BOB-0001")
    )
    /// One for the whole run. Its folder goes at once: what is stored is read by nobody here.
    private static let store = Result {
        let folder = NSTemporaryDirectory() + "matrix-\(UUID())"
        defer { try? FileManager.default.removeItem(atPath: folder) }
        return try SQLiteStore(folder: folder)
    }

    @Test("1.1: each fault at each vendor", arguments: table) func vendors(_ row: Case) async throws {
        let fixture = try VendorFixture(row.setup, page: 1, isTLS: row.fault.certificate != nil)
        let run = try await Self.begin(fixture)
        let asked = fixture.fetcher.asked.count
        Self.activate(row.fault, fixture)
        let outcome = FaultMatrix.outcome(of: row.fault, at: row.setup.name)
        try await run.finish(outcome, row.testDescription)
        Run.held(outcome, happened: Self.happened(row.fault, fixture, since: asked), row.testDescription)
        #expect(fixture.fetcher.urls.allSatisfy { $0.hasPrefix(fixture.emulator.address + "/") })
    }

    @Test("1.2: a provider's clock that is wrong", arguments: setups, FaultMatrix.clocks.map(\.seconds))
    func clocks(_ setup: VendorFixture.Setup, _ seconds: Int64) async throws {
        let fixture = try VendorFixture(setup, page: 1)
        let run = try await Self.begin(fixture)
        fixture.vendorClock.setOffset(seconds: seconds)
        try await run.finish(
            FaultMatrix.outcome(ofClock: seconds, at: setup.name), "\(setup.name) clock \(seconds)")
    }

    /// After a good synchronisation: Alice's device is compliant, Bob's is not or is not asked about.
    private static func begin(_ fixture: VendorFixture) async throws -> Run {
        let name = fixture.setup.name
        let keys = keys[name] ?? serials
        fixture.change(bad(name), of: "bob-laptop")
        let isCustom = name == VendorFixture.Setup.custom.name
        var run = try await Run(
            fixture.connector(), clock: fixture.clock, store: isCustom ? GraphLab.store() : store.get(),
            serial: isCustom ? serials.alice?.value : nil)
        try await run.start(alice: keys.alice, bob: isCustom ? nil : keys.bob)
        return run
    }

    /// Faults of lists, which concern no question about one device.
    static let ofLists: Set<VendorFault> = [
        .loop, .twoCycle, .sameIDs, .emptyPage, .partialPage, .crossHostNext, .errorInside, .duplicateSerial,
        .nullFields,
    ]

    @Test(
        "1.1: a question about one device during each fault: only a device that is gone is not found",
        arguments: table.filter { !ofLists.contains($0.fault) && $0.setup.name != "custom" })
    func questions(_ row: Case) async throws {
        let fixture = try VendorFixture(row.setup, isTLS: row.fault.certificate != nil)
        let keys = Self.keys[row.setup.name] ?? Self.serials
        var run = try await Run(fixture.connector(), clock: fixture.clock, store: Self.store.get())
        try await run.start(alice: keys.alice, bob: nil)
        let asked = fixture.fetcher.asked.count
        Self.activate(row.fault, fixture)
        let outcome = FaultMatrix.outcome(of: row.fault, at: row.setup.name)
        try await run.ask(outcome, row.testDescription)
        Run.held(outcome, happened: Self.happened(row.fault, fixture, since: asked), row.testDescription)
        #expect(fixture.fetcher.urls.allSatisfy { $0.hasPrefix(fixture.emulator.address + "/") })
    }

    private static func activate(_ fault: VendorFault, _ fixture: VendorFixture) {
        let faults = fixture.emulator.faults
        switch fault {
        // Once: an empty page that is followed by nothing but empty pages never ends.
        case .emptyPage: faults.activate(fault, times: 1)
        case .slow, .drip:
            fixture.fetcher.limit(milliseconds: 250)
            faults.activate(fault, milliseconds: fault == .slow ? 600 : 20)
        case .rawBody:
            faults.activate(
                fault, .init(milliseconds: 0, retryAfterSeconds: 0, body: Array("\u{0}no document".utf8)))
        case _: faults.activate(fault)
        }
        if [.revokedSecret, .expireTokens, .wrongCloud].contains(fault) {
            fixture.emulator.state.withLock { $0.tokens = [:] }
        }
    }

    /// Tokens are taken away here, not by the emulator: that one was to be used shows by the question for the next.
    private static func happened(_ fault: VendorFault, _ fixture: VendorFixture, since asked: Int) -> Bool {
        fixture.emulator.faults.timesHappened(fault) > 0
            || fault == .expireTokens && isTokenAsked(fixture.fetcher, since: asked)
    }

    private static func isTokenAsked(_ fetcher: WatchedFetcher, since asked: Int) -> Bool {
        fetcher.urls.dropFirst(asked).contains { $0.hasSuffix("/token") }
    }

    @Test("1.1: each fault of Microsoft Graph, with Intune", arguments: GraphFault.allCases)
    func intune(_ fault: GraphFault) async throws {
        try await graph("intune", fault, alice: Self.serials.alice, FaultMatrix.outcome(of: fault))
    }

    @Test("1.1: each fault of Microsoft Graph, with Entra", arguments: GraphFault.allCases)
    func entra(_ fault: GraphFault) async throws {
        try await graph(
            "entra", fault, alice: DeviceKey(.entra, GraphLab.alice), FaultMatrix.entra(fault))
    }

    private func graph(
        _ provider: String, _ fault: GraphFault, alice: DeviceKey?, _ outcome: FaultOutcome
    ) async throws {
        let server = try SiteServer(port: 0)
        defer { server.stop() }
        let clock = TestClock()
        let lab = clock.lab
        let devices = gatepost_lab.ManagedDevice.demo(
            serial: "LAB-ALICE-0001", deviceName: "alice-laptop", fillers: fault == .crossHostNext ? 1_001 : 3
        )
        let isTLS = fault.certificate != nil
        let graph = GraphEmulator(
            port: server.port, devices: devices, clock: lab, scheme: isTLS ? "https" : "http")
        let tls = isTLS ? ServerTLS { graph.certificateFault() } : nil
        server.start(graph, clock: lab, log: LabLog(isSilent: true), tls: tls)
        let fetcher = WatchedFetcher(clock)
        let connection = ProviderConnection(
            integration: "it", provider: provider,
            texts: [
                "tenant": GraphEmulator.tenant, "client-id": GraphEmulator.clientID,
                "login-url": graph.address,
                "graph-url": graph.address,
            ], secrets: ["client-secret": GraphEmulator.clientSecret], authoritiesPEM: tls?.authoritiesPEM,
            allowsPlainHTTP: !isTLS)
        let connector = try Posture.Vendor.connector(
            connection, ConnectorParts(fetcher: fetcher, clock: clock.posture, random: { 0.5 }))
        var run = try await Run(connector, clock: clock, store: Self.store.get())
        try await run.start(alice: alice, bob: nil)
        // Of what did not change a list of changes says nothing, spoiled or not.
        graph.directory.withLock { directory in
            for device in directory.devices { _ = directory.change(device.id, [:]) }
        }
        let asked = fetcher.asked.count
        Self.activate(fault, graph.faults, fetcher)
        if [.revokedSecret, .expiredSecret, .expireTokens, .otherTenant].contains(fault) {
            graph.state.withLock { $0.expireTokens() }
        }
        let name = "\(provider) \(fault.rawValue)"
        try await run.finish(outcome, name)
        let happened =
            graph.faults.timesHappened(fault) > 0
            || fault == .expireTokens && Self.isTokenAsked(fetcher, since: asked)
        Run.held(outcome, happened: happened, name)
        #expect(fetcher.urls.allSatisfy { $0.hasPrefix(graph.address + "/") })
    }

    private static func activate(
        _ fault: GraphFault, _ faults: FaultSwitch<GraphFault>, _ fetcher: WatchedFetcher
    ) {
        switch fault {
        case .emptyPage, .partialPage: faults.activate(fault, times: 1)
        case .slow, .drip:
            fetcher.limit(milliseconds: 400)
            faults.activate(fault, milliseconds: fault == .slow ? 900 : 20)
        case .rawBody:
            faults.activate(
                fault, .init(milliseconds: 0, retryAfterSeconds: 0, body: Array("\u{0}no document".utf8)))
        case _: faults.activate(fault)
        }
    }

    @Test("docs/providers/faults.md is this matrix") func page() throws {
        let names = Self.setups.map(\.name)
        var text =
            "# What happens when a provider misbehaves\n\nDuring a synchronisation, by fault and provider; "
            + "each cell is a test (`Tests/ProviderTests`). A class in code font means: broken off with this failure, "
            + "nothing removed, nobody let in; what is known of devices counts until its own end. "
            + "What follows for people, "
            + "by the application's `outage`, is below the tables.\n\n"
            + "| fault | \(names.joined(separator: " | ")) |\n"
            + "| --- |\(String(repeating: " --- |", count: names.count))\n"
        for fault in VendorFault.allCases {
            let cells = names.map { FaultMatrix.outcome(of: fault, at: $0).description }
            text += "| \(fault.rawValue) | \(cells.joined(separator: " | ")) |\n"
        }
        for (seconds, name) in FaultMatrix.clocks {
            let cells = names.map { FaultMatrix.outcome(ofClock: seconds, at: $0).description }
            text += "| \(name) | \(cells.joined(separator: " | ")) |\n"
        }
        text += "\nThrough Microsoft Graph:\n\n| fault | intune | entra |\n| --- | --- | --- |\n"
        for fault in GraphFault.allCases {
            text +=
                "| \(fault.rawValue) | \(FaultMatrix.outcome(of: fault)) | \(FaultMatrix.entra(fault)) |\n"
        }
        text +=
            "\n- *complete*: as if nothing had happened. *unproven*: read to its end, but not proven complete.\n"
            + "- *outdated*: complete, but older than what was known, which stays until its own end.\n"
            + "- *worthless*: complete, and what came lets nobody in. *ambiguous*: two records claim the device.\n"
            + "- *gone*: complete, and the device is not found from now on.\n"
            + "- *n/a*: cannot happen there during a synchronisation.\n"
            + "- Entra is read by what changed; in its column every device has.\n"
        text += FaultPage.outages() + FaultPage.signals()
        let root = URL(fileURLWithPath: #filePath).resolvingSymlinksInPath().deletingLastPathComponent()
            .deletingLastPathComponent().deletingLastPathComponent().path
        let path = "\(root)/docs/providers/faults.md"
        if ProcessInfo.processInfo.environment["UPDATE_GOLDEN"] == "1" {
            try Data(text.utf8).write(to: URL(fileURLWithPath: path))
        }
        #expect(
            try String(contentsOfFile: path, encoding: .utf8) == text, "run with UPDATE_GOLDEN=1 and review")
    }

    @Test("the matrix has a row for every vendor that has an emulator") func total() {
        #expect(Set(VendorSite.vendors.map(\.name)) == Set(Self.setups.map(\.name)))
    }

    /// What makes a device of this vendor's demo not compliant.
    static func bad(_ vendor: String) -> JSONObject {
        switch vendor {
        case "crowdstrike": ["status": "contained"]
        case "tanium": ["riskLevel": "Unheard"]
        case _: [:]
        }
    }
}
