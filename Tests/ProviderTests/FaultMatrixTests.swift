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
    "Every provider and every fault have a documented outcome; none removes or lets in a device by mistake")
struct FaultMatrixTests {
    struct Case: Sendable, CustomTestStringConvertible {
        var setup: VendorFixture.Setup
        var fault: VendorFault
        var testDescription: String { "\(setup.name) \(fault.rawValue)" }
    }

    /// Everybody with an emulator of this kind; the test below sees to it that nobody is forgotten.
    static let setups: [VendorFixture.Setup] =
        [.crowdStrike, .defender, .tanium, .workspaceOne] + VendorFixture.Setup.declared
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
        let fixture = try VendorFixture(row.setup, page: 1)
        let keys = Self.keys[row.setup.name] ?? Self.serials
        fixture.change(Self.bad(row.setup.name), of: "bob-laptop")
        var run = try await Run(fixture.connector(), clock: fixture.clock, store: Self.store.get())
        try await run.start(alice: keys.alice, bob: keys.bob)
        Self.activate(row.fault, fixture)
        try await run.finish(FaultMatrix.outcome(of: row.fault, at: row.setup.name), row.testDescription)
        #expect(fixture.fetcher.urls.allSatisfy { $0.hasPrefix(fixture.emulator.address + "/") })
    }

    /// Faults of lists, which concern no question about one device.
    static let ofLists: Set<VendorFault> = [
        .loop, .twoCycle, .sameIDs, .emptyPage, .partialPage, .crossHostNext, .errorInside, .duplicateSerial,
        .nullFields,
    ]

    @Test(
        "1.1: a question about one device during each fault: only a device that is gone is not found",
        arguments: table.filter { !ofLists.contains($0.fault) })
    func questions(_ row: Case) async throws {
        let fixture = try VendorFixture(row.setup)
        let keys = Self.keys[row.setup.name] ?? Self.serials
        var run = try await Run(fixture.connector(), clock: fixture.clock, store: Self.store.get())
        try await run.start(alice: keys.alice, bob: nil)
        Self.activate(row.fault, fixture)
        try await run.ask(FaultMatrix.outcome(of: row.fault, at: row.setup.name), row.testDescription)
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
        case _: faults.activate(fault)
        }
        if fault == .revokedSecret || fault == .expireTokens {
            fixture.emulator.state.withLock { $0.tokens = [:] }
        }
    }

    @Test("1.1: each fault of Microsoft Graph, with Intune", arguments: GraphFault.allCases)
    func intune(_ fault: GraphFault) async throws {
        let server = try SiteServer(port: 0)
        defer { server.stop() }
        let clock = TestClock()
        let devices = gatepost_lab.ManagedDevice.demo(
            serial: "LAB-ALICE-0001", deviceName: "alice-laptop", fillers: fault == .crossHostNext ? 1_001 : 3
        )
        let graph = GraphEmulator(port: server.port, devices: devices, clock: clock.lab)
        server.start(graph, clock: clock.lab, log: LabLog(isSilent: true))
        let fetcher = WatchedFetcher(clock)
        let connection = ProviderConnection(
            integration: "it", provider: "intune",
            texts: [
                "tenant": GraphEmulator.tenant, "client-id": GraphEmulator.clientID,
                "login-url": graph.address,
                "graph-url": graph.address,
            ], secrets: ["client-secret": GraphEmulator.clientSecret], allowsPlainHTTP: true)
        let connector = try Posture.Vendor.connector(
            connection, ConnectorParts(fetcher: fetcher, clock: clock.posture, random: { 0.5 }))
        var run = try await Run(connector, clock: clock, store: Self.store.get())
        try await run.start(alice: Self.serials.alice, bob: nil)
        switch fault {
        case .emptyPage, .partialPage: graph.faults.activate(fault, times: 1)
        case .slow, .drip:
            fetcher.limit(milliseconds: 400)
            graph.faults.activate(fault, milliseconds: fault == .slow ? 900 : 20)
        case _: graph.faults.activate(fault)
        }
        if [.revokedSecret, .expiredSecret, .expireTokens, .otherTenant].contains(fault) {
            graph.state.withLock { $0.expireTokens() }
        }
        try await run.finish(FaultMatrix.outcome(of: fault), "intune \(fault.rawValue)")
        #expect(fetcher.urls.allSatisfy { $0.hasPrefix(graph.address + "/") })
    }

    @Test("docs/providers/faults.md is this matrix") func page() throws {
        let names = Self.setups.map(\.name)
        var text =
            "# What happens when a provider misbehaves\n\nDuring a synchronisation, by fault and provider; "
            + "each cell is a test (`Tests/ProviderTests`). A class means: broken off with this failure, "
            + "nothing removed, nobody let "
            + "in; what is known of devices counts until its own end.\n\n"
            + "| fault | \(names.joined(separator: " | ")) |\n"
            + "| --- |\(String(repeating: " --- |", count: names.count))\n"
        for fault in VendorFault.allCases {
            let cells = names.map { FaultMatrix.outcome(of: fault, at: $0).description }
            text += "| \(fault.rawValue) | \(cells.joined(separator: " | ")) |\n"
        }
        text += "\nIntune, through Microsoft Graph:\n\n| fault | outcome |\n| --- | --- |\n"
        for fault in GraphFault.allCases {
            text += "| \(fault.rawValue) | \(FaultMatrix.outcome(of: fault)) |\n"
        }
        text +=
            "\n- *complete*: as if nothing had happened. *unproven*: read to its end, but not proven complete.\n"
            + "- *worthless*: complete, and what came lets nobody in. *ambiguous*: two records claim the device.\n"
            + "- *gone*: complete, and the device is not found from now on.\n"
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
        // The custom provider has no list: it is asked about devices that it is told (CustomTests).
        let known = Set(Self.setups.map(\.name)).union(["custom"])
        #expect(Set(VendorSite.vendors.map(\.name)) == known)
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
