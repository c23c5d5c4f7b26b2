import Access
import JSON
import Signatures
import Store
import Synchronization
import Testing

@testable import Posture
@testable import gatepost_lab

@Suite("Our own verdict in the directory, against the lab's")
struct PublishingTests {
    let lab: GraphLab
    let store: SQLiteStore

    init() throws {
        lab = try GraphLab()
        store = try GraphLab.store()
        lab.graph.consent.withLock { $0.roles.formUnion(["Device.ReadWrite.All"]) }
    }

    private func connector(_ isOn: Bool = true) throws -> any Connector {
        try lab.connector("entra") { if isOn { $0.texts["publish-verdict"] = "true" } }
    }

    private func service(_ connector: any Connector) async throws -> PostureService {
        let service = try await lab.service(connector, store: store)
        _ = await service.reconnect(integration: "entra")
        return service
    }

    private var writes: [(id: String, members: JSONObject)] { lab.graph.directory.withLock { $0.writes } }

    @Test(
        "001.2 001.24 a change is written to the device's own object, once, and read back by the next delta")
    func written() async throws {
        let connector = try connector()
        let service = try await service(connector)
        #expect(service.publishes)
        let state = PublishedState(isCompliant: false, isManaged: true)
        await service.publish(state, deviceID: "device-1")
        #expect(await service.publishNext(to: connector))
        await service.publish(state, deviceID: "device-1")
        #expect(await !service.publishNext(to: connector))
        let written = writes
        #expect(written.map(\.id) == [GraphLab.aliceObject])
        #expect(written.first?.members == ["isCompliant": false, "isManaged": true])
        let publication = try #require(await service.publicationsOf(deviceID: "device-1").first)
        #expect(publication.state == state && publication.atSeconds == lab.clock.now)
        _ = await service.reconnect(integration: "entra")
        let key = try #require(DeviceKey(.entra, GraphLab.alice))
        #expect(await service.cache.records(of: "entra", key: key).first?.verdict.state == .noncompliant)
        await service.publish(state, deviceID: "device-1")
        #expect(await !service.publishNext(to: connector), "what comes back is no news")
    }

    @Test("after a start nothing is written again that was written before") func restart() async throws {
        let first = try connector()
        let service = try await service(first)
        await service.publish(PublishedState(isCompliant: true), deviceID: "device-1")
        #expect(await service.publishNext(to: first))
        let second = try connector()
        let again = PostureService(
            agents: [], connectors: [second], ring: .ephemeral(), store: store, clock: lab.clock.posture,
            random: { 0.5 })
        try await again.load()
        await again.publish(PublishedState(isCompliant: true), deviceID: "device-1")
        #expect(await !again.publishNext(to: second))
        #expect(writes.count == 1)
    }

    @Test("switched off by default: nothing is asked for, nothing is written") func off() async throws {
        let connector = try connector(false)
        let service = try await service(connector)
        #expect(!service.publishes)
        await service.publish(PublishedState(isCompliant: true), deviceID: "device-1")
        #expect(await !service.publishNext(to: connector))
        #expect(await service.publicationsOf(deviceID: "device-1").isEmpty && writes.isEmpty)
        #expect(await service.integrationStatus().first?.publishing == nil)
    }

    @Test("a 403 names the permission, and reading goes on") func forbidden() async throws {
        lab.graph.consent.withLock { $0.roles = ConsentState.registered }
        let connector = try connector()
        let service = try await service(connector)
        await service.publish(PublishedState(isCompliant: true), deviceID: "device-1")
        #expect(await service.publishNext(to: connector))
        var status = try #require(await service.integrationStatus().first)
        #expect(status.state == .configured && status.pendingReason == nil)
        #expect(status.publishing?.problem?.contains("Device.ReadWrite.All") == true)
        #expect(await !service.publishNext(to: connector), "and it is not tried again at once")
        lab.graph.consent.withLock { $0.roles.formUnion(["Device.ReadWrite.All"]) }
        // The administrator who granted it need not wait.
        _ = await service.reconnect(integration: "entra")
        #expect(await service.publishNext(to: connector))
        status = try #require(await service.integrationStatus().first)
        #expect(status.publishing?.problem == nil && status.publishing?.written == 1)
        #expect(!status.connection.excessPermissions.contains("Device.ReadWrite.All"))
    }

    @Test(
        "a directory that is down or throttles is tried again by its hint, and nothing is lost",
        arguments: [GraphFault.throttle, .unavailable, .serverError, .down, .revokedSecret])
    func retried(_ fault: GraphFault) async throws {
        let connector = try connector()
        let service = try await service(connector)
        if fault == .revokedSecret { await connector.forgetToken() }
        lab.graph.faults.activate(fault, retryAfterSeconds: 40)
        await service.publish(PublishedState(isCompliant: false), deviceID: "device-1")
        #expect(await service.publishNext(to: connector))
        #expect(writes.isEmpty)
        lab.graph.faults.clear()
        #expect(await !service.publishNext(to: connector))
        lab.clock.now += 41
        #expect(await service.publishNext(to: connector))
        #expect(writes.count == 1)
        #expect(await service.integrationStatus().first?.state == .configured)
    }

    @Test("an object that is gone stops nobody else, and a device without one is not written about")
    func gone()
        async throws
    {
        let connector = try connector()
        let service = try await service(connector)
        await service.publish(PublishedState(isCompliant: true), deviceID: "stranger")
        #expect(await !service.publishNext(to: connector))
        await service.publish(PublishedState(isCompliant: true), deviceID: "device-1")
        _ = lab.graph.directory.withLock { $0.remove(GraphLab.aliceObject, reason: "deleted") }
        #expect(await service.publishNext(to: connector))
        #expect(await !service.publishNext(to: connector))
        #expect(writes.isEmpty)
    }

    @Test("a device that is ended here is not compliant there, if it ever was anything") func ended()
        async throws
    {
        let connector = try connector()
        let service = try await service(connector)
        await service.publish(PublishedState(isCompliant: true), deviceID: "device-1")
        #expect(await service.publishNext(to: connector))
        #expect(try await service.revoke(deviceID: "device-1"))
        await service.publish(PublishedState(isCompliant: false), deviceID: "device-1")
        #expect(await service.publishNext(to: connector))
        #expect(writes.map(\.id) == [GraphLab.aliceObject, GraphLab.aliceObject])
        #expect(writes.last?.members["isCompliant"] == false)
    }
}
