import Testing

@testable import Config

@Suite("gateway.listeners[].client-certificates and the conditions that need it")
struct ClientCertificatesTests {
    let folder: ConfigFolder

    init() throws {
        folder = try ConfigFolder()
        try folder.write("list.pem", "-----BEGIN X509 CRL-----\nAA==\n-----END X509 CRL-----\n")
    }

    private func text(_ keys: String?, asked: Bool = true) throws -> String {
        var text = try Sample.replacing(
            "{ email-domain: corp.example }",
            asked ? "{ certificate: { subjects: [s7] } }" : "{ email-domain: corp.example }")
        if let keys {
            text = text.replacing(
                "key: key.pem } ] } ]", with: "key: key.pem } ], client-certificates: \(keys) } ]")
        }
        return text
    }

    private func settings(_ keys: String) throws -> ClientCertificateSettings? {
        try folder.write("gatepost.yaml", text(keys))
        return try folder.load().gateway.listeners[0].clientCertificates
    }

    @Test func `a certificate condition that no listener asks for is an error`() throws {
        #expect(try folder.problems(text(nil)).contains { $0.contains("but no listener does") })
        #expect(try folder.problems(text("{ authorities: chain.pem }")) == [])
    }

    @Test func `a listener that asks for what no policy looks at is a warning`() throws {
        try folder.write("gatepost.yaml", text("{ authorities: chain.pem }", asked: false))
        #expect(
            try folder.load().warnings.contains {
                $0.key == "gateway.listeners[0].client-certificates"
                    && $0.problem.contains("no policy looks at")
            })
    }

    @Test func `mode and revocations arrive as values`() throws {
        let plain = try settings("{ authorities: chain.pem }")
        #expect(plain?.isRequired == false && plain?.revocations == nil)
        #expect(plain?.authoritiesPEM.isEmpty == false)
        let whole = try settings("{ authorities: chain.pem, crl: list.pem, mode: required }")
        #expect(whole?.isRequired == true && whole?.revocations?.isEmpty == false)
        #expect(whole?.revocationsPath?.hasSuffix("/list.pem") == true)
        #expect(try settings("{ authorities: chain.pem, mode: optional }")?.isRequired == false)
    }

    @Test func `lists are PEM or DER, of eight megabytes exactly and not a byte more`() throws {
        let most = 8 << 20
        for (bytes, problem) in [
            (most, nil), (most + 1, "is larger than 8388608 bytes"), (1, nil), (0, "holds no PEM X509 CRL"),
        ] as [(Int, String?)] {
            try folder.write("list.der", String(repeating: "0", count: bytes))
            let problems = try folder.problems(text("{ authorities: chain.pem, crl: list.der }"))
            #expect((problems.first == nil) == (problem == nil), "\(bytes): \(problems)")
            #expect(problem.map { problems[0].contains($0) } ?? true, "\(problems)")
        }
    }

    @Test func `a common name is a device's name only where that is said`() throws {
        let plain = try settings("{ authorities: chain.pem }")
        #expect(plain?.matchesCommonName == false && plain?.deviceDomain == nil)
        let named = try settings(
            "{ authorities: chain.pem, match-common-name: true, device-domain: corp.example }")
        #expect(named?.matchesCommonName == true && named?.deviceDomain == "corp.example")
    }

    @Test(
        "what cannot be meant is refused",
        arguments: [
            "{}", "{ mode: required }", "{ authorities: key.pem }", "{ authorities: missing.pem }",
            "{ authorities: chain.pem, crl: chain.pem }", "{ authorities: chain.pem, crl: missing.pem }",
            "{ authorities: chain.pem, device-domain: corp.example }",
            "{ authorities: chain.pem, match-common-name: false, device-domain: corp.example }",
            "{ authorities: chain.pem, match-common-name: \"yes\" }",
            "{ authorities: chain.pem, match-common-name: true, device-domain: Corp.Example }",
            "{ authorities: chain.pem, mode: demanded }", "{ authorities: chain.pem, depth: 3 }",
        ])
    func mistakes(_ keys: String) throws {
        #expect(try !folder.problems(text(keys)).isEmpty)
    }
}
