import JSON
import Testing

@testable import Signatures

@Suite("Paths that were verified before")
struct VerifiedPathTests {
    static let now = EnrollmentTests.now

    /// An authority for 1,000 s with a device's certificate for 600.
    private struct House {
        let authority: EnrollmentAuthority
        let chain: [[UInt8]]
        let made: (certificatePEM: [UInt8], keyPEM: [UInt8])

        init(leafSeconds: Int64 = 600) throws {
            let pair = try EnrollmentAuthority.generateSelfSigned(
                commonName: "Paths", validSeconds: 1_000, nowSeconds: now)
            made = (pair.certificatePEM, pair.keyPEM)
            authority = try EnrollmentAuthority(
                certificatePEM: pair.certificatePEM, keyPEM: pair.keyPEM)
            let request = try CertificateRequest.make(key: .generateP256(), commonName: "x")
            let leaf = try authority.issue(
                csrDER: request, deviceID: "d", validSeconds: leafSeconds, nowSeconds: now)
            chain = [leaf.der, authority.certificate.der]
        }
    }

    @Test func `a path that is known says the same as when it was verified`() throws {
        let house = try House()
        let first = try house.authority.verifiedPath(chainDER: house.chain, nowSeconds: Self.now)
        #expect(house.authority.verified.count == 1)
        let second = try house.authority.verifiedPath(chainDER: house.chain, nowSeconds: Self.now + 1)
        #expect(house.authority.verified.count == 1)
        #expect(second.leaf == first.leaf && second.deviceID == "d" && second.links == first.links)
        #expect(!second.links.isEmpty)
    }

    @Test(
        arguments: [(599, true), (600, false), (601, false), (-1, false), (-100_000, false)]
            as [(Int64, Bool)])
    func `a known path counts between its device's dates only, also when the clock jumps back`(
        offset: Int64, isValid: Bool
    ) throws {
        let house = try House()
        _ = try house.authority.verify(chainDER: house.chain, nowSeconds: Self.now)
        let leaf = try Certificate(der: house.chain[0])
        let moment = offset < 0 ? leaf.notBeforeSeconds + offset : leaf.notAfterSeconds - 600 + offset
        let found = try? house.authority.verify(chainDER: house.chain, nowSeconds: moment)
        #expect((found != nil) == isValid, "second \(offset)")
        // And again within the dates: a refusal in between changes nothing.
        _ = try house.authority.verify(chainDER: house.chain, nowSeconds: Self.now)
    }

    @Test func `a known path ends with its authority, even where the device's certificate would not`() throws
    {
        let file = try VectorFile.load("certificates.json")
        let authority = try EnrollmentTests.authority(file)
        var ended = 0
        for row in try #require(file["accepted"]?.array) {
            let chain = try VectorFile.chain(row)
            _ = try authority.verify(chainDER: chain, nowSeconds: Self.now)
            let end = authority.certificate.notAfterSeconds
            #expect(throws: SignatureError.self) { try authority.verify(chainDER: chain, nowSeconds: end) }
            ended += 1
        }
        #expect(ended > 0)
    }

    @Test func `what one authority knows counts at no other, and not at the same one made anew`() throws {
        let (one, other) = (try House(), try House())
        _ = try one.authority.verify(chainDER: one.chain, nowSeconds: Self.now)
        #expect(throws: SignatureError.self) {
            try other.authority.verify(chainDER: one.chain, nowSeconds: Self.now)
        }
        #expect(other.authority.verified.count == 0)
        let anew = try EnrollmentAuthority(certificatePEM: one.made.certificatePEM, keyPEM: nil)
        #expect(anew.verified.count == 0)
    }

    @Test func `a chain that differs in any byte is not known`() throws {
        let house = try House()
        _ = try house.authority.verify(chainDER: house.chain, nowSeconds: Self.now)
        for index in house.chain[0].indices {
            var chain = house.chain
            chain[0][index] ^= 1
            // Some bytes carry nothing that is verified; none may be answered from what is known.
            _ = try? house.authority.verify(chainDER: chain, nowSeconds: Self.now)
            #expect(VerifiedPaths.name(of: chain) != VerifiedPaths.name(of: house.chain))
        }
        let signature = house.chain[0].count - 1
        var forged = house.chain
        forged[0][signature] ^= 1
        #expect(throws: SignatureError.self) {
            try house.authority.verify(chainDER: forged, nowSeconds: Self.now)
        }
    }

    @Test func `the same bytes cut into other certificates are another chain`() {
        #expect(VerifiedPaths.name(of: [[1, 2], [3]]) != VerifiedPaths.name(of: [[1], [2, 3]]))
        #expect(VerifiedPaths.name(of: [[1, 2, 3]]) != VerifiedPaths.name(of: [[1, 2], [3]]))
        #expect(VerifiedPaths.name(of: [[], [1]]) != VerifiedPaths.name(of: [[1], []]))
    }

    @Test func `what is refused is kept nowhere`() throws {
        let file = try VectorFile.load("certificates.json")
        let authority = try EnrollmentTests.authority(file)
        for row in try #require(file["refused"]?.array) {
            guard let chain = try? VectorFile.chain(row) else { continue }
            _ = try? authority.verify(chainDER: chain, nowSeconds: Self.now)
        }
        #expect(authority.verified.count == 0)
    }

    @Test func `they are bounded, and what is asked for stays`() throws {
        let house = try House()
        let path = try house.authority.verifiedPath(chainDER: house.chain, nowSeconds: Self.now)
        let entry = VerifiedPaths.Entry(path: path, validSeconds: Self.now..<Self.now + 10)
        let paths = VerifiedPaths()
        paths.keep(entry, as: [0])
        for number in 1...(VerifiedPaths.pathsMax * 3) {
            paths.keep(entry, as: [UInt8(number & 255), UInt8(number >> 8 & 255), UInt8(number >> 16), 1])
            #expect(paths.path([0], nowSeconds: Self.now) != nil)
            if paths.count > VerifiedPaths.pathsMax { break }
        }
        #expect(paths.count <= VerifiedPaths.pathsMax)
        #expect(paths.path([1, 0, 0, 1], nowSeconds: Self.now) == nil)
        paths.keep(VerifiedPaths.Entry(path: path, validSeconds: 5..<5), as: [9])
        #expect(paths.path([9], nowSeconds: 5) == nil)
    }
}
