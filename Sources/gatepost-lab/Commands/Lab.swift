/// The running sites and what they are called.

import JSON
import Synchronization

final class Lab: Sendable {
    let provider: OpenIDProvider
    /// The directory's tenant, on the provider's port.
    let tenant: OpenIDProvider
    let graph: GraphEmulator
    let vendors: VendorSite
    let servers: [SiteServer]

    /// Binds the four ports (0: any free one) and starts to answer.
    init(
        ports: (openid: UInt16, graph: UInt16, echo: UInt16), clients: [Client], devices: [ManagedDevice],
        vendorsPort: UInt16 = 0, tenantClients: [Client] = [], clock: LabClock = LabClock(),
        gatewayAuthoritiesPEM: [UInt8]? = nil, log: LabLog
    ) throws(ListenError) {
        let openidServer = try SiteServer(port: ports.openid)
        let graphServer = try SiteServer(port: ports.graph)
        let echoServer = try SiteServer(port: ports.echo)
        let vendorsServer = try SiteServer(port: vendorsPort)
        servers = [openidServer, graphServer, echoServer, vendorsServer]
        let graph = GraphEmulator(port: graphServer.port, devices: devices, clock: clock)
        self.graph = graph
        vendors = VendorSite(port: vendorsServer.port, clock: clock) { push in
            graph.directory.withLock { $0.take(push) }
        }
        tenant = OpenIDProvider(
            port: openidServer.port, clients: tenantClients, clock: clock,
            tenant: OpenIDProvider.Tenant(id: GraphEmulator.tenant) { id in
                graph.state.withLock { state in
                    state.devices.first { $0.members["azureADDeviceId"]?.string == id }?
                        .members["complianceState"]?.string
                }
            })
        provider = OpenIDProvider(
            port: openidServer.port, clients: clients, clock: clock, below: tenant,
            logoutSender: LogoutSender(authoritiesPEM: gatewayAuthoritiesPEM))
        openidServer.start(provider, clock: clock, log: log)
        graphServer.start(graph, clock: clock, log: log)
        echoServer.start(EchoApplication(), clock: clock, log: log)
        vendorsServer.start(vendors, clock: clock, log: log)
    }

    func stop() { servers.forEach { $0.stop() } }

    var openidAddress: String { provider.issuer }
    var graphAddress: String { graph.address }
    var echoAddress: String { "http://127.0.0.1:\(servers[2].port)" }

    /// The first line on standard output and the content of lab.json.
    var summary: JSONValue {
        let device = graph.state.withLock { $0.devices.first }
        return [
            "openid": .integer(Int64(servers[0].port)), "graph": .integer(Int64(servers[1].port)),
            "echo": .integer(Int64(servers[2].port)), "vendors": .integer(Int64(servers[3].port)),
            "issuer": .string(provider.issuer), "tenantIssuer": .string(tenant.issuer),
            "graphAddress": .string(graphAddress), "echoAddress": .string(echoAddress),
            "clients": .array(
                (provider.clients + tenant.clients).map { client in
                    [
                        "id": .string(client.id), "secret": .string(client.secret),
                        "redirectURIs": .array(client.redirectURIs.map { .string($0) }),
                    ]
                }),
            "tenant": .string(GraphEmulator.tenant), "graphClient": .string(GraphEmulator.clientID),
            "graphSecret": .string(GraphEmulator.clientSecret),
            "device": .string(device?.id ?? ""),
            "directoryDevice": device?.members["azureADDeviceId"] ?? "",
            "serial": device?.members["serialNumber"] ?? "",
        ]
    }
}
