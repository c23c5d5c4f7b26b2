import Testing

@testable import Config

@Suite("gateway.blast-radius")
struct BlastRadiusTests {
    let folder: ConfigFolder

    init() throws { folder = try ConfigFolder() }

    private func text(_ written: String) throws -> String {
        try Sample.replacing("  store:", "  blast-radius: \(written)\n  store:")
    }

    private func load(_ text: String) throws -> BlastRadiusSettings? {
        try folder.write("gatepost.yaml", text)
        return try folder.load().gateway.blastRadius
    }

    @Test("without the key the documented bounds hold, and off means none")
    func defaults() throws {
        let standard = try #require(try load(Sample.text))
        #expect(standard.sharePercent == 20 && standard.sessions == 10)
        #expect(standard.windowSeconds == 300 && standard.holdSeconds == 86_400)
        #expect(try load(text("off")) == nil)
        let some = try #require(try load(text("{ share: 5% }")))
        #expect(some.sharePercent == 5 && some.sessions == 10)
        let all = try #require(try load(text("{ share: 100%, sessions: 0, window: 1s, hold: 7d }")))
        #expect(all.sharePercent == 100 && all.sessions == 0)
        #expect(all.windowSeconds == 1 && all.holdSeconds == 604_800)
    }

    @Test(
        "what is no share, no number and no time is refused with what to write",
        arguments: [
            ("on", "\"on\""), ("{ share: 20 }", "no share in percent"), ("{ share: 101% }", "use 0% to 100%"),
            ("{ share: -1% }", "not a whole number"), ("{ share: 20 % }", "no share in percent"),
            ("{ share: 99999999999999999999% }", "not a whole number"),
            ("{ sessions: -1 }", "not a whole number"), ("{ sessions: 1000001 }", "out of range"),
            ("{ window: 0s }", "out of range"), ("{ hold: 59s }", "out of range"),
            ("{ hold: 8d }", "out of range"),
            ("{ hold: 24 }", "no unit"), ("{ max: 3 }", "is not a key"),
        ])
    func refused(_ written: String, _ what: String) throws {
        let problems = try folder.problems(text(written))
        #expect(
            problems.count == 1 && problems[0].contains("blast-radius") && problems[0].contains(what),
            "\(problems)")
    }
}
