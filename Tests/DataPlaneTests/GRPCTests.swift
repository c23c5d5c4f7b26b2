import Access
import Border
import Foundation
import Glibc
import Testing

@testable import DataPlane

/// Google's own server and client of gRPC, with the gateway between them: TLS on both sides, and a client that signs in
/// by a service token.
@Suite("gRPC as its own library speaks it")
struct GRPCTests {
    struct Failure: Error { var what: String }

    /// A child whose input and output are ours. Not Foundation's `Process`: it looks through all open descriptors, which
    /// other tests open and close meanwhile.
    private final class Peers {
        private let input: Int32
        private let output: Int32
        private let child: pid_t
        private var buffer: [UInt8] = []

        init(_ arguments: [String]) throws {
            var (down, up): ([Int32], [Int32]) = ([-1, -1], [-1, -1])
            guard pipe(&down) == 0, pipe(&up) == 0 else { throw Failure(what: "pipe: \(errno)") }
            for end in down + up { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
            var actions = posix_spawn_file_actions_t()
            posix_spawn_file_actions_init(&actions)
            defer { posix_spawn_file_actions_destroy(&actions) }
            posix_spawn_file_actions_adddup2(&actions, down[0], 0)
            posix_spawn_file_actions_adddup2(&actions, up[1], 1)
            let root = URL(fileURLWithPath: #filePath).resolvingSymlinksInPath().deletingLastPathComponent()
                .deletingLastPathComponent().deletingLastPathComponent().path
            let folder =
                ProcessInfo.processInfo.environment["GATEPOST_VENDOR_CLIENTS"]
                ?? "\(root)/.build/vendor-clients"
            let command: [String] =
                ["/usr/bin/timeout", "120", "\(folder)/bin/python", "\(root)/scripts/lib/grpc-peers.py"]
                + arguments
            var words = command.map { (text: String) in strdup(text) } + [nil]
            let environment: [String] = ["PYTHONDONTWRITEBYTECODE=1", "PATH=/usr/bin:/bin"]
            var settings = environment.map { (text: String) in strdup(text) } + [nil]
            defer { for text in words + settings { free(text) } }
            var child: pid_t = 0
            let refused = posix_spawn(&child, command[0], &actions, nil, &words, &settings)
            _ = Glibc.close(down[0])
            _ = Glibc.close(up[1])
            (input, output, self.child) = (down[1], up[0], child)
            guard refused == 0 else { throw Failure(what: "\(command[0]): \(refused)") }
        }

        deinit {
            _ = Glibc.close(input)
            _ = Glibc.close(output)
            var state: Int32 = 0
            while waitpid(child, &state, 0) < 0, errno == EINTR {}
        }

        func tell(_ line: String) { _ = Glibc.write(input, line + "\n", line.utf8.count + 1) }

        /// nil at the end.
        func line() -> String? {
            while true {
                if let end = buffer.firstIndex(of: 10) {
                    defer { buffer.removeSubrange(...end) }
                    return String(decoding: buffer[..<end], as: UTF8.self)
                }
                var piece = [UInt8](repeating: 0, count: 4_096)
                let count = Glibc.read(output, &piece, piece.count)
                if count < 0, errno == EINTR { continue }
                guard count > 0 else { return nil }
                buffer += piece[..<count]
            }
        }
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
        let peers = try Peers(paths + [MachineTests.token, MachineTests.revoked])
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
