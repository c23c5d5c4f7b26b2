import ChildPrograms
import Foundation
import Signatures

/// Keys and certificates of our own, made once for the run.
enum TestKeys {
    struct Pair {
        var chain: [UInt8]
        var key: [UInt8]
    }

    static let rsa = Result { try pair(["-newkey", "rsa:2048"]) }
    static let p256 = Result { try pair(["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]) }
    static let p384 = Result { try pair(["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-384"]) }
    static let ed25519 = Result { try pair(["-newkey", "ed25519"]) }

    /// A self-signed certificate and its key.
    private static func pair(_ kind: [String]) throws -> Pair {
        let folder = FileManager.default.temporaryDirectory.appending(
            path: "gatepost-identity-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        let (chain, key) = (folder.appending(path: "c.pem"), folder.appending(path: "k.pem"))
        let arguments =
            ["req", "-x509", "-nodes", "-days", "2", "-subj", "/CN=gatepost"] + kind
            + ["-keyout", key.path, "-out", chain.path]
        _ = try ChildProgram("/usr/bin/openssl", arguments).wait()
        return Pair(chain: Array(try Data(contentsOf: chain)), key: Array(try Data(contentsOf: key)))
    }
}
