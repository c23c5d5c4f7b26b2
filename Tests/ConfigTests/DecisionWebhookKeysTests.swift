import Config
import Testing

@Suite("gateway.decision-webhook")
struct DecisionWebhookKeysTests {
    let folder: ConfigFolder

    init() throws { folder = try ConfigFolder() }

    private func text(_ keys: String) throws -> String {
        try Sample.replacing("  store: sqlite:state", "  store: sqlite:state\n\(keys)")
    }

    @Test("002.21 nobody gets the log unless an administrator names a receiver")
    func read() throws {
        try folder.write("gatepost.yaml", Sample.text)
        #expect(try folder.load().gateway.decisionWebhook == nil)
        try folder.write(
            "gatepost.yaml",
            try text(
                "  decision-webhook: { url: \"https://siem.example/lines\", authorization: { file: secret } }"
            ))
        let settings = try folder.load().gateway.decisionWebhook
        #expect(
            settings?.url == "https://siem.example/lines" && settings?.authorization?.bytes.isEmpty == false)
        #expect(settings?.authoritiesPEM == nil && settings?.allowsPlainHTTP == false)
    }

    @Test(
        "what cannot work is refused",
        arguments: [
            ("decision-webhook: {}", "url: is missing"),
            ("decision-webhook: https://siem.example/", "must be a mapping"),
            ("decision-webhook: { url: \"http://siem.example/\" }", "plain HTTP"),
            ("decision-webhook: { url: \"http://127.0.0.1:9/\" }", "plain HTTP"),
            (
                "decision-webhook: { url: \"https://siem.example/\", unsafe-allow-http: true }",
                "no URL here is plain HTTP"
            ),
            ("decision-webhook: { url: \"https://siem.example/\", authorization: Bearer x }", "plain text"),
            ("decision-webhook: { url: \"https://siem.example/\", queue: 5 }", "queue"),
            (
                "decision-log: off\n  decision-webhook: { url: \"https://siem.example/\" }",
                "has no effect while decision-log is off"
            ),
        ])
    func refused(_ keys: String, _ problem: String) throws {
        let problems = try folder.problems(try text("  \(keys)"))
        #expect(problems.contains { $0.contains(problem) }, "\(problems)")
    }

    @Test(
        "a secret that is no value of a field is refused, and is not repeated",
        arguments: ["q7\nX: y", " q7", "q7 ", "q7\u{7f}", "q7\u{e9}"])
    func secret(_ value: String) throws {
        try folder.write("siem", value)
        try check(isRefused: true, "q7")
    }

    @Test(
        "a secret has 1 to 1024 characters",
        arguments: [(0, true), (1, false), (1_024, false), (1_025, true)])
    func secretLength(_ count: Int, _ isRefused: Bool) throws {
        try folder.write("siem", String(repeating: "q", count: count))
        try check(isRefused: isRefused, "qqqq")
    }

    private func check(isRefused: Bool, _ value: String) throws {
        let problems = try folder.problems(
            try text("  decision-webhook: { url: \"https://siem.example/\", authorization: { file: siem } }"))
        #expect(problems.isEmpty != isRefused, "\(problems)")
        #expect(problems.allSatisfy { $0.contains("authorization") && !$0.contains(value) })
    }

    @Test("authorities have to be certificates, and a secret must not be readable by others") func files()
        throws
    {
        try folder.write("open", "Bearer 1", mode: 0o644)
        for (keys, problem) in [
            ("authorities: key.pem", "authorities"), ("authorities: nowhere.pem", "authorities"),
            ("authorization: { file: open }", "authorization"),
            ("authorization: { env: NOTHING }", "NOTHING"),
        ] {
            let problems = try folder.problems(
                try text("  decision-webhook: { url: \"https://siem.example/\", \(keys) }"))
            #expect(problems.contains { $0.contains(problem) }, "\(keys): \(problems)")
        }
        #expect(
            try folder.problems(
                try text("  decision-webhook: { url: \"https://siem.example/\", authorities: chain.pem }")
            ).isEmpty)
    }
}
