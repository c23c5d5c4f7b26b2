import ChildPrograms
import Foundation
import Signatures

/// Keys of kinds that the product itself never makes, made once for the run.
enum OpenSSLKeys {
    static let rsa = Result { try SigningKey(pem: try pem(["RSA", "-pkeyopt", "rsa_keygen_bits:2048"])) }
    static let p384 = Result { try SigningKey(pem: try pem(["EC", "-pkeyopt", "ec_paramgen_curve:P-384"])) }
    static let ed25519 = Result { try SigningKey(pem: try pem(["ED25519"])) }
    static let weakRSA = Result { try pem(["RSA", "-pkeyopt", "rsa_keygen_bits:1024"]) }

    private static func pem(_ kind: [String]) throws -> [UInt8] {
        let folder = try TemporaryFolder()
        let file = folder.path + "/key.pem"
        _ = try ChildProgram("/usr/bin/openssl", ["genpkey", "-out", file, "-algorithm"] + kind).wait()
        return Array(try Data(contentsOf: URL(filePath: file)))
    }
}
