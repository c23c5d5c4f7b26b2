import Access
import Foundation
import JSON
import Signatures
import Store
import Synchronization
import Testing

@testable import Posture
@testable import gatepost_lab

/// An administrator's browser between the gateway and the lab's directory.
struct ConnectLab {
    static let redirectURI = "https://auth.corp.example/.gatepost/connect/graph"

    let lab: GraphLab
    let store: SQLiteStore
    let ring = KeyRing.ephemeral()
    let service: PostureService

    init(_ provider: String, _ change: (inout ProviderConnection) -> Void = { _ in }) async throws {
        lab = try GraphLab()
        store = try GraphLab.store()
        service = try PostureService(
            agents: [],
            providers: [
                lab.connection(provider) {
                    $0.integration = "graph"
                    change(&$0)
                }
            ], ring: ring, store: store, fetcher: lab.fetcher, clock: lab.clock.posture, random: { 0.5 })
        try await service.load()
    }

    /// As `init`, with a sign-in instead of the application's own permissions.
    static func delegated(_ provider: String = "intune") async throws -> ConnectLab {
        try await ConnectLab(provider) {
            $0.texts["permissions"] = "delegated"
            $0.secrets = [:]
        }
    }

    func begin() async throws -> ConnectLink {
        try await service.connectLink(integration: "graph", redirectURI: Self.redirectURI)
    }

    /// Opens the link, chooses on the page, and gives what the directory sends back.
    func visit(_ link: ConnectLink, _ decision: String) throws -> [String: String] {
        let client = LabClient(port: lab.lab.servers[1].port)
        let parts = try #require(link.url.firstIndex(of: "?"))
        let query = String(link.url[link.url.index(after: parts)...])
        let path = String(link.url[..<parts].dropFirst(lab.lab.graphAddress.count))
        #expect(try client.send("GET", "\(path)?\(query)").status == 200)
        let answer = try client.send(
            "POST", path, fields: [("Content-Type", "application/x-www-form-urlencoded")],
            body: Array("\(query)&decision=\(decision)".utf8))
        let location = answer.fields.first { $0.name == "location" }?.value ?? ""
        #expect(location.hasPrefix(Self.redirectURI + "?"))
        let found = Parameters(parsing: String(location.dropFirst(Self.redirectURI.count + 1)))
        return Dictionary(try #require(found).pairs.map { ($0.name, $0.value) }) { first, _ in first }
    }

    func connect(_ decision: String) async throws -> ConnectOutcome {
        await service.connect(integration: "graph", parameters: try visit(try await begin(), decision))
    }

    func status() async throws -> IntegrationStatus {
        try #require(await service.integrationStatus().first)
    }
}

@Suite("Connecting an integration in a browser, against the lab's directory")
struct ConnectTests {
    @Test(
        "000.8 000.11 001.16 consent leads from pending to configured, with a token made after it",
        arguments: ["intune", "entra"])
    func consent(_ provider: String) async throws {
        let connect = try await ConnectLab(provider)
        connect.lab.graph.consent.withLock { $0.roles = [] }
        let before = try #require(await connect.service.probeNow(integration: "graph"))
        #expect(before.state == .pending && before.pendingReason?.contains("(application)") == true)
        #expect(try await connect.connect("approve") == .connected(account: nil))
        let after = try #require(await connect.service.probeNow(integration: "graph"))
        #expect(after.state == .configured && after.pendingReason == nil)
        let kinds = try await connect.store.audit(limit: 10).map(\.kind)
        #expect(kinds.contains("integration-connect-ended"))
    }

    @Test("000.11 reconnecting asks for a new token: the old one has the old permissions for an hour")
    func reconnect() async throws {
        let connect = try await ConnectLab("intune")
        connect.lab.graph.consent.withLock { $0.roles = [] }
        #expect(await connect.service.reconnect(integration: "graph")?.state == .pending)
        connect.lab.graph.consent.withLock { $0.roles = ConsentState.registered }
        #expect(await connect.service.reconnect(integration: "graph")?.state == .configured)
        // A configured one is probed as well: what was taken away shows at once.
        connect.lab.graph.consent.withLock { $0.roles = [] }
        let taken = try #require(await connect.service.reconnect(integration: "graph"))
        #expect(taken.state == .pending)
        #expect(taken.pendingReason?.contains("DeviceManagementManagedDevices.Read.All") == true)
    }

    @Test("000.9 the link asks the configured directory for what is registered, and for nothing else")
    func link() async throws {
        let link = try await (try await ConnectLab("intune")).begin()
        let url = try #require(URLComponents(string: link.url))
        #expect(url.path == "/\(GraphEmulator.tenant)/v2.0/adminconsent")
        let items = Dictionary(
            (url.queryItems ?? []).map { ($0.name, $0.value ?? "") }, uniquingKeysWith: { first, _ in first })
        #expect(Set(items.keys) == ["client_id", "redirect_uri", "state", "scope"])
        #expect(items["redirect_uri"] == ConnectLab.redirectURI)
        #expect(items["scope"]?.hasSuffix("/.default") == true)
        #expect(link.expiresAtSeconds == TestClock.start + 900 && !link.isDelegated)
        #expect(link.role.contains("Privileged Role Administrator"))
    }

    @Test(
        "000.8 003.11 each answer of the directory has its own outcome, and none of the bad ones connects",
        arguments: [
            ("decline", ConnectOutcome.declined), ("other-tenant", .wrongTenant(GraphEmulator.otherTenant)),
            (
                "no-role",
                .privilegeMissing(role: "Privileged Role Administrator (or Global Administrator)")
            ), ("broken", .refused("server_error, AADSTS90033")),
        ])
    func refusals(_ decision: String, _ outcome: ConnectOutcome) async throws {
        let connect = try await ConnectLab("intune")
        connect.lab.graph.consent.withLock { $0.roles = [] }
        #expect(try await connect.connect(decision) == outcome)
        #expect(await connect.service.probeNow(integration: "graph")?.state == .pending)
    }

    @Test("000.8 a state is good once, for fifteen minutes, for its integration, unchanged") func states()
        async throws
    {
        let connect = try await ConnectLab("intune")
        let good = try connect.visit(try await connect.begin(), "approve")
        var bent = good
        bent["state"] = (good["state"] ?? "").replacing("A", with: "B") + "A"
        for parameters in [bent, good.filter { $0.key != "state" }, ["state": "x", "admin_consent": "True"]] {
            #expect(
                await connect.service.connect(integration: "graph", parameters: parameters) == .stateUnknown)
        }
        #expect(
            await connect.service.connect(integration: "other", parameters: good) == .noSuchIntegration)
        #expect(
            await connect.service.connect(integration: "graph", parameters: good)
                == .connected(account: nil))
        #expect(await connect.service.connect(integration: "graph", parameters: good) == .stateUsed)
        for (seconds, outcome) in [
            (899, ConnectOutcome.connected(account: nil)), (900, .stateUnknown),
        ] as [(Int64, ConnectOutcome)] {
            let late = try connect.visit(try await connect.begin(), "approve")
            connect.lab.clock.now += seconds
            #expect(await connect.service.connect(integration: "graph", parameters: late) == outcome)
        }
        let foreign = ConnectState(
            tenant: GraphEmulator.tenant, redirectURI: ConnectLab.redirectURI,
            nowSeconds: connect.lab.clock.now)
        let sealer = Sealer(ring: connect.ring)
        #expect(
            await connect.service.connect(
                integration: "graph",
                parameters: ["state": foreign.sealed(for: "other", sealer), "admin_consent": "True"])
                == .stateUnknown, "made for another integration")
    }

    @Test("000.8 many answers with one state: one of them counts") func once() async throws {
        let connect = try await ConnectLab("intune")
        let good = try connect.visit(try await connect.begin(), "approve")
        let service = connect.service
        let outcomes = await withTaskGroup(of: ConnectOutcome.self) { group in
            for _ in 0..<8 {
                group.addTask { await service.connect(integration: "graph", parameters: good) }
            }
            return await group.reduce(into: []) { $0.append($1) }
        }
        #expect(outcomes.filter { $0 == .connected(account: nil) }.count == 1)
        #expect(outcomes.filter { $0 == .stateUsed }.count == 7)
    }

    @Test(
        "an answer that is no answer is refused",
        arguments: [
            ([:], ConnectAnswer.unreadable), (["admin_consent": "False"], .unreadable),
            (["admin_consent": "TRUE", "tenant": "t"], .consented(tenant: "t")), (["code": ""], .unreadable),
            (["code": String(repeating: "c", count: 4_097)], .unreadable),
            (["code": "c", "error": "access_denied"], .refused("access_denied", number: nil)),
            (
                ["error": "x\u{1b}[2J", "error_description": "AADSTS90094: no"],
                .refused("x?[2J", number: 90_094)
            ),
            (["error": "x", "error_description": "AADSTS"], .refused("x", number: nil)),
            (
                ["error": "x", "error_description": "AADSTS99999999999999999999"],
                .refused("x", number: 999_999_999_999)
            ),
        ] as [([String: String], ConnectAnswer)])
    func answers(_ parameters: [String: String], _ answer: ConnectAnswer) {
        #expect(ConnectAnswer(parameters) == answer)
    }

    @Test("what is connected elsewhere needs no browser, and says what to do") func notConnectable()
        async throws
    {
        let lab = try GraphLab()
        let connection = ProviderConnection(
            integration: "fleet", provider: "fleet", texts: ["base-url": "http://127.0.0.1:1"],
            secrets: ["api-token": "t"], allowsPlainHTTP: true)
        let service = try PostureService(
            agents: [], providers: [connection], ring: .ephemeral(), store: try GraphLab.store(),
            fetcher: lab.fetcher, clock: lab.clock.posture)
        for (name, words) in [("fleet", "needs no consent"), ("nobody", "no provider integration")] {
            let failure = await #expect(throws: ConnectorFailure.self) {
                try await service.connectLink(integration: name, redirectURI: ConnectLab.redirectURI)
            }
            #expect(failure?.what.contains(words) == true)
        }
        #expect(await service.connect(integration: "fleet", parameters: [:]) == .noSuchIntegration)
    }
}
