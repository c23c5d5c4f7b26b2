import Access
import Config
import JSON
import Synchronization

/// A candidate policy that is decided beside the live one: never on a request's way, never with an effect.
final class ShadowPolicy: Sendable {
    private struct State {
        var policy: PolicySnapshot?
        /// Why there is none although one is configured.
        var problem: String?
        var counts: [String: [ShadowFinding.Word: Int]] = [:]
        var toldAtSeconds: Int64 = 0
        var toldCount = 0
    }
    private let state = Mutex(State())

    /// The candidate in use.
    var policy: PolicySnapshot? { state.withLock { $0.policy } }
    var problem: String? { state.withLock { $0.problem } }
    var counts: [String: [ShadowFinding.Word: Int]] { state.withLock { $0.counts } }

    /// Reads the candidate anew. One that cannot be used is a problem that is told; the gateway goes on without it.
    func load(_ path: String?) {
        var new = State()
        if let path {
            do throws(ConfigFailure) {
                // Its certificates and secrets are nobody's concern here.
                new.policy = try ConfigurationLoader.load(path: path, readsFiles: false).policy
            } catch {
                new.problem = error.problems.map { "\($0)" }.joined(separator: "\n")
                EventLog.write(
                    "shadow-policy-refused",
                    [("path", .string(path)), ("what", .string(new.problem ?? ""))])
            }
        }
        state.withLock { state in
            // The same candidate goes on counting over a reload of something else.
            if let policy = new.policy, policy == state.policy { return }
            state = new
        }
    }

    /// Decides beside the live policy and counts.
    func find(_ made: MadeDecision) -> ShadowFinding? {
        guard let policy else { return nil }
        let residual: Residual
        if let application = policy.application(named: made.application) {
            residual = policy.residual(
                of: made.session, made.device, service: made.service, for: application,
                atSeconds: made.atSeconds)
        } else {
            residual = Self.nowhere(policy)
        }
        let word = ShadowFinding.word(live: made.residual, candidate: residual)
        state.withLock { $0.counts[made.application, default: [:]][word, default: 0] += 1 }
        return ShadowFinding(
            word: word, policy: policy.identity, outcome: residual.outcome, reason: residual.leadingReason)
    }

    /// What somebody gets at an application that a policy does not have.
    static func nowhere(_ policy: PolicySnapshot) -> Residual {
        Residual(
            policyIdentity: policy.identity, isSignedIn: true, validUntilSeconds: .max, policies: [],
            refusal: .routeNotFound, dependsOn: [])
    }

    /// The counters, when an hour has passed since they were told and they have changed.
    func report(atSeconds now: Int64) -> [(String, JSONValue)]? {
        state.withLock { state in
            let sum = state.counts.values.reduce(0) { $0 + $1.values.reduce(0, +) }
            guard let policy = state.policy, sum != state.toldCount,
                !(0..<3_600).contains(now - state.toldAtSeconds)
            else { return nil }
            state.toldAtSeconds = now
            state.toldCount = sum
            return [("policy", .string(policy.identity)), ("applications", Self.json(state.counts))]
        }
    }

    /// `{"wiki": {"agrees": 12, …}, …}`, every word for every application.
    static func json(_ counts: [String: [ShadowFinding.Word: Int]]) -> JSONValue {
        .object(
            JSONObject(
                counts.sorted { $0.key < $1.key }.map { application, counts in
                    let members = ShadowFinding.Word.allCases.map { word in
                        (
                            word.rawValue.replacing("-", with: "_"),
                            JSONValue.integer(Int64(counts[word] ?? 0))
                        )
                    }
                    return (application, .object(JSONObject(members)))
                }))
    }
}
