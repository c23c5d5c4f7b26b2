import Testing

@testable import Config

@Suite("Scripts of other origins, and forms that are kept")
struct CrossOriginKeyTests {
    let folder: ConfigFolder
    init() throws { folder = try ConfigFolder() }

    private func text(_ lines: String...) -> String {
        Sample.text.replacing(
            "    identity-providers: [ corp ]\n",
            with: "    identity-providers: [ corp ]\n" + lines.map { "    \($0)\n" }.joined())
    }

    @Test func `every key reaches its setting`() throws {
        try folder.write(
            "gatepost.yaml",
            text(
                "keep-form: true",
                "cors: { origins: [ \"https://a.test\", \"https://b.test:8443\" ], methods: [PUT], max-age: 10m,",
                "  request-fields: [Content-Type], response-fields: [X-Total], credentials: true }"))
        let wiki = try #require(try folder.load().applications.first)
        var expected = CrossOriginSettings(origins: ["https://a.test", "https://b.test:8443"])
        expected.methods = ["PUT"]
        expected.requestFields = ["Content-Type"]
        expected.responseFields = ["X-Total"]
        expected.allowsCredentials = true
        expected.maxAgeSeconds = 600
        #expect(wiki.crossOrigin == expected)
        #expect(wiki.keepsForms)
    }

    @Test func `without them nothing is answered and nothing is kept`() throws {
        try folder.write("gatepost.yaml", Sample.text)
        let wiki = try #require(try folder.load().applications.first)
        #expect(wiki.crossOrigin == nil && !wiki.keepsForms)
        try folder.write(
            "gatepost.yaml", text("cors: { origins: [ \"https://a.test\" ], preflight: forward }"))
        let rules = try #require(try folder.load().applications.first?.crossOrigin)
        #expect(
            rules.isForwarded && !rules.allowsCredentials && rules.methods.isEmpty && rules.maxAgeSeconds == 0
        )
    }

    @Test(
        "what no browser could mean is refused, with the key named",
        arguments: [
            ("cors: {}", "cors.origins"), ("cors: { origins: [] }", "cors.origins"),
            ("cors: { origins: [\"*\"] }", "cors.origins"), ("cors: { origins: [\"null\"] }", "cors.origins"),
            ("cors: { origins: [\"http://a.test\"] }", "cors.origins"),
            ("cors: { origins: [\"https://*.a.test\"] }", "cors.origins"),
            ("cors: { origins: [\"https://a.test/\"] }", "cors.origins"),
            ("cors: { origins: [\"https://a.test:443\"] }", "cors.origins"),
            ("cors: { origins: [\"https://a.test\", \"https://a.test\"] }", "cors.origins"),
            ("cors: { origins: [\"https://a.test\"], methods: [\"*\"] }", "cors.methods"),
            ("cors: { origins: [\"https://a.test\"], methods: [put] }", "cors.methods"),
            ("cors: { origins: [\"https://a.test\"], methods: [TRACE] }", "cors.methods"),
            ("cors: { origins: [\"https://a.test\"], methods: [\"A, B\"] }", "cors.methods"),
            ("cors: { origins: [\"https://a.test\"], request-fields: [\"*\"] }", "cors.request-fields"),
            ("cors: { origins: [\"https://a.test\"], response-fields: [\"a:b\"] }", "cors.response-fields"),
            ("cors: { origins: [\"https://a.test\"], max-age: 25h }", "cors.max-age"),
            ("cors: { origins: [\"https://a.test\"], max-age: 0s }", "cors.max-age"),
            ("cors: { origins: [\"https://a.test\"], credentials: yes }", "cors.credentials"),
            ("cors: { origins: [\"https://a.test\"], preflight: ask }", "cors.preflight"),
            ("cors: { origins: [\"https://a.test\"], preflight: forward, methods: [PUT] }", "cors.methods"),
            (
                "cors: { origins: [\"https://a.test\"], preflight: forward, credentials: true }",
                "cors.credentials"
            ),
            ("cors: { origins: [\"https://a.test\"], preflight: forward, max-age: 1m }", "cors.max-age"),
            ("cors: true", "cors"), ("keep-form: 5m", "keep-form"), ("keep-forms: true", "keep-forms"),
        ])
    func refused(_ line: String, _ key: String) throws {
        let problems = try folder.problems(text(line))
        #expect(problems.contains { $0.contains("applications.wiki.\(key)") }, "\(problems)")
    }

    @Test func `exactly 64 origins are taken, one more is refused`() throws {
        for (count, isTaken) in [(64, true), (65, false)] {
            let origins = (0..<count).map { "\"https://a\($0).test\"" }.joined(separator: ", ")
            #expect(
                try folder.problems(text("cors: { origins: [\(origins)] }")).isEmpty == isTaken, "\(count)")
        }
    }
}
