import Foundation
import Glibc
import Signatures

/// Keys of kinds that the product itself never makes, made once for the run.
enum OpenSSLKeys {
    static let rsa = Result { try SigningKey(pem: try pem(["RSA", "-pkeyopt", "rsa_keygen_bits:2048"])) }
    static let p384 = Result { try SigningKey(pem: try pem(["EC", "-pkeyopt", "ec_paramgen_curve:P-384"])) }
    static let ed25519 = Result { try SigningKey(pem: try pem(["ED25519"])) }
    static let weakRSA = Result { try pem(["RSA", "-pkeyopt", "rsa_keygen_bits:1024"]) }

    /// Spawned directly: Foundation's `Process` waits on a run loop, which a concurrency thread does not have.
    private static func pem(_ kind: [String]) throws -> [UInt8] {
        let folder = try TemporaryFolder()
        let file = folder.path + "/key.pem"
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        for descriptor in 0...2 {
            posix_spawn_file_actions_addopen(&actions, CInt(descriptor), "/dev/null", O_RDWR, 0)
        }
        let arguments = ["openssl", "genpkey", "-out", file, "-algorithm"] + kind
        var words = arguments.map { strdup($0) } + [nil]
        defer { for word in words { free(word) } }
        var child = pid_t()
        guard posix_spawn(&child, "/usr/bin/openssl", &actions, nil, &words, environ) == 0 else {
            throw CocoaError(.executableNotLoadable)
        }
        waitpid(child, nil, 0)
        return Array(try Data(contentsOf: URL(filePath: file)))
    }
}
