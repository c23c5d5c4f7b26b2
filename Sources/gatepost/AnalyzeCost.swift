import Access
import ArgumentParser
import Config
import Glibc

extension Analyze {
    struct Cost: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "What deciding costs under this configuration on this machine.",
            discussion: """
                For every application somebody whom its last reachable policy lets in, in so many groups besides that no
                policy names. Once per session and device a decision is prepared; on each request what was prepared
                is applied. Times are the wall clock's: other work on the machine counts.
                """)
        @Option(help: "How many groups the person is in.") var groups = 500
        @Option(help: "How often each application is prepared.") var rounds = 20
        @OptionGroup var config: ConfigOption

        func validate() throws {
            guard (0...10_000).contains(groups), (1...10_000).contains(rounds) else {
                throw ValidationError("--groups goes up to 10000, --rounds from 1 to 10000.")
            }
        }

        func run() throws {
            let snapshot = try ConfigurationFile(path: config.path, readsFiles: false).loadOrReport().policy
            let cases = DecisionCost.cases(of: snapshot, groups: groups)
            guard !cases.isEmpty else { return print("There is no application.") }
            let cost = DecisionCost.measure(snapshot, cases, rounds: rounds)
            print(cost.text)
        }
    }
}

/// Nanoseconds of preparing and of applying decisions.
struct DecisionCost {
    /// One for each preparation, rising.
    private var prepared: [UInt64] = []
    /// Mean of many requests, one for each application, rising.
    private var applied: [UInt64] = []
    private static let requestsPerApplication = 1_000

    /// Somebody for each application: whom it lets in, where there is such a person.
    static func cases(of snapshot: PolicySnapshot, groups: Int) -> [(Application, AnalyzedCase)] {
        var analysis = PolicyAnalysis(snapshot, fromSeconds: Analyze.nowSeconds)
        let others = (0..<groups).map { "another-group-\($0)" }
        return snapshot.applications.compactMap { application in
            let query = ReachQuery(device: DeviceQuery(isShown: true))
            // The last policy that lets in: everything before it has to be asked.
            guard var found = analysis.reach(of: application, query).policies.last?.example else {
                return nil
            }
            found.session?.person.groups.insert(contentsOf: others, at: 0)
            return (application, found)
        }
    }

    static func measure(
        _ snapshot: PolicySnapshot, _ cases: [(Application, AnalyzedCase)], rounds: Int
    ) -> DecisionCost {
        var cost = DecisionCost()
        for _ in 0..<rounds {
            for (application, example) in cases {
                let begun = now()
                let residual = snapshot.residual(
                    of: example.session, example.device, for: application, atSeconds: example.nowSeconds)
                cost.prepared.append(now() - begun)
                keep(residual.policies.count)
            }
        }
        for (application, example) in cases {
            let residual = snapshot.residual(
                of: example.session, example.device, for: application, atSeconds: example.nowSeconds)
            let path = Array(example.path.utf8)
            let begun = now()
            for _ in 0..<requestsPerApplication {
                let decision = residual.decide(
                    example.request, path: path.span, atSeconds: example.nowSeconds)
                if case .recompute = decision { keep(1) }
            }
            cost.applied.append((now() - begun) / UInt64(requestsPerApplication))
        }
        cost.prepared.sort()
        cost.applied.sort()
        return cost
    }

    var text: String {
        """
        prepared: \(prepared.count) decisions, p50 \(Self.microseconds(prepared, 0.5)), \
        p99 \(Self.microseconds(prepared, 0.99)), longest \(Self.microseconds(prepared, 1))
        applied to a request: p50 \(Self.quantile(applied, 0.5)) ns, p99 \(Self.quantile(applied, 0.99)) ns, \
        longest \(Self.quantile(applied, 1)) ns
        """
    }

    private static func quantile(_ sorted: [UInt64], _ fraction: Double) -> UInt64 {
        sorted.isEmpty ? 0 : sorted[min(sorted.count - 1, Int(Double(sorted.count) * fraction))]
    }

    private static func microseconds(_ sorted: [UInt64], _ fraction: Double) -> String {
        let tenths = quantile(sorted, fraction) / 100
        return "\(tenths / 10).\(tenths % 10) µs"
    }

    private static func now() -> UInt64 {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        return UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec)
    }

    /// So that the optimiser cannot leave out what nobody reads.
    @inline(never) private static func keep(_ value: Int) { withExtendedLifetime(value) {} }
}
