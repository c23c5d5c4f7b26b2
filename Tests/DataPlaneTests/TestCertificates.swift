import ChildPrograms
import Foundation

/// Certificates made once per test run by the `openssl` command: an authority, and leaves for the hosts
/// below.
struct TestCertificates: Sendable {
    let authorityPEM: [UInt8]
    let chainPEM: [UInt8]
    let keyPEM: [UInt8]
    let otherChainPEM: [UInt8]
    let otherKeyPEM: [UInt8]

    static let shared = TestCertificates()

    private init() {
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent(
            "dataplane-\(UUID().uuidString)")
        let path = folder.path
        do { try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true) } catch {
            fatalError("\(path): \(error)")
        }
        Self.run([
            "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
            "-subj", "/CN=Test authority", "-keyout", "\(path)/ca.key", "-out", "\(path)/ca.pem",
        ])
        for (name, hosts) in [
            ("leaf", "DNS:*.test,DNS:wiki.test,DNS:localhost"), ("other", "DNS:other.example"),
        ] {
            Self.run([
                "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj",
                "/CN=\(name)",
                "-addext", "subjectAltName=\(hosts)", "-keyout", "\(path)/\(name).key", "-out",
                "\(path)/\(name).csr",
            ])
            Self.run([
                "x509", "-req", "-in", "\(path)/\(name).csr", "-CA", "\(path)/ca.pem", "-CAkey",
                "\(path)/ca.key",
                "-CAcreateserial", "-days", "2", "-copy_extensions", "copy", "-out", "\(path)/\(name).pem",
            ])
        }
        func read(_ name: String) -> [UInt8] {
            [UInt8](FileManager.default.contents(atPath: "\(path)/\(name)") ?? Data())
        }
        authorityPEM = read("ca.pem")
        chainPEM = read("leaf.pem")
        keyPEM = read("leaf.key")
        otherChainPEM = read("other.pem")
        otherKeyPEM = read("other.key")
        try? FileManager.default.removeItem(at: folder)
    }

    private static func run(_ arguments: [String]) {
        do {
            let made = try ChildProgram("/usr/bin/openssl", arguments, errors: .kept).outcome()
            precondition(made.status == 0, "openssl \(arguments): \(made.status) \(made.text)")
        } catch {
            fatalError("\(error)")
        }
    }
}
