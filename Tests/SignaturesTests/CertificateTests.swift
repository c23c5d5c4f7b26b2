import JSON
import Signatures
import Testing

@Suite("Certificates that another implementation made")
struct CertificateTests {
    @Test func `names, times, serial number and digest are read`() throws {
        let names = try #require(try VectorFile.load("certificates.json")["names"])
        let certificate = try Certificate(der: VectorFile.bytes(names["der"]))
        #expect(certificate.subjectCommonName == "J\u{FC}rgen")
        #expect(certificate.dnsNames == ["a.example", "*.b.example"])
        #expect(certificate.uriNames == ["urn:x:1"])
        #expect(certificate.serialHex == "abcdef0123")
        #expect(certificate.notBeforeSeconds == 1_800_000_000)
        #expect(certificate.notAfterSeconds == 4_102_444_800)
        #expect(hex(certificate.sha256) == names["sha256"]?.string)
        #expect(certificate.publicKey.algorithm == .es256)
    }

    @Test func `PEM is the same certificate, and is written as others write it`() throws {
        let names = try #require(try VectorFile.load("certificates.json")["names"])
        let pem = Array(try #require(names["pem"]?.string).utf8)
        let certificate = try Certificate(pem: pem)
        #expect(certificate.der == (try VectorFile.bytes(names["der"])))
        #expect(certificate.pem == pem)
        #expect(try VerificationKey(pem: pem).thumbprint == certificate.publicKey.thumbprint)
    }

    @Test func `every strict prefix is refused, and so are bytes behind it`() throws {
        let der = try VectorFile.bytes(try VectorFile.load("certificates.json")["names"]?["der"])
        for count in 0..<der.count {
            #expect(throws: SignatureError.self, "\(count) bytes") {
                try Certificate(der: Array(der[..<count]))
            }
        }
        #expect(throws: SignatureError.self) { try Certificate(der: der + [0]) }
        #expect(throws: SignatureError.self) { try Certificate(der: [UInt8](repeating: 0x30, count: 16_385)) }
        #expect(throws: SignatureError.self) { try Certificate(pem: der) }
    }

    @Test func `a changed byte never crashes the reader`() throws {
        let der = try VectorFile.bytes(try VectorFile.load("certificates.json")["names"]?["der"])
        for index in der.indices {
            for bit in 0..<8 as Range<UInt8> {
                var changed = der
                changed[index] ^= 1 << bit
                if let read = try? Certificate(der: changed) { #expect(read.der == changed) }
            }
        }
    }
}
