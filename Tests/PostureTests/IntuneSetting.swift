import Fetch
import Signatures
import Store

@testable import Posture

extension PostureService {
    /// A service with these Intune integrations, as most tests here want it.
    init(
        agents: [AgentIntegration], intune: [IntuneConnection], ring: KeyRing, store: any GatewayStore,
        fetcher: any Fetcher, clock: PostureClock = .system,
        random: @escaping @Sendable () -> Double = { Double.random(in: 0..<1) }
    ) {
        self.init(
            agents: agents,
            connectors: intune.map {
                IntuneConnector(connection: $0, fetcher: fetcher, clock: clock, random: random)
            }, ring: ring, store: store, clock: clock, random: random)
    }
}
