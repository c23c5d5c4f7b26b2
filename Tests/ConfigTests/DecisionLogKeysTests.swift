import Config
import Testing

@Suite("gateway.decision-log, its bounds, and gateway.shadow-policy")
struct DecisionLogKeysTests {
    let folder: ConfigFolder

    init() throws { folder = try ConfigFolder() }

    private func text(_ keys: String) throws -> String {
        try Sample.replacing("  store: sqlite:state", "  store: sqlite:state\n\(keys)")
    }

    @Test("002.1 decisions are on record unless somebody switches that off")
    func standard() throws {
        try folder.write("gatepost.yaml", Sample.text)
        let standard = try folder.load().gateway
        #expect(
            standard.decisionLog
                == DecisionLogSettings(
                    folder: "\(folder.path)/state/decisions", bytesMax: 1 << 30, ageSecondsMax: 2_592_000))
        #expect(standard.shadowPolicy == nil)
        try folder.write("gatepost.yaml", try text("  decision-log: off"))
        #expect(try folder.load().gateway.decisionLog == nil)
    }

    @Test func `folder, bounds and candidate are taken, relative to the configuration`() throws {
        try folder.write(
            "gatepost.yaml",
            try text(
                """
                  decision-log: log
                  decision-log-bytes: 16MiB
                  decision-log-age: 1h
                  shadow-policy: next
                """))
        let gateway = try folder.load().gateway
        #expect(
            gateway.decisionLog
                == DecisionLogSettings(
                    folder: "\(folder.path)/log", bytesMax: 16 << 20, ageSecondsMax: 3_600))
        #expect(gateway.shadowPolicy == "\(folder.path)/next")
    }

    @Test(
        arguments: [
            ("  decision-log-bytes: 16383KiB", "decision-log-bytes: \"16383KiB\" is out of range"),
            ("  decision-log-bytes: 2000000MiB", "is out of range"),
            ("  decision-log-age: 3599s", "decision-log-age: \"3599s\" is out of range"),
            ("  decision-log-age: 3651d", "is out of range"),
            ("  decision-log: off\n  decision-log-age: 1d", "has no effect while decision-log is off"),
            ("  decision-log: off\n  decision-log-bytes: 64MiB", "has no effect while decision-log is off"),
        ])
    func refused(_ keys: String, _ problem: String) throws {
        let problems = try folder.problems(try text(keys))
        #expect(problems.count == 1 && problems[0].contains(problem), "\(problems)")
    }
}
