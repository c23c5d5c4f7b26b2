import Access
import Foundation
import Testing

/// The golden file holds everything that `gatepost analyze` prints for people of these policies, compared whole and
/// rewritten with UPDATE_GOLDEN=1.
@Suite("What analysis prints is a contract with whoever reads it")
struct AnalyzeTextTests {
    private static let banner = Restriction(
        methods: [.get, .head], pathPrefixes: ["/help"],
        limits: [.blocksDownloads, .banner("Take care.")])

    private static func wiki(_ extra: [ApplicationPolicy] = []) -> Application {
        application(
            [
                ApplicationPolicy(
                    name: "bad", action: .block, include: [inGroup("leavers")]),
                AnalysisTests.staff,
                ApplicationPolicy(
                    name: "help", action: .bypass, include: [pathIs("/help")], restriction: banner),
            ] + extra)
    }

    private static func renamed(_ app: Application, _ name: String) -> Application {
        var app = app
        app.name = name
        return app
    }

    private static let nobody = renamed(application([]), "nobody")
    private static let everybody = renamed(
        application([ApplicationPolicy(name: "all", action: .allow, include: [.everyone])]), "everybody"
    )
    private static let shadowed = ApplicationPolicy(
        name: "late", action: .allow, include: [inGroup("staff"), inGroup("leavers")],
        require: [deviceIs(.compliant)])

    @Test("reach, unreachable and equal print what the golden file says")
    func golden() throws {
        let apps = [Self.wiki([Self.shadowed]), Self.nobody, Self.everybody]
        let policy = snapshot([healthy], apps)
        var analysis = PolicyAnalysis(policy, fromSeconds: now)
        let query = ReachQuery(device: DeviceQuery(isShown: true, deviceClass: .compliant))
        let reaches = apps.map { ($0, analysis.reach(of: $0, query)) }
        let findings = apps.map { ($0, analysis.unreachable(in: $0)) }
        let other = snapshot(
            [healthy], [Self.wiki(), Self.everybody, Self.renamed(Self.nobody, "new")])
        var changed = other
        changed.applications[0].policies.removeFirst()
        let parts = [
            AnalyzeText.reach(reaches, withExamples: false),
            AnalyzeText.reach(reaches, withExamples: true),
            AnalyzeText.unreachable(findings, analysis.unreachableDevicePolicies()),
            AnalyzeText.comparison(analysis.comparison(with: other), ("old", policy), ("new", other)),
            AnalyzeText.comparison(analysis.comparison(with: changed), ("old", policy), ("new", changed)),
        ]
        let text = parts.joined(separator: "\n---\n") + "\n"
        let path = #filePath.replacing("Analysis/AnalyzeTextTests.swift", with: "Golden/analyze.txt")
        if ProcessInfo.processInfo.environment["UPDATE_GOLDEN"] == "1" {
            try Data(text.utf8).write(to: URL(fileURLWithPath: path))
        }
        let expected = try String(contentsOfFile: path, encoding: .utf8)
        #expect(text == expected, "run with UPDATE_GOLDEN=1 and review the difference")
    }

    @Test("a comparison says what it leaves out where there is any of it, and nothing elsewhere")
    func notCompared() {
        let (with, without) = (snapshot([], [Self.wiki()]), snapshot([], [Self.everybody]))
        #expect(AnalyzeText.notCompared(with, without).count == 1)
        #expect(AnalyzeText.notCompared(without, with).count == 1)
        #expect(AnalyzeText.notCompared(without, without).isEmpty)
    }
}
