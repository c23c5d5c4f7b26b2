import ChildPrograms
import Fetch
import Foundation
import Glibc
import Testing

/// `openssl s_server -www` with a self-signed certificate made for the run.
private final class TLSServer {
    let port = LoopbackServer.freePort()
    let certificatePEM: [UInt8]
    let keyPEM: [UInt8]
    private let server: ChildProgram
    private let folder: URL

    init(name: String = "localhost", _ options: [String] = []) throws {
        folder = FileManager.default.temporaryDirectory.appending(path: "gatepost-fetch-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        let certificate = folder.appending(path: "c.pem").path
        let key = folder.appending(path: "k.pem").path
        let make = try ChildProgram(
            "/usr/bin/openssl",
            [
                "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                "-days", "2", "-subj", "/CN=\(name)", "-addext", "subjectAltName=DNS:\(name)",
                "-keyout", key, "-out", certificate,
            ], errors: .kept
        ).outcome()
        try #require(make.status == 0, "\(make.text)")
        certificatePEM = Array(try Data(contentsOf: URL(filePath: certificate)))
        keyPEM = Array(try Data(contentsOf: URL(filePath: key)))
        server = try ChildProgram(
            "/usr/bin/openssl",
            ["s_server", "-accept", "127.0.0.1:\(port)", "-www", "-cert", certificate, "-key", key]
                + ["-CAfile", certificate] + options)
        while server.isRunning, !LoopbackServer.accepts(port) { sched_yield() }
    }

    deinit { try? FileManager.default.removeItem(at: folder) }
}

@Suite("TLS of outbound requests")
struct TLSTests {
    private func outcome(_ request: FetchRequest) async -> String {
        do throws(FetchError) {
            return try await String(CurlFetcher().fetch(request).status)
        } catch {
            return error.kind.rawValue
        }
    }

    @Test func `a self-signed certificate is refused, and taken when it is the configured authority`()
        async throws
    {
        let server = try TLSServer()
        let url = "https://localhost:\(server.port)/"
        #expect(await outcome(FetchRequest(url: url)) == "tls-failed")
        #expect(await outcome(FetchRequest(url: url, authoritiesPEM: server.certificatePEM)) == "200")
        let other = try TLSServer()
        #expect(await outcome(FetchRequest(url: url, authoritiesPEM: other.certificatePEM)) == "tls-failed")
    }

    @Test func `a certificate for another name is refused`() async throws {
        let server = try TLSServer(name: "other.example")
        let request = FetchRequest(
            url: "https://localhost:\(server.port)/", authoritiesPEM: server.certificatePEM)
        #expect(await outcome(request) == "tls-failed")
    }

    @Test func `TLS 1.1 is refused, 1.2 and 1.3 are spoken`() async throws {
        for (option, expected) in [("-tls1_1", "tls-failed"), ("-tls1_2", "200"), ("-tls1_3", "200")] {
            let server = try TLSServer([option, "-cipher", "ALL:@SECLEVEL=0"])
            let request = FetchRequest(
                url: "https://localhost:\(server.port)/", authoritiesPEM: server.certificatePEM)
            #expect(await outcome(request) == expected, "\(option)")
        }
    }

    @Test func `a client certificate is presented when it is given, and only then`() async throws {
        let server = try TLSServer(["-Verify", "1", "-verify_return_error", "-tls1_2"])
        var request = FetchRequest(
            url: "https://localhost:\(server.port)/", authoritiesPEM: server.certificatePEM)
        #expect(await outcome(request) != "200")
        request.clientCertificatePEM = server.certificatePEM
        request.clientKeyPEM = server.keyPEM
        #expect(await outcome(request) == "200")
    }

    @Test func `a connection made under one set of authorities is never used under another`() async throws {
        let server = try TLSServer()
        let fetcher = CurlFetcher()
        let url = "https://localhost:\(server.port)/"
        _ = try await fetcher.fetch(FetchRequest(url: url, authoritiesPEM: server.certificatePEM))
        await #expect(throws: FetchError.self) { try await fetcher.fetch(FetchRequest(url: url)) }
    }
}
