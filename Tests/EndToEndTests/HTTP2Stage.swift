import Foundation
import Glibc

/// Applications behind the running gateway that speak HTTP/2, with TLS and without, and the same one over HTTP/1.1; and two
/// of gRPC, of which one is not there.
enum HTTP2Stage {
    enum Kind: String, CaseIterable {
        case h2c, h2, http

        var application: String {
            switch self {
            case .h2c: "archive"
            case .h2: "ledger"
            case .http: "clinic"
            }
        }
        var host: String { "\(application).corp.test" }
        fileprivate var port: Int {
            switch self {
            case .h2c: 18_121
            case .h2: 18_122
            case .http: 18_123
            }
        }
    }

    static let calls = "portal.corp.test"
    static let absent = "lobby.corp.test"
    static let callsPort = 18_124

    /// Adds them to the running gateway, and takes them away again.
    static func with(_ stack: Stack, _ body: () throws -> Void) throws {
        try stack.ready("HTTP/2 applications") { try start(stack) }
        try FurtherFile(
            name: "http2.yaml", text: configuration, sign: ("https://\(Kind.http.host)/", 401)
        ).with(stack, body)
    }

    private static func start(_ stack: Stack) throws {
        let program = Programs.root.appending(path: "Tests/EndToEndTests/Attacks/upstream.js").path
        for kind in Kind.allCases {
            try stack.start(
                "upstream-\(kind)", "/usr/bin/node",
                [
                    program, kind.rawValue, "\(kind.port)", stack.path("certs/server.pem"),
                    stack.path("certs/server.key"),
                ]
            )
        }
        for kind in Kind.allCases {
            try poll("the \(kind) application") { () -> Void? in
                guard let descriptor = try? stack.network.connect(port: kind.port) else { return nil }
                close(descriptor)
                return ()
            }
        }
    }

    private static var configuration: String {
        var text = "version: 1\napplications:\n"
        for kind in Kind.allCases {
            let tls = kind == .h2 ? ", tls: { authorities: certs/dev-ca.pem, server-name: \(kind.host) }" : ""
            text += """
                  \(kind.application):
                    host: \(kind.host)
                    upstreams: { endpoints: [ "\(kind)://127.0.0.1:\(kind.port)" ]\(tls) }
                    identity-providers: [ hr-staff ]
                    policies: [ { name: staff, action: allow, include: [ { group: staff } ] } ]

                """
        }
        return text + """
              calls:
                host: \(calls)
                upstreams:
                  endpoints: [ "h2://127.0.0.1:\(callsPort)" ]
                  tls: { authorities: certs/dev-ca.pem, server-name: \(calls) }
                identity-providers: [ hr-staff ]
                policies: [ { name: callers, action: service, include: [ { service: [ caller ] } ] } ]
              absent:
                host: \(absent)
                upstreams: [ "h2c://127.0.0.1:18125" ]
                identity-providers: [ hr-staff ]
                policies: [ { name: open, action: bypass, include: [ everyone: true ] } ]

            """
    }
}
