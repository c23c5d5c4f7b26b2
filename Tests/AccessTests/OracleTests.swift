import Access
import Foundation
import Testing

@Suite("The module decides what an independent, slow reading of the rules decides")
struct OracleTests {
    /// Split, so that a failure is found early.
    private static let parts: UInt64 = 8

    /// Cases of one run: a million in release, and fewer in debug builds, which are thirty times slower.
    /// `GATEPOST_ORACLE_CASES` asks for another count, `GATEPOST_ORACLE_FIRST` for others than the first.
    static let seedsPerPart: UInt64 = {
        #if DEBUG
            number("GATEPOST_ORACLE_CASES", else: 40_000) / parts
        #else
            number("GATEPOST_ORACLE_CASES", else: 1_000_000) / parts
        #endif
    }()

    private static func number(_ name: String, else standard: UInt64) -> UInt64 {
        guard let text = ProcessInfo.processInfo.environment[name] else { return standard }
        guard let number = UInt64(text), number < 1 << 48 else {
            preconditionFailure("\(name): \(text) is no number of cases")
        }
        return number
    }

    @Test("deciding by the residual is what a naive reading of the rules says", arguments: 0..<parts)
    func residual(part: UInt64) {
        var answers: [String: Int] = [:]
        let first = Self.number("GATEPOST_ORACLE_FIRST", else: 0) + part * Self.seedsPerPart
        for seed in first..<first + Self.seedsPerPart {
            var random = RandomPolicies(seed: seed)
            let policy = snapshot(
                random.devicePolicies(nil), noMatch: random.generator.pick([.partial, .denied]),
                unsupported: random.generator.pick([.partial, .denied]))
            let app = random.application()
            let session = random.generator.chance(75) ? random.session() : nil
            let service = random.generator.chance(30) ? random.service() : nil
            let device = random.generator.chance(85) ? random.device() : nil
            let residual = policy.residual(of: session, device, service: service, for: app, atSeconds: now)
            // A record passes over nothing; what the gateway uses passes over most policies.
            let record = policy.explain(session, device, service: service, for: app, atSeconds: now)
            if record.residual != residual {
                Issue.record("seed \(seed): \(residual) but explained as \(record.residual)")
                return
            }
            for _ in 0..<2 {
                let (request, path) = random.request()
                let oracle = Oracle(
                    policy: policy, application: app, session: session, service: service, device: device,
                    request: request, path: path, at: now)
                let expected = oracle.answer()
                let decision = residual.decide(request, path: Array(path.utf8).span, atSeconds: now)
                if !agree(decision, expected, residual) {
                    Issue.record("seed \(seed): \(decision) but \(expected)")
                    return
                }
                answers["\(expected)".prefix(6).description, default: 0] += 1
            }
        }
        #expect(
            answers.count == 3 && answers.values.allSatisfy { $0 > Self.seedsPerPart / 20 },
            "all three kinds occur: \(answers)")
    }

    private func agree(_ decision: Decision, _ expected: Oracle.Answer, _ residual: Residual) -> Bool {
        switch (decision, expected) {
        case (.forward(let index), .forward(let name, let limits)):
            // More limits than certainly needed are right: a policy may match other requests of the session.
            residual.policies[index].name == name
                && limits.isSubset(of: residual.policies[index].restriction?.limits ?? [])
        case (.signIn, .signIn): true
        // Signed in, but by now too long ago for one of the policies: which word comes first is told by
        // tables.
        case (.refuse, .signIn): residual.isSignedIn
        case (.refuse(let reason), .refuse(let restricted)):
            restricted.map { $0 == reason } ?? (reason != .restrictedMethod && reason != .restrictedPath)
        case (.forward, _), (.signIn, _), (.refuse, _), (.recompute, _): false
        }
    }
}
