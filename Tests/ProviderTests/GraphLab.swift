import Access
import ChildPrograms
import Fetch
import Foundation
import Glibc
import JSON
import Signatures
import Store
import Synchronization

@testable import Posture
@testable import gatepost_lab

/// The lab's Microsoft Graph on a free port, and connectors and a service that ask it over loopback.
final class GraphLab {
    let clock = TestClock()
    let lab: Lab
    let fetcher = CurlFetcher()

    init(fillers: Int = 3) throws {
        lab = try Lab(
            ports: (0, 0, 0), clients: [],
            devices: gatepost_lab.ManagedDevice.demo(
                serial: "LAB-ALICE-0001", deviceName: "alice-laptop", fillers: fillers),
            clock: clock.lab, log: LabLog(isSilent: true))
    }

    deinit { lab.stop() }

    var graph: GraphEmulator { lab.graph }
    static let alice = "9d3e2c10-7f6a-4f0e-8f30-2b9b8a7c6d5e"
    static let bob = "9d3e2c10-7f6a-4f0e-8f30-2b9b8a7c6d5f"
    static let aliceObject = "b7d69b7e-0a0e-4d51-9a0f-8d7b7a0d1c11"

    func connection(_ provider: String, _ change: (inout ProviderConnection) -> Void = { _ in })
        -> ProviderConnection
    {
        var connection = ProviderConnection(
            integration: provider, provider: provider,
            texts: [
                "tenant": GraphEmulator.tenant, "client-id": GraphEmulator.clientID,
                "login-url": lab.graphAddress, "graph-url": lab.graphAddress,
            ], secrets: ["client-secret": GraphEmulator.clientSecret], refreshSeconds: 1_800,
            ttlSeconds: 7_200, allowsPlainHTTP: true)
        change(&connection)
        return connection
    }

    func connector(
        _ provider: String, _ change: (inout ProviderConnection) -> Void = { _ in }
    ) throws -> any Connector {
        try Posture.Vendor.connector(
            connection(provider, change),
            ConnectorParts(fetcher: fetcher, clock: clock.posture, random: { 0.5 }))
    }

    func service(_ connector: any Connector, store: any GatewayStore) async throws -> PostureService {
        try await ServiceSetting.service(
            connector, store: store, clock: clock, pinned: ["entra-device-id": Self.alice])
    }

    /// Sends one control request and says whether it was answered with 200.
    @discardableResult
    func control(_ method: String, _ path: String, _ body: JSONValue? = nil) throws -> Bool {
        let client = LabClient(port: lab.servers[1].port)
        return try client.send(method, "/lab/\(path)", body: body?.serialized() ?? []).status == 200
    }

    /// Runs the openssl program; what it should have written is missing where it failed.
    private static func openssl(_ arguments: [String]) throws {
        _ = try ChildProgram("/usr/bin/openssl", arguments).wait()
    }

    /// An RSA key and its self-signed certificate, made by the openssl program: no private key lies in the
    /// tree.
    static func certificate() throws -> (chain: [UInt8], key: [UInt8]) {
        let folder = FileManager.default.temporaryDirectory.appending(path: "gatepost-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        try openssl([
            "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "30", "-subj", "/CN=gatepost",
            "-keyout",
            folder.path + "/key.pem", "-out", folder.path + "/chain.pem",
        ])
        let chain = try Data(contentsOf: folder.appending(path: "chain.pem"))
        return (Array(chain), Array(try Data(contentsOf: folder.appending(path: "key.pem"))))
    }

    /// The public half of a private key in PEM.
    static func publicKey(of key: [UInt8]) throws -> [UInt8] {
        let folder = FileManager.default.temporaryDirectory.appending(path: "gatepost-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        try Data(key).write(to: folder.appending(path: "key.pem"))
        try openssl(["pkey", "-in", folder.path + "/key.pem", "-pubout", "-out", folder.path + "/public.pem"])
        return Array(try Data(contentsOf: folder.appending(path: "public.pem")))
    }

    /// A store in a folder of its own.
    static func store() throws -> SQLiteStore {
        try SQLiteStore(folder: storesFolder.appending(path: UUID().uuidString).path)
    }

    /// Goes when the process ends: stores are handed from hand to hand, and nobody knows who is the last.
    private static let storesFolder: URL = {
        atexit { try? FileManager.default.removeItem(at: GraphLab.storesFolder) }
        let folder = FileManager.default.temporaryDirectory.appending(path: "gatepost-stores-\(getpid())")
        _ = try? FileManager.default.createDirectory(
            at: folder, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
        return folder
    }()
}

enum ServiceSetting {
    /// A service with this one integration and one enrolled device.
    static func service(
        _ connector: any Connector, store: any GatewayStore, clock: TestClock, pinned: [String: String]
    ) async throws -> PostureService {
        try await store.upsert(
            StoredDevice(
                id: "device-1", ownerIssuer: "https://issuer.example", ownerSubject: "alice",
                platform: .linux,
                keyThumbprint: "thumbprint", certificateSerial: "01", enrolledAtSeconds: clock.now,
                certificateNotAfterSeconds: clock.now + 86_400, pinnedIDs: pinned))
        let service = PostureService(
            agents: [], connectors: [connector], ring: .ephemeral(), store: store, clock: clock.posture,
            random: { 0.5 })
        try await service.load()
        return service
    }
}
