import ChildPrograms
import Foundation
import JSON
import Testing

@testable import gatepost_agent

@Suite("The conformance runner")
struct ConformanceTests {
    /// The checks that an agent with this fault must fail; every other one must hold.
    static let found: [AgentFault: Set<String>] = [
        .ignoresHost: [
            "host-other", "host-suffix", "host-port", "host-without-port", "host-unspecified",
        ],
        .reflectsOrigin: [
            "origin-other", "origin-suffix", "origin-prefix", "origin-userinfo", "origin-case",
            "origin-scheme-case", "origin-port", "origin-http", "origin-slash", "origin-null", "origin-empty",
            "origin-list", "preflight-origin", "preflight-null",
        ],
        .matchesOriginByPrefix: [
            "origin-suffix", "origin-userinfo", "origin-port", "origin-slash", "origin-list",
        ],
        .ignoresOriginCase: ["origin-case", "origin-scheme-case"],
        .takesForms: ["type-text", "type-form", "type-multipart", "type-alike", "type-absent"],
        .readsAnyLength: ["body-too-large"],
        .namesItself: ["refusal-bare"],
        .allowsEveryField: ["preflight-field"],
        .answersTwice: ["replay", "replay-jti", "parallel-replay"],
        .acceptsExpired: ["expired", "iat-past", "popup-refusal", "probe-expired"],
        .acceptsFuture: ["iat-future"],
        .acceptsLongLives: ["life-long"],
        .takesAnyKid: ["kid-unknown", "kid-case"],
        .trustsHeaderKey: ["header-key"],
        .takesNoAlgorithm: ["alg-none"],
        .ignoresCritical: ["crit"],
        .ignoresType: ["type-other", "type-missing"],
        .ignoresIssuer: ["issuer-other"],
        .ignoresAudience: ["audience-other", "audience-list"],
        .ignoresOriginClaim: ["origin-claim"],
        .ignoresReturn: ["return-elsewhere", "return-alike", "return-missing"],
        .ignoresVersions: ["versions-newer", "versions-missing"],
        .takesShortNonces: ["nonce-short"],
        .tellsEverything: ["facts-asked", "facts-none", "facts-one", "facts-unknown"],
        .tellsUser: ["user-hidden"],
        .copiesCounter: ["assertion-fresh", "counter-restart"],
        .hasNoRate: ["rate"],
        .takesDoubledMembers: ["body-doubled", "body-trailing"],
        .followsNavigation: ["nav-elsewhere", "nav-origin", "nav-embedded", "nav-unsigned"],
        .popupPostsToAll: ["popup"], .popupHasNoPolicy: ["popup", "popup-refusal"],
        .popupTakesAnyScript: ["popup", "popup-refusal"], .popupPartsFromOpener: ["popup", "popup-refusal"],
        .popupTakesAnyOrigin: ["popup-origin-claim"], .popupTakesAnyReturn: ["popup-elsewhere"],
        .popupFramed: ["popup-framed"], .popupHidesErrors: ["popup-refusal"], .probeUsesUp: ["probe"],
        .probeTakesExpired: ["probe-expired"], .probeOpened: ["probe-opened"], .probeReadable: ["probe"],
        .sendsCertificateToo: ["stmt"], .forgetsOwnKey: ["stmt"], .namesItselfStated: ["stmt"],
        .forgetsCounter: ["counter-restart"],
        .listensElsewhere: ["loopback-only"], .countsNoOrigins: ["origin-absent", "origin-twice"],
        .routesLoosely: ["path-other", "path-query", "method-put", "preflight-path", "preflight-method"],
        .takesAnyFraming: ["length-twice", "length-and-chunked", "body-chunked", "body-absent"],
        .takesBadHeads: ["head-folded", "head-nul", "head-large"],
        .isTooStrict: [
            "host-localhost", "body-at-limit", "type-charset", "preflight-private-network", "skew-within",
        ],
        .refusesBodiesSilently: [
            "body-no-json", "body-array", "body-empty-object", "body-number", "body-doubled", "body-trailing",
            "body-deep",
        ],
        .ignoresSignatures: [
            "key-stranger", "payload-changed", "signature-cut", "signature-zero", "padding",
            "refused-not-remembered", "nav-unsigned", "popup-unsigned", "probe-unsigned",
        ],
        .confusesAlgorithms: ["alg-hmac", "alg-other"],
        .readsTokensLoosely: ["parts-four", "padding", "payload-doubled"],
        .ignoresForm: [
            "profiles-unknown", "nonce-missing", "jti-missing", "jti-long", "iat-missing", "iat-text",
            "life-negative", "iat-extreme",
        ],
        .remembersRefused: ["refused-not-remembered"], .answersPipelined: ["one-answer"],
        .answersAsAnother: ["assertion-device"], .seesTomorrow: ["assertion-last-seen"],
        .navigatesUnbound: ["nav"],
    ]
    /// What takes a renewal to be seen: of these checks exactly those must fail.
    static let overTime: [AgentFault: Set<String>] = [
        .neverRenews: ["renews"],
        .followsForeignRoot: ["announcement-refused"], .followsOlder: ["announcement-refused"],
        .ignoresAnnouncements: ["announcement-followed"],
    ]
    /// Faults that break every good answer or every refusal, and those that patience finds: looked for by these checks
    /// only.
    static let broad: [AgentFault: Set<String>] = [
        .hashesOther: ["assertion"], .livesLong: ["assertion"], .namesOtherTransport: ["assertion"],
        .sendsOldNonce: ["assertion"], .hidesTime: ["alg-none"], .saysNotFound: ["refusal-alike"],
        .allowsCredentials: ["preflight"], .forgetsVary: ["answer-fields"],
        .sendsStatementAlways: ["stmt-not-first"],
        .trustsNobody: ["answers-its-gateway", "still-answers"], .readsOnce: ["pieces"],
        .pinsOneKey: ["kid-next"], .neverTimesOut: patient, .waitsAnew: ["dripped-head"],
    ]
    /// The checks that wait for the agent's deadlines, and not for renewals.
    static let patient: Set<String> = ["slow-head", "dripped-head", "slow-body", "crowd"]
    /// These send many requests at the same moment: only an intact agent and one that they find is asked for so much,
    /// since all faults are looked for at a time.
    static let crowds: Set<String> = ["rate", "parallel-replay"]

    /// Runs every check that needs no patience, on a thread of its own: it blocks.
    ///
    /// - Parameter patienceMilliseconds: how long what does not come is waited for; more than any limit that is judged.
    static func results(
        _ faults: Set<AgentFault>, only: Set<String>? = nil, patienceMilliseconds: Int64 = 60_000
    ) async throws -> [ConformanceResult] {
        let agent = try BreakableAgent(faults)
        agent.start()
        defer { agent.stop() }
        let checks = ConformanceCheck.all.filter { only?.contains($0.name) ?? !$0.isSlow }
        return await withCheckedContinuation { continuation in
            Thread.detachNewThread {
                let probe = AgentProbe(
                    address: 127 << 24 | 1, port: agent.port, clock: .system,
                    answerMilliseconds: patienceMilliseconds)
                let subject = ConformanceSubject(
                    gateway: agent.gateway, probe: probe, clock: .system, paceMilliseconds: 60,
                    renewalMilliseconds: faults.contains(.neverRenews) ? 3_000 : 60_000,
                    rate: .init(perSecond: 10, burst: 30), statement: agent.statement,
                    outwardAddresses: [BreakableAgent.outwardAddress],
                    patienceMilliseconds: patienceMilliseconds
                ) {
                    agent.restart()
                    return true
                }
                continuation.resume(returning: ConformanceRun(subject: subject, checks: checks).results())
            }
        }
    }

    /// What says nothing about an agent where the machine lets nobody send fast enough, or run on time.
    static let needsQuiet: Set<String> = ["rate", "slow-head", "slow-body"]

    @Test("an agent written from the document alone keeps every guarantee") func intact() async throws {
        for result in try await Self.results([]) {
            let isExcused = result.outcome == .notJudged && Self.needsQuiet.contains(result.check.name)
            #expect(result.outcome == .passed || isExcused, "\(result.check.name): \(result.detail)")
        }
    }

    @Test("an agent written from the document alone gives up whoever is slow, and lets its gateway's page in")
    func intactPatience() async throws {
        let results = try await Self.results([], only: Self.patient)
        for result in results {
            let isExcused = result.outcome == .notJudged && Self.needsQuiet.contains(result.check.name)
            #expect(result.outcome == .passed || isExcused, "\(result.check.name): \(result.detail)")
        }
        #expect(Set(results.map(\.check.name)) == Self.patient)
    }

    @Test("what breaks one rule is found by the checks of that rule and by no other", arguments: found.keys)
    func narrow(_ fault: AgentFault) async throws {
        let expected = try #require(Self.found[fault])
        let asked = ConformanceCheck.all.filter {
            !$0.isSlow && (!Self.crowds.contains($0.name) || !expected.isDisjoint(with: Self.crowds))
        }
        let results = try await Self.results([fault], only: Set(asked.map(\.name)))
        let failed = Set(results.filter { $0.outcome == .failed }.map(\.check.name))
        #expect(failed == expected, "\(fault)")
    }

    @Test(
        "what breaks every answer is found at the first, what waits for ever in the time that is given",
        arguments: broad.keys)
    func everywhere(_ fault: AgentFault) async throws {
        let expected = try #require(Self.broad[fault])
        let results = try await Self.results([fault], only: expected, patienceMilliseconds: 8_000)
        let failed = Set(results.filter { $0.outcome == .failed }.map(\.check.name))
        #expect(failed == expected, "\(fault)")
    }

    static let renewing: Set<String> = ["renews", "announcement-refused", "announcement-followed"]

    @Test("an agent written from the document alone follows its gateway's keys and nobody else's")
    func intactOverTime() async throws {
        let results = try await Self.results([], only: Self.renewing)
        for result in results { #expect(result.outcome == .passed, "\(result.check.name): \(result.detail)") }
        #expect(results.count == Self.renewing.count)
    }

    @Test("what is wrong about renewals is found", arguments: overTime.keys)
    func renewals(_ fault: AgentFault) async throws {
        // What can no longer happen would be waited for.
        let names =
            fault == .ignoresAnnouncements ? Self.renewing : ["renews", "announcement-refused"]
        let results = try await Self.results([fault], only: names)
        let failed = Set(results.filter { $0.outcome == .failed }.map(\.check.name))
        let expected = fault == .neverRenews ? ["renews", "announcement-refused"] : Self.overTime[fault]
        #expect(failed == expected, "\(fault)")
    }

    @Test("every fault is looked for, every check finds one, and has a name of its own") func total() {
        let known = Set(Self.found.keys).union(Self.broad.keys).union(Self.overTime.keys)
        #expect(known == Set(AgentFault.allCases))
        let tables = [Self.found, Self.broad, Self.overTime]
        let finding = tables.reduce(into: Set()) { $0.formUnion($1.values.joined()) }
        #expect(finding == Set(ConformanceCheck.all.map(\.name)))
        #expect(Set(ConformanceCheck.all.map(\.name)).count == ConformanceCheck.all.count)
    }

    @Test("the address names a port on loopback and nothing else") func address() {
        #expect(ConformanceCommand.port(of: "http://127.0.0.1:17472") == 17472)
        #expect(ConformanceCommand.port(of: "http://localhost:17472/") == 17472)
        for text in [
            "http://127.0.0.1", "https://127.0.0.1:1", "http://192.0.2.1:1", "http://127.0.0.1:0", "x",
        ] {
            #expect(ConformanceCommand.port(of: text) == nil, "\(text)")
        }
    }

    @Test("the program's own agent, enrolled over TLS and run as a program, keeps every guarantee")
    func ownAgent() async throws {
        let folder = try TemporaryFolder()
        let agent = Self.program("gatepost-agent")
        let port = try Self.freePort()
        let state = "--state-dir \(folder.path)"
        let run = try await ChildProgram(
            agent,
            [
                "conformance", "http://127.0.0.1:\(port)", "--json", "--wait", "300", "--enroll-with",
                "\(agent) enroll --url $GATEPOST_URL --token=$GATEPOST_TOKEN "
                    + "--authorities $GATEPOST_AUTHORITIES \(state)",
                "--start-with", "exec \(agent) run --port $GATEPOST_PORT --any-user \(state)",
                "--statement-with",
                "umask 077; for f in \(folder.path)/gateways/*; do "
                    + "printf %s \"$GATEPOST_STATEMENT\" > $f/statement.jwt; done",
            ], output: .kept, secondsMax: 900
        ).outcome()
        let report = try JSONValue(parsing: run.output)
        for check in report["checks"]?.array ?? [] where check["outcome"] == "failed" {
            Issue.record("\(check["name"]?.string ?? ""): \(check["detail"]?.string ?? "")")
        }
        #expect(run.status == 0 && report["good"] == true)
        #expect((report["passed"]?.integer ?? 0) >= 130)
    }

    /// A port that nothing listens on, and that nothing is given either before it is used: below those that the kernel
    /// deals out to whoever asks for any (ip_local_port_range).
    private static func freePort() throws -> UInt16 {
        for _ in 0..<100 {
            let port = UInt16.random(in: 20_000..<32_000)
            guard let socket = try? ListeningSocket(port: port) else { continue }
            socket.close()
            return port
        }
        throw AgentError("no port is free", remedy: "look what listens on all of them")
    }

    /// A program that was built together with these tests.
    static func program(_ name: String) -> String {
        let bundle = CommandLine.arguments.first { $0.hasSuffix("gatepostPackageTests.xctest") }
        if let bundle {
            let path = URL(filePath: bundle).deletingLastPathComponent().appending(path: name).path
            if FileManager.default.isExecutableFile(atPath: path) { return path }
        }
        return URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent().appending(path: ".build/debug/\(name)").path
    }
}
