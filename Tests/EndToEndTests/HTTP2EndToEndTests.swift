import Foundation
import Glibc
import Testing

extension EndToEnd {
    @Suite("HTTP/2 through the real gateway: clients and applications that nobody here wrote")
    struct HTTP2EndToEndTests {
        private static func arguments(
            _ what: String, _ kind: HTTP2Stage.Kind, _ client: Client, _ stack: Stack
        ) throws -> [String] {
            [
                "-B", Programs.root.appending(path: "scripts/lib/http-clients.py").path, what, "443",
                stack.path("certs/dev-ca.pem"), try Load.cookie(of: client, host: kind.host),
                PrivateNetwork.gatewayAddress, kind.host, "https://\(kind.host)",
            ]
        }

        @Test("httpx, websockets and h2 get what they ask for, whatever the application speaks")
        func clients() throws {
            let stack = try Stack.current()
            try HTTP2Stage.with(stack) {
                for kind in HTTP2Stage.Kind.allCases {
                    let client = try Client.signedIn(stack, application: kind.application)
                    for what in ["requests2", "requests1", "websocket2", "websocket1", "invalid-fields"] {
                        let (status, said) = try Child.output(
                            of: try Programs.httpClients(), try Self.arguments(what, kind, client, stack),
                            seconds: 60, in: stack.network)
                        #expect(status == 0 && said == "ok\n", "\(what) to \(kind): \(said)")
                    }
                }
            }
        }

        @Test(
            "a session that ends cuts what it has open: WebSockets with 1008 and the reason, events with a reset"
        )
        func cut() throws {
            let stack = try Stack.current()
            try HTTP2Stage.with(stack) {
                var open: [(what: String, child: Child)] = []
                for kind in HTTP2Stage.Kind.allCases {
                    let client = try Client.signedIn(stack, application: kind.application)
                    for what in ["cut2", "cut1", "events2"] {
                        let log = stack.folder.appending(path: "cut-\(UUID().uuidString).log")
                        let child = try Child(
                            what, try Programs.httpClients(), try Self.arguments(what, kind, client, stack),
                            log: log, in: stack.network)
                        open.append((what, child))
                    }
                }
                defer { for stream in open { stream.child.stop(seconds: 2) } }
                for stream in open {
                    try poll("\(stream.what) to be open") {
                        guard stream.child.status == nil else {
                            throw Failure(description: "\(stream.what): \(stream.child.output)")
                        }
                        return stream.child.output.hasPrefix("open\n").whenTrue
                    }
                }
                let said = try stack.gatepost("session", "revoke", "--user", "alice@corp.example")
                #expect(said.contains("ended"))
                for stream in open {
                    try poll("\(stream.what) to end") { stream.child.status.map { _ in () } }
                    let word = stream.what == "events2" ? "reset 8" : "closed 1008 session-ended"
                    #expect(stream.child.output == "open\n\(word)\nok\n", "\(stream.what)")
                }
            }
        }

        private static func token(_ name: String, _ stack: Stack) throws -> String {
            let said = try stack.gatepost("service-token", "create", name, "--days", "1")
            guard
                let token = said.split(whereSeparator: \.isWhitespace).first(where: { $0.hasPrefix("gps_") })
            else { throw Failure(description: "no token: \(said)") }
            return String(token)
        }

        @Test("gRPC of all four kinds, with a service token, between Google's own client and server")
        func calls() throws {
            let stack = try Stack.current()
            try HTTP2Stage.with(stack) {
                let tokens = try ["caller", "stranger"].map { try Self.token($0, stack) }
                defer {
                    for name in ["caller", "stranger"] {
                        _ = try? stack.gatepost("service-token", "revoke", name)
                    }
                }
                let (status, said) = try Child.output(
                    of: try Programs.vendorClients(),
                    [
                        "-B", Programs.root.appending(path: "scripts/lib/grpc-peers.py").path,
                        stack.path("certs/server.pem"), stack.path("certs/server.key"),
                        stack.path("certs/dev-ca.pem"), tokens[0], tokens[1], "\(HTTP2Stage.callsPort)",
                        "\(PrivateNetwork.gatewayAddress):443", HTTP2Stage.calls, HTTP2Stage.absent,
                    ], seconds: 100, in: stack.network)
                let lines = said.split(separator: "\n").dropFirst()
                #expect(status == 0 && lines.count == 13, "\(said)")
                for line in lines { #expect(line.hasSuffix(" ok"), "\(line)") }
            }
        }

        @Test("reloads and a change of the program under load, HTTP/2 on both sides: 0 lost")
        func changes() throws {
            let stack = try Stack.current()
            try HTTP2Stage.with(stack) {
                let kind = HTTP2Stage.Kind.h2c
                let load = try Load(
                    seconds: 14, application: kind.application, http1: (2, 1), http2: 4, path: "/slow")
                defer { load.stop() }
                let data = try load.pid("data")
                for _ in 1...2 { _ = try stack.gatepost("reload") }
                _ = try stack.gatepost("upgrade")
                try poll("new processes") {
                    (try? load.pid("data")).flatMap { $0 != data ? () : nil }
                }
                let counts = try load.finish()
                print("HTTP/2 on both sides over reloads and an upgrade: \(counts)")
                #expect(counts.lost == 0 && counts.http2 > 100, "\(counts)")
            }
        }

        @Test(
            "SIGTERM under load: every request that was begun is answered; only new connections find nobody")
        func stop() throws {
            let stack = try Stack.current()
            try HTTP2Stage.with(stack) {
                defer { try? stack.startGateway() }
                let load = try Load(
                    seconds: 6, application: HTTP2Stage.Kind.h2c.application, http1: (0, 0), http2: 6,
                    path: "/slow")
                defer { load.stop() }
                let gateway = try stack.child("gateway")
                gateway.stop(seconds: 20)
                #expect(gateway.status == 0)
                let counts = try load.finish()
                print("SIGTERM under load: \(counts)")
                #expect(counts.http2 > 10, "\(counts)")
                #expect(counts.problems.allSatisfy { $0.hasPrefix("http2: connect: ") }, "\(counts)")
            }
        }
    }
}
