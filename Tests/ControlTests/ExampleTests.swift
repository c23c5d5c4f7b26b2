import Border
import ChildPrograms
import Foundation
import Glibc
import Identity
import JSON
import Signatures
import Store
import Testing

@testable import Control

/// Runs the files of docs/examples as they stand there, against tokens of ours.
@Suite("The documents' verification examples", .serialized, .timeLimit(.minutes(10)))
struct ExampleTests {
    static let root = URL(filePath: #filePath).resolvingSymlinksInPath().deletingLastPathComponent()
        .deletingLastPathComponent().deletingLastPathComponent().path
    static let issuer = "https://auth.corp.example:8443"

    enum Language: String, CaseIterable { case python, node }

    private static func program(_ language: Language) -> (path: String, script: String) {
        switch language {
        case .python:
            (
                (ProcessInfo.processInfo.environment["GATEPOST_VENDOR_CLIENTS"]
                    ?? "\(root)/.build/vendor-clients") + "/bin/python",
                "\(root)/docs/examples/verify-assertion.py"
            )
        case .node: ("/usr/bin/node", "\(root)/docs/examples/verify-assertion.mjs")
        }
    }

    /// Tokens by what is the matter with them; nil: nothing.
    private static func tokens(_ house: Gatehouse) async throws -> [(fault: String?, token: String)] {
        let now = Int64(Date().timeIntervalSince1970)
        let ring = house.control.ring
        let (_, session, _) = try await house.signIn()
        func made(_ ring: KeyRing, _ issuer: String, _ application: String, _ now: Int64) -> String {
            Assertion(ring: ring, issuer: issuer).token(
                for: session, application: application, deviceID: nil, device: nil, nowSeconds: now
            ).token
        }
        let good = made(ring, issuer, "wiki", now)
        let parts = good.split(separator: ".").map(String.init)
        let kid = ring.signingKey(.assertion).kid
        func header(_ text: String) -> String { Base64URL.encode(Array(text.utf8)) }
        let claims = try JWS(compact: good).payloadObject
        let typ = "gatepost-assertion+jwt"
        func forged(_ header: JSONObject, _ key: SigningKey) -> String {
            JWS.sign(header: header, payload: claims, with: key)
        }
        let ours = ring.signingKey(.assertion).key
        let none = header(#"{"alg":"none","typ":"\#(typ)","kid":"\#(kid)"}"#)
        let symmetric = header(#"{"alg":"HS256","typ":"\#(typ)","kid":"\#(kid)"}"#)
        return [
            // The interpreters have the real clock, and a busy machine starts them late: no bound to the second here.
            (nil, good), (nil, made(ring, issuer, "wiki", now - 40)),
            ("another application's", made(ring, issuer, "vault", now)),
            ("expired", made(ring, issuer, "wiki", now - 300)),
            ("from the future", made(ring, issuer, "wiki", now + 3_600)),
            ("another gateway's", made(ring, "https://auth.other.example", "wiki", now)),
            ("a key of nobody", made(.ephemeral(), issuer, "wiki", now)),
            (
                "our key's name over another key",
                forged(["typ": .string(typ), "kid": .string(kid)], .generateP256())
            ),
            ("another kind of token", forged(["typ": "at+jwt", "kid": .string(kid)], ours)),
            ("alg none", "\(none).\(parts[1])."), ("alg none, signed", "\(none).\(parts[1]).\(parts[2])"),
            ("alg HS256", "\(symmetric).\(parts[1]).\(parts[2])"),
            ("changed", "\(parts[0]).\(parts[1].dropLast())A.\(parts[2])"),
            ("no token", "x"), ("nothing", ""),
        ]
    }

    /// The rest of the first line that begins so.
    private static func line(of program: ChildProgram, _ beginning: String) throws -> Substring {
        var said: [String] = []
        while let line = program.line() {
            if line.hasPrefix(beginning) { return line.dropFirst(beginning.count) }
            said.append(line)
        }
        throw CocoaError(.fileReadUnknown, userInfo: ["output": said])
    }

    /// A gateway's key set behind an address, as long as the body runs.
    private static func withKeys(
        _ body: (Gatehouse, _ url: String) async throws -> Void
    ) async throws {
        let house = try Gatehouse()
        house.advance(Int64(Date().timeIntervalSince1970) - house.now)
        let folder = house.folder.appending(path: "served")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        let keys = await house.control.answer(house.request("/.gatepost/jwks.json")).body
        try Data(keys).write(to: folder.appending(path: "jwks.json"))
        let server = try ChildProgram(
            "/usr/bin/python3",
            ["-u", "-m", "http.server", "0", "--bind", "127.0.0.1", "--directory", folder.path],
            output: .kept, errors: .kept)
        let serving = try Self.line(of: server, "Serving HTTP on ")
        let port = try #require(serving.split(separator: " ").compactMap { Int($0) }.first)
        try await body(house, "http://127.0.0.1:\(port)/jwks.json")
        withExtendedLifetime(server) {}
    }

    @Test("Python and Node take our token and refuse each fault", arguments: Language.allCases)
    func verification(_ language: Language) async throws {
        try await Self.withKeys { house, url in
            for (fault, token) in try await Self.tokens(house) {
                let (program, script) = Self.program(language)
                let verified = try await ChildProgram(
                    program, [script, Self.issuer, "wiki", url], input: .bytes(Array(token.utf8)),
                    output: .kept, errors: .kept
                ).outcome()
                #expect(
                    (verified.status == 0) == (fault == nil),
                    "\(fault ?? "a good one"): \(verified.status) \(verified.text)")
                if fault == nil {
                    let claims = try JSONValue(parsing: verified.output)
                    #expect(claims["sub"] == "ada@corp.example" && claims["aud"] == "wiki")
                }
            }
        }
    }

    @Test("nginx asks the verifier before each request, and tells the application who it is")
    func nginx() async throws {
        try await Self.withKeys { house, url in
            let (node, script) = Self.program(.node)
            let verifier = try ChildProgram(
                node, [script, Self.issuer, "wiki", url, "0"], output: .kept, errors: .kept)
            let verifying = try Self.line(of: verifier, "listening on ")
            // The application behind nginx: Python's, which answers with what it was asked.
            let application = try ChildProgram(
                "/usr/bin/python3", ["-u", "-c", Self.application], output: .kept, errors: .kept)
            let serving = try Self.line(of: application, "listening on ")
            let port = try Self.freePort()
            let folder = house.folder.appending(path: "nginx")
            try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
            let example = try String(
                contentsOfFile: "\(Self.root)/docs/examples/verify-assertion.nginx.conf", encoding: .utf8
            ).replacingOccurrences(of: "127.0.0.1:9600", with: "127.0.0.1:\(verifying)")
                .replacingOccurrences(of: "127.0.0.1:9601", with: "127.0.0.1:\(port)")
                .replacingOccurrences(of: "127.0.0.1:9602", with: "127.0.0.1:\(serving)")
            let paths = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"].map {
                "\($0)_temp_path \(folder.path);"
            }
            let whole = """
                daemon off; master_process off; pid \(folder.path)/pid; error_log stderr notice; events {}
                http { access_log off; \(paths.joined(separator: " ")) \(example) }
                """
            try whole.write(to: folder.appending(path: "nginx.conf"), atomically: true, encoding: .utf8)
            let nginx = try ChildProgram(
                "/usr/sbin/nginx", ["-p", folder.path, "-c", "\(folder.path)/nginx.conf"])
            for (fault, token) in try await Self.tokens(house) where !token.isEmpty {
                let text = try await ChildProgram(
                    "/usr/bin/curl",
                    [
                        "-sS", "--retry", "30", "--retry-connrefused", "--retry-delay", "1",
                        "--max-time", "60", "-w", "\n%{http_code}", "-H", "Gatepost-Assertion: \(token)",
                        "-H", "X-Remote-User: root", "http://127.0.0.1:\(port)/",
                    ], output: .kept, errors: .kept
                ).outcome().text
                let lines = text.split(separator: "\n").map(String.init)
                #expect(lines.last == (fault == nil ? "200" : "401"), "\(fault ?? "a good one"): \(text)")
                if fault == nil {
                    #expect(lines.contains("x-remote-user: ada%40corp.example"), "\(text)")
                    #expect(!text.contains("root") && !text.contains("gatepost-assertion"), "\(text)")
                }
            }
            withExtendedLifetime((verifier, application, nginx)) {}
        }
    }

    private static let application = """
        import http.server
        class Answer(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                body = "".join(f"{name.lower()}: {value}\\n" for name, value in self.headers.items()).encode()
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)
            def log_message(self, *_): pass
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answer)
        print("listening on", server.server_address[1])
        server.serve_forever()
        """

    /// A port that nobody listens on at this moment.
    private static func freePort() throws -> UInt16 {
        let socket = Glibc.socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        defer { close(socket) }
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let isBound = withUnsafeMutablePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(socket, $0, length) == 0 && getsockname(socket, $0, &length) == 0
            }
        }
        try #require(isBound)
        return UInt16(bigEndian: address.sin_port)
    }
}
