import Access
import Fetch
import JSON
import Signatures
import Store
import Synchronization
import Testing

@testable import Posture
@testable import gatepost_lab

@Suite("Reading Microsoft Graph in the name of an administrator")
struct DelegationTests {
    let lab: GraphLab
    let store: SQLiteStore
    let ring = KeyRing.ephemeral()

    init() throws {
        lab = try GraphLab()
        store = try GraphLab.store()
    }

    private func connector(
        _ provider: String = "entra", seed: String = GraphEmulator.refreshToken, ring: KeyRing? = nil
    ) throws -> any Connector {
        try Posture.Vendor.connector(
            lab.connection(provider) { $0.secrets = ["refresh-token": seed] },
            ConnectorParts(
                fetcher: lab.fetcher, clock: lab.clock.posture, random: { 0.5 },
                vault: .sealed(in: store, ring: ring ?? self.ring)))
    }

    private func kept(_ provider: String = "entra") async throws -> String? {
        try await store.syncState(integration: "\(provider)#refresh-token")?.deltaLink
    }

    @Test(
        "002.15 both connectors read with it, and it is shown in whose name", arguments: ["intune", "entra"])
    func reads(_ provider: String) async throws {
        let connector = try connector(provider)
        #expect(await connector.probe() == nil)
        #expect(await connector.sync().isComplete)
        #expect(await connector.status().account == "admin@corp.example")
    }

    @Test("each use replaces the token, also on disk, where it is sealed") func rotates() async throws {
        let connector = try connector()
        var texts: Set<String> = []
        for _ in 0..<3 {
            lab.graph.state.withLock { $0.expireTokens() }
            #expect(await connector.probe() == nil)
            let text = try #require(try await kept())
            texts.insert(text)
            let current = lab.graph.state.withLock { Array($0.refreshTokens.keys) }
            #expect(current.count == 1 && !text.contains(current[0]))
        }
        #expect(texts.count == 3)
    }

    @Test("after a start it goes on with the last one: the configured one is used up") func restart()
        async throws
    {
        #expect(await (try connector()).probe() == nil)
        #expect(await (try connector()).probe() == nil)
        let stranger = await (try connector(ring: .ephemeral())).probe()
        #expect(stranger?.kind == .authFailed, "without the sealing key only the configured one is left")
    }

    @Test("another configured token ends what grew from the one before") func reseeded() async throws {
        #expect(await (try connector()).probe() == nil)
        lab.graph.state.withLock { $0.refreshTokens = ["second": 0] }
        #expect(await (try connector(seed: "second")).probe() == nil)
    }

    @Test("a token that ended is named, and asked with once") func ended() async throws {
        let connector = try connector()
        #expect(await connector.probe() == nil)
        lab.clock.now += 90 * 86_400 - 1
        #expect(await connector.probe() == nil, "one second before it has been idle for 90 days")
        lab.clock.now += 90 * 86_400
        let failure = try #require(await connector.probe())
        #expect(failure.kind == .authFailed && failure.what.contains("AADSTS700082"))
        let revoked = try #require(await (try self.connector(seed: "stolen")).probe())
        #expect(revoked.kind == .authFailed && !revoked.what.contains("stolen"))
    }

    @Test("what is kept under another integration's name opens nothing") func bound() async throws {
        #expect(await (try connector("entra")).probe() == nil)
        let text = try #require(try await kept())
        try await store.upsert(
            SyncState(integration: "intune#refresh-token", completedAtSeconds: 0, deltaLink: text))
        #expect(await TokenVault.sealed(in: store, ring: ring).load("intune") == nil)
    }
}
