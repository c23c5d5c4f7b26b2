import Signatures
import Testing

@Suite("Names of authorities, as whoever writes them writes them")
struct DistinguishedNameTests {
    @Test(
        "one name in several writings",
        arguments: [
            "CN=Device CA,O=Corp", "O=Corp, CN=Device CA", "/O=Corp/CN=Device CA", "cn=device ca+o=corp",
            " CN = Device CA , O = Corp ",
        ])
    func same(_ text: String) {
        #expect(DistinguishedName(text) == DistinguishedName("CN=Device CA,O=Corp"))
        #expect(DistinguishedName(text) != DistinguishedName("CN=Device CA"))
    }

    @Test(
        "what is no name",
        arguments: ["", "Device CA", "CN=", "=Corp", "CN=a,", ",", "/", String(repeating: "a", count: 1_025)])
    func none(_ text: String) { #expect(DistinguishedName(text) == nil) }

    @Test("a separator behind a backslash belongs to the value") func escaped() {
        #expect(DistinguishedName("CN=A\\, B,O=C") != nil)
        #expect(DistinguishedName("CN=A\\,O=C") != DistinguishedName("CN=A,O=C"))
    }

    @Test("a certificate's own") func certificate() throws {
        let pair = try EnrollmentAuthority.generateSelfSigned(
            commonName: "Corp, Devices", nowSeconds: 1_000_000)
        let name = try #require(try Certificate(pem: pair.certificatePEM).subjectName)
        #expect(name == DistinguishedName("cn=corp\\, devices"))
        #expect(name != DistinguishedName("CN=Devices"))
    }
}
