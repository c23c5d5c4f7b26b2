import Access
import Border
import ChildPrograms
import Foundation
import Testing

@testable import DataPlane

/// Google's own server and client of gRPC, with the gateway between them: TLS on both sides, and a client that signs in
/// by a service token.
@Suite("gRPC as its own library speaks it")
struct GRPCTests {
    /// Told where the gateway is; says where it listens, and then how each call went.
    private static func peers(_ arguments: [String]) throws -> ChildProgram {
        let root = URL(fileURLWithPath: #filePath).resolvingSymlinksInPath().deletingLastPathComponent()
            .deletingLastPathComponent().deletingLastPathComponent().path
        let folder =
            ProcessInfo.processInfo.environment["GATEPOST_VENDOR_CLIENTS"] ?? "\(root)/.build/vendor-clients"
        return try ChildProgram(
            "\(folder)/bin/python", ["\(root)/scripts/lib/grpc-peers.py"] + arguments,
            environment: ["PYTHONDONTWRITEBYTECODE": "1", "PATH": "/usr/bin:/bin"],
            input: .told, output: .kept, errors: .shown)
    }

    private static func gateway(_ upstream: UInt16) throws -> Gateway {
        var route = MachineTests.route(upstream)
        route.upstreams[0].serverName = "wiki.test"
        route.upstreams[0].authoritiesPEM = TestCertificates.shared.authorityPEM
        route.upstreams[0].speaksHTTP2 = true
        var down = Facts.open(TestOrigin.closedPort(), host: "localhost", name: "down")
        down.upstreams[0].speaksHTTP2 = true
        return try Gateway([route, down]) { message, gateway in
            guard case .pullService(let ticket, let digest, _) = message else { return }
            if digest == MachineTests.wire() {
                gateway.send(.session(ticket, MachineTests.record(digest)))
            } else if digest == MachineTests.wire(MachineTests.revoked) {
                gateway.send(.session(ticket, MachineTests.record(digest, refusal: .noPolicyMatches)))
            } else {
                gateway.send(.session(ticket, nil))
            }
        }
    }

    @Test func `all four kinds, errors, deadlines, cancellation and refusals arrive as they were meant`()
        throws
    {
        let folder = FileManager.default.temporaryDirectory.appending(path: "grpc-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        let certificates = TestCertificates.shared
        var paths: [String] = []
        for (name, bytes) in [
            ("chain", certificates.chainPEM), ("key", certificates.keyPEM), ("ca", certificates.authorityPEM),
        ] {
            let file = folder.appending(path: name)
            try Data(bytes).write(to: file)
            paths.append(file.path)
        }
        let peers = try Self.peers(paths + [MachineTests.token, MachineTests.revoked])
        let port = try #require(peers.line().flatMap { UInt16($0) }, "next: scripts/bootstrap clients")
        let gateway = try Self.gateway(port)
        peers.tell("\(gateway.port)")
        var results: [String: String] = [:]
        while let line = peers.line() {
            let parts = line.split(separator: " ", maxSplits: 1).map(String.init)
            results[parts[0]] = parts.count > 1 ? parts[1] : ""
        }
        let wanted = [
            "unary", "big", "server_streaming", "client_streaming", "bidirectional", "many_at_once",
            "error_without_message", "error_behind_messages", "deadline", "cancellation", "unauthenticated",
            "permission_denied", "unavailable",
        ]
        for name in wanted { #expect(results[name] == "ok", "\(name)") }
        #expect(results.count == wanted.count)
        #expect(gateway.engine.metrics().sum("upstream_connects") <= 3, "streams share a connection")
        #expect(gateway.engine.metrics().sum("upstream_protocol_errors") == 0)
    }
}
