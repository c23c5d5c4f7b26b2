import Access
import JSON
import Signatures
import Store
import Synchronization
import Testing

@testable import Posture
@testable import gatepost_lab

@Suite("Connecting by signing in: the gateway reads in that person's name")
struct DelegatedConnectTests {
    @Test(
        "003.12 002.15 a sign-in connects, shows whose account it is, and lasts over a start",
        arguments: ["intune", "entra"])
    func signIn(_ provider: String) async throws {
        let connect = try await ConnectLab.delegated(provider)
        let before = try #require(await connect.service.probeNow(integration: "graph"))
        #expect(before.state == .notConfigured)
        #expect(before.pendingReason?.contains("gatepost integrations connect") == true)
        #expect(try await connect.connect("approve") == .connected(account: GraphEmulator.account))
        #expect(await connect.service.probeNow(integration: "graph")?.state == .configured)
        let status = try await connect.status()
        #expect(status.connection.account == GraphEmulator.account)
        #expect(status.connection.accountEndsAtSeconds == TestClock.start + 90 * 86_400)
        // Another process with the same store and key ring goes on with what was kept.
        let again = try Posture.Vendor.connector(
            connect.lab.connection(provider) {
                $0.integration = "graph"
                $0.texts["permissions"] = "delegated"
                $0.secrets = [:]
            },
            ConnectorParts(
                fetcher: connect.lab.fetcher, clock: connect.lab.clock.posture, random: { 0.5 },
                vault: .sealed(in: connect.store, ring: connect.ring)))
        #expect(await again.probe() == nil)
        #expect(await again.sync().isComplete)
    }

    @Test("000.9 the sign-in asks for the listed permissions, by code with PKCE, in no remembered name")
    func link() async throws {
        let link = try await (try await ConnectLab.delegated()).begin()
        #expect(link.isDelegated && link.url.contains("/oauth2/v2.0/authorize?"))
        for part in [
            "response_type=code", "code_challenge_method=S256", "prompt=select_account", "offline_access",
            "DeviceManagementManagedDevices.Read.All", "DeviceManagementServiceConfig.Read.All",
        ] { #expect(link.url.contains(part), "\(part)") }
        #expect(!link.url.contains("ReadWrite") && !link.url.contains("client_secret"))
    }

    @Test(
        "003.11 001.14 a sign-in that is declined, not allowed, broken or of another directory keeps nothing",
        arguments: ["decline", "no-role", "broken", "other-tenant"])
    func refused(_ decision: String) async throws {
        let connect = try await ConnectLab.delegated()
        let outcome = try await connect.connect(decision)
        switch decision {
        case "decline": #expect(outcome == .declined)
        case "no-role": #expect(outcome.word == "privilege-missing")
        case "broken": #expect(outcome == .refused("server_error, AADSTS90033"))
        case _: #expect(outcome == .wrongTenant(GraphEmulator.otherTenant))
        }
        #expect(await connect.service.probeNow(integration: "graph")?.state == .notConfigured)
        #expect(try await connect.store.syncState(integration: "graph#refresh-token") == nil)
    }

    @Test("a code of another visit is refused: its verifier and its nonce are not ours") func stolenCode()
        async throws
    {
        let connect = try await ConnectLab.delegated()
        var first = try connect.visit(try await connect.begin(), "approve")
        let second = try connect.visit(try await connect.begin(), "approve")
        first["code"] = second["code"]
        let outcome = await connect.service.connect(integration: "graph", parameters: first)
        #expect(outcome.word == "refused")
        #expect(try await connect.status().state == .pending)
    }

    @Test("a consent instead of a sign-in, and the other way round, connects nothing") func crossed()
        async throws
    {
        let delegated = try await ConnectLab.delegated()
        var answer = try delegated.visit(try await delegated.begin(), "approve")
        answer["code"] = nil
        answer["admin_consent"] = "True"
        answer["tenant"] = GraphEmulator.tenant
        #expect(
            await delegated.service.connect(integration: "graph", parameters: answer).word == "refused")
        let own = try await ConnectLab("intune")
        var consent = try own.visit(try await own.begin(), "approve")
        consent["admin_consent"] = nil
        consent["code"] = "c"
        #expect(await own.service.connect(integration: "graph", parameters: consent).word == "refused")
    }

    @Test("who connects while another name's token is under way: the new name stays") func overtaken()
        async throws
    {
        let store = try GraphLab.store()
        let vault = TokenVault.sealed(in: store, ring: .ephemeral())
        let delegation = Graph.Delegation(
            integration: "it", seed: "old-seed", application: "t/c", vault: vault)
        #expect(await delegation.token() == "old-seed")
        func answer(_ name: String) -> JSONValue {
            let claims: JSONValue = ["preferred_username": .string(name)]
            return [
                "refresh_token": .string("refresh-\(name)"),
                "id_token": .string("x.\(Base64URL.encode(claims.serialized())).x"),
            ]
        }
        await delegation.connected(answer("new"), nowSeconds: 1)
        await delegation.received(answer("old"), nowSeconds: 2)
        #expect(await delegation.token() == "refresh-new")
        #expect(await delegation.account == "new")
        #expect(await vault.load("it")?.contains("refresh-new") == true)
        await delegation.received(answer("new"), nowSeconds: 3)
        #expect(await delegation.receivedAtSeconds == 3)
    }

    @Test("002.15 a refresh token that ended makes it pending until somebody connects again") func ended()
        async throws
    {
        let connect = try await ConnectLab.delegated()
        _ = try await connect.connect("approve")
        #expect(await connect.service.probeNow(integration: "graph")?.state == .configured)
        connect.lab.graph.state.withLock { $0.refreshTokens = [:] }
        let ended = try #require(await connect.service.probeNow(integration: "graph"))
        #expect(ended.state == .pending && ended.lastFailure?.kind == .authFailed)
        #expect(try await connect.connect("approve") == .connected(account: GraphEmulator.account))
        #expect(await connect.service.probeNow(integration: "graph")?.state == .configured)
    }
}

@Suite("Which directory it is, and what it granted")
struct TenantTests {
    @Test("001.14 a verified domain is as good as the id, and its consent is compared with that id")
    func domain()
        async throws
    {
        let connect = try await ConnectLab("entra") { $0.texts["tenant"] = GraphEmulator.domain }
        #expect(try await connect.connect("approve") == .connected(account: nil))
        #expect(try await connect.connect("other-tenant") == .wrongTenant(GraphEmulator.otherTenant))
        #expect(await connect.service.probeNow(integration: "graph")?.state == .configured)
    }

    @Test("001.14 a domain of no directory is said so before anybody is sent there") func noDirectory()
        async throws
    {
        let connect = try await ConnectLab("intune") { $0.texts["tenant"] = "nobody.example" }
        let failure = await #expect(throws: ConnectorFailure.self) { try await connect.begin() }
        #expect(failure?.kind == .authFailed && failure?.what.contains("nobody.example") == true)
    }

    @Test(
        "001.14 a token of another directory is no token",
        arguments: [GraphEmulator.tenant, GraphEmulator.domain, GraphEmulator.tenant.uppercased()])
    func otherDirectory(_ tenant: String) async throws {
        let lab = try GraphLab()
        let connector = try lab.connector("intune") { $0.texts["tenant"] = tenant }
        #expect(await connector.probe() == nil)
        lab.graph.faults.activate(.otherTenant)
        await connector.forgetToken()
        let failure = try #require(await connector.probe())
        #expect(failure.kind == .authFailed && failure.what.contains(GraphEmulator.otherTenant))
    }

    @Test(
        "002.16 permissions beyond the list are reported, and those of the same application's others are not")
    func excess() async throws {
        let lab = try GraphLab()
        lab.graph.consent.withLock { $0.roles.formUnion(["Directory.ReadWrite.All", "User.Read"]) }
        let service = try PostureService(
            agents: [], providers: [lab.connection("intune"), lab.connection("entra")], ring: .ephemeral(),
            store: try GraphLab.store(), fetcher: lab.fetcher, clock: lab.clock.posture, random: { 0.5 })
        try await service.load()
        for name in ["intune", "entra"] { _ = await service.probeNow(integration: name) }
        let excess = await service.integrationStatus().map(\.connection.excessPermissions)
        #expect(excess == [["Directory.ReadWrite.All"], ["Directory.ReadWrite.All"]])
        lab.graph.consent.withLock { $0.roles = ConsentState.registered }
        for name in ["intune", "entra"] { _ = await service.probeNow(integration: name) }
        #expect(await service.integrationStatus().allSatisfy { $0.connection.excessPermissions.isEmpty })
    }

    @Test(
        "002.7 two tenants in one gateway: each is read with its own credentials, and its devices stay its own"
    )
    func twoTenants() async throws {
        let (first, second) = (try GraphLab(), try GraphLab(fillers: 0))
        _ = second.graph.directory.withLock { $0.change(GraphLab.alice, ["isCompliant": false]) }
        let service = try PostureService(
            agents: [],
            providers: [
                first.connection("entra") { $0.integration = "north" },
                second.connection("entra") { $0.integration = "south" },
            ], ring: .ephemeral(), store: try GraphLab.store(), fetcher: first.fetcher,
            clock: first.clock.posture, random: { 0.5 })
        try await service.load()
        for name in ["north", "south"] {
            #expect(await service.reconnect(integration: name)?.state == .configured)
        }
        let known = await service.integrationStatus().map(\.devicesKnown)
        #expect(known == [5, 2])
        let key = try #require(DeviceKey(.entra, GraphLab.alice))
        let states = [
            await service.cache.records(of: "north", key: key).map(\.verdict.state),
            await service.cache.records(of: "south", key: key).map(\.verdict.state),
        ]
        #expect(states == [[.compliant], [.noncompliant]])
        second.graph.faults.activate(.revokedSecret)
        #expect(await service.reconnect(integration: "south")?.state == .pending)
        #expect(await service.integrationStatus().map(\.state) == [.configured, .pending])
    }
}
