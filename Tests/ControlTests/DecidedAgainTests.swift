import Access
import Border
import JSON
import Testing

@testable import Control

@Suite("Requests that a client certificate decides, and an access log that does not name it")
struct DecidedAgainTests {
    private static let robot = Condition.certificate(CertificateCondition(subjects: ["robot"]))
    private static let reads = Condition.method(MethodCondition(methods: [.get]))
    private static let client = NetworkAddress(v4: 0xc000_0201)

    private static func policy(
        _ action: PolicyAction, any: [Condition] = [], all: [Condition] = [], none: [Condition] = []
    ) -> ResidualPolicy {
        let reason: Reason = action == .block ? .policyBlocks : .policyAllows
        return ResidualPolicy(
            name: "p", action: action, anyOf: any, allOf: all, noneOf: none, restriction: nil, reason: reason)
    }

    private static func residual(_ policies: [ResidualPolicy]) -> Residual {
        Residual(
            policyIdentity: "", isSignedIn: true, validUntilSeconds: .max, policies: policies,
            refusal: .noPolicyMatches, dependsOn: [])
    }

    struct Row: Sendable, CustomTestStringConvertible {
        var testDescription: String
        var policies: [ResidualPolicy]
        var method: RequestMethod = .get
        var expected: DecidedAgain
    }

    static let allowedOrNot = DecidedAgain.byCertificate([.policyAllows, .noPolicyMatches])
    static let table: [Row] = [
        Row(
            testDescription: "no policy asks for one", policies: [policy(.allow, any: [reads])],
            expected: .settled(.policyAllows)),
        Row(testDescription: "it lets in", policies: [policy(.allow, any: [robot])], expected: allowedOrNot),
        Row(
            testDescription: "it keeps out", policies: [policy(.allow, none: [robot])], expected: allowedOrNot
        ),
        Row(
            testDescription: "it keeps out, and somebody else is let in",
            policies: [policy(.block, any: [robot]), policy(.allow, any: [reads])],
            expected: .byCertificate([.policyBlocks, .policyAllows])),
        Row(
            testDescription: "whoever shows none is let in by the next policy",
            policies: [policy(.service, any: [robot]), policy(.allow, any: [reads])],
            expected: .settled(.policyAllows)),
        Row(
            testDescription: "what matches before it decides",
            policies: [policy(.block, any: [reads]), policy(.allow, any: [robot])],
            expected: .settled(.policyBlocks)),
        Row(
            testDescription: "what matches behind it decides without one",
            policies: [policy(.allow, any: [robot]), policy(.block, any: [reads])],
            expected: .byCertificate([.policyBlocks, .policyAllows])),
        Row(
            testDescription: "another condition of its policy does not hold",
            policies: [policy(.allow, any: [robot], all: [reads])], method: .post,
            expected: .settled(.noPolicyMatches)),
        Row(
            testDescription: "another of its policy's ways holds",
            policies: [policy(.allow, any: [robot, reads])],
            expected: .settled(.policyAllows)),
        Row(
            testDescription: "it stands in a group",
            policies: [
                policy(.allow, any: [.meets(ConditionGroup(name: "g", include: [robot], require: [reads]))])
            ], expected: allowedOrNot),
        Row(
            testDescription: "it stands in a group that does not hold",
            policies: [
                policy(.allow, any: [.meets(ConditionGroup(name: "g", include: [robot], require: [reads]))])
            ], method: .post, expected: .settled(.noPolicyMatches)),
        Row(
            testDescription: "a group excludes it",
            policies: [
                policy(.allow, none: [.meets(ConditionGroup(name: "g", include: [], exclude: [robot]))])
            ], expected: allowedOrNot),
    ]

    @Test(arguments: table) func `what only the certificate would say is left open, and nothing else`(
        _ row: Row
    ) {
        let request = RequestFacts(method: row.method, client: Self.client)
        #expect(Self.residual(row.policies).decidedAgain(request, path: Array("/".utf8)) == row.expected)
    }

    private static func condition(_ random: inout SeededChance, depth: Int = 0) -> Condition {
        switch Int.random(in: 0...(depth > 1 ? 3 : 4), using: &random) {
        case 0: robot
        case 1: .certificate(CertificateCondition(names: ["dns:a", "dns:b"]))
        case 2: reads
        case 3: .path(PathCondition(prefixes: ["/a"], exact: []))
        case _:
            .meets(
                ConditionGroup(
                    name: "g", include: conditions(&random, depth + 1),
                    require: conditions(&random, depth + 1),
                    exclude: conditions(&random, depth + 1)))
        }
    }

    private static func conditions(_ random: inout SeededChance, _ depth: Int = 0) -> [Condition] {
        (0..<Int.random(in: 0...2, using: &random)).map { _ in condition(&random, depth: depth) }
    }

    @Test func `whatever certificate is shown, the word that it brings is among the possible ones`() {
        let seed: UInt64 = 20_261_122
        var random = SeededChance(state: seed)
        var open = 0
        for number in 0..<1_000 {
            let residual = Self.residual(
                (0..<Int.random(in: 1...4, using: &random)).map { _ in
                    Self.policy(
                        Bool.random(using: &random) ? .allow : .block, any: Self.conditions(&random),
                        all: Self.conditions(&random), none: Self.conditions(&random))
                })
            let method: RequestMethod = Bool.random(using: &random) ? .get : .post
            let path = Array((Bool.random(using: &random) ? "/a" : "/b").utf8)
            let again = residual.decidedAgain(RequestFacts(method: method, client: Self.client), path: path)
            if again.isOpen { open += 1 }
            for subject in [nil, "robot", "other"] {
                for names in [[], ["dns:a"], ["dns:c", "dns:b"]] {
                    for hasOne in [false, true] {
                        let certificate = CertificateFacts(subject: subject, names: names, issuerDigest: "")
                        let request = RequestFacts(
                            method: method, client: Self.client, certificate: hasOne ? certificate : nil)
                        let decision = residual.decide(request, path: path.span, atSeconds: 0)
                        let word = residual.reason(for: decision)
                        #expect(
                            word.map(again.permits) == true,
                            "seed \(seed), case \(number): \(word?.rawValue ?? "none"), \(again.text)")
                    }
                }
            }
        }
        #expect((100...900).contains(open), "\(open) of 1000: the cases say little")
    }
}

@Suite("An access log with requests that a client certificate decides")
struct CertificateReplayTests {
    private static let robot = Condition.certificate(CertificateCondition(subjects: ["robot"]))

    /// The fixture's policy, with a wiki that machines read.
    private static func policy(_ include: [Condition]) -> PolicySnapshot {
        var policy = DecisionFixture.policy
        policy.applications[0].policies[0] = ApplicationPolicy(
            name: "public", action: .bypass, include: include)
        return DecisionFixture.named(policy)
    }

    private static func replay(candidate: PolicySnapshot? = nil) throws -> (RequestReplay, Replay, String) {
        let fixture = DecisionFixture()
        let recorder = DecisionRecorder(log: try fixture.log())
        let live = policy([robot])
        recorder.begin(live)
        let id = recorder.record(try fixture.made("wiki", email: "eve@other.example", policy: live))
        recorder.finish()
        let replay = try fixture.replay(candidate: candidate, keepsResiduals: true)
        return (RequestReplay(replay), replay, id.text)
    }

    private static func line(_ decision: String, _ reason: String) -> [UInt8] {
        JSONObject([
            ("application", "wiki"), ("method", "GET"), ("path", "/"), ("client", "192.0.2.1"),
            ("status", 200), ("reason", .string(reason)), ("decision", .string(decision)),
        ]).serialized()
    }

    @Test func `they are not replayable and not different, and the report says how many and why`() throws {
        var (requests, replay, id) = try Self.replay()
        let nobody = "policy-" + Self.policy([Self.robot]).identity.prefix(32)
        for line in [
            Self.line(id, "policy-bypasses"), Self.line(id, "no-policy-matches"),
            Self.line(nobody, "policy-bypasses"), Self.line(nobody, "sign-in-required"),
            Self.line(id, "upstream-timeout"),
        ] {
            #expect(requests.take(line) == nil)
        }
        #expect(requests.isEqual && replay.isEqual, "\(requests.differences)")
        #expect(requests.counts.unnamedCertificates == 5 && requests.counts.requests == 5)
        let report = ReplayReport(
            replay: replay, requests: requests, candidate: nil, seconds: 1, requestSeconds: 1,
            processorSeconds: 1)
        #expect(
            report.text.contains("5 not replayable because the log does not name the client certificate"))
        let counts = report.json["requests_not_replayable"]
        #expect(counts?["client-certificate-not-logged"] == 5 && counts?["path-cut-short"] == 0)
        #expect(report.json["equal"] == true && report.json["requests_different"] == 0)
    }

    @Test func `a word that no certificate could have brought is a difference`() throws {
        var (requests, _, id) = try Self.replay()
        #expect(requests.take(Self.line(id, "policy-allows")) == nil)
        #expect(!requests.isEqual && requests.counts.unnamedCertificates == 0)
        #expect(
            requests.differences == [
                "wiki GET /: logged policy-allows, decided again no-policy-matches or policy-bypasses by \(id)"
            ])
    }

    @Test func `a candidate that asks for no certificate is compared with what the log says happened`() throws
    {
        var (requests, _, id) = try Self.replay(candidate: Self.policy([.everyone]))
        for reason in ["policy-bypasses", "no-policy-matches", "upstream-timeout"] {
            #expect(requests.take(Self.line(id, reason)) == nil)
        }
        let words = requests.changes.map { "\($0.key.word) \($0.key.before) \($0.value.count)" }
        #expect(words == ["would-let-in no-policy-matches 1"])
    }

    @Test func `what a candidate decides by a certificate is counted, not guessed`() throws {
        let fixture = DecisionFixture()
        let recorder = DecisionRecorder(log: try fixture.log())
        let id = recorder.record(try fixture.made("wiki"))
        recorder.finish()
        var candidate = Self.policy([Self.robot])
        candidate.applications[0].policies.removeLast()
        var requests = RequestReplay(
            try fixture.replay(candidate: DecisionFixture.named(candidate), keepsResiduals: true))
        #expect(requests.take(Self.line(id.text, "policy-allows")) == nil)
        #expect(requests.isEqual && requests.changes.isEmpty && requests.counts.unnamedCertificates == 1)
    }
}
