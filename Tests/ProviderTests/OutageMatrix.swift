import Access
import Testing

@testable import Posture
@testable import gatepost_lab

/// What a person gets who comes with the device of a provider that misbehaves.
enum OutageWord: String, Sendable, CaseIterable {
    case full, partial, refused
}

/// Three applications that ask for a compliant device and differ in `outage` alone, decided by the evaluator itself.
enum OutageMatrix {
    /// How long the third setting lets a verdict outlive its end.
    static let extensionSeconds: Int64 = 7_200

    struct Setting: Sendable {
        var name: String
        var outage: OutageSetting
    }

    static let settings = [
        Setting(name: "fail-closed", outage: .failClosed), Setting(name: "partial", outage: .partial),
        Setting(
            name: "unsafe-last-verdict: 2h", outage: .unsafeLastVerdict(seconds: extensionSeconds)),
    ]

    private static func policy(_ provider: String) -> PolicySnapshot {
        PolicySnapshot(
            identity: "matrix",
            devicePolicies: [
                DevicePolicy(
                    name: "healthy", platform: .linux, priority: 10,
                    rules: [.tags(integration: provider, matchesAll: false, values: ["compliant"])],
                    result: .compliant)
            ], deviceDefaultNoMatch: .denied,
            applications: settings.map { setting in
                func allow(_ name: String, _ device: DeviceClass, _ limits: Restriction?) -> ApplicationPolicy
                {
                    ApplicationPolicy(
                        name: name, action: .allow, include: [.everyone],
                        require: [.device(DeviceCondition(classes: [device]))], restriction: limits)
                }
                return Application(
                    name: setting.name, identityProviders: ["corp"],
                    policies: [
                        allow("full", .compliant, nil),
                        allow("partial", .partial, Restriction(methods: [.get])),
                    ], deviceOwner: .any, outage: setting.outage)
            })
    }

    /// One word for each of `settings`.
    static func words(_ verdict: Verdict?, atSeconds now: Int64) -> [OutageWord] {
        let policy = policy(verdict?.integration ?? "it")
        let device = DeviceFacts(
            id: "device-1", platform: .linux, ownerIssuer: nil, ownerSubject: nil, statement: nil,
            verdicts: verdict.map { [$0] } ?? [])
        let session = SessionFacts(
            id: "session", identityProvider: "corp",
            person: PersonFacts(
                issuer: "https://idp.example", subject: "alice", email: "alice@corp.example",
                authenticatedAtSeconds: now - 60),
            createdAtSeconds: now - 60, expiresAtSeconds: now + 60)
        return policy.applications.map { application in
            let residual = policy.residual(of: session, device, for: application, atSeconds: now)
            let granted = residual.policies.first { $0.action == .allow }
            return granted.flatMap { OutageWord(rawValue: $0.name) } ?? .refused
        }
    }
}

/// When somebody comes, counted from the end that the verdict had before the fault.
enum OutageMoment: String, Sendable, CaseIterable {
    case during = "at once"
    case ended = "when what was known has ended"
    case over = "2 h later"
}

extension FaultOutcome {
    /// What is documented of `settings`, in their order, while the fault lasts. A device that a
    /// reading did bring before it ended counts as for `complete`, the others as here.
    func words(_ moment: OutageMoment) -> [OutageWord] {
        switch self {
        case .complete, .inapplicable: [.full, .full, .full]
        case .failed, .unproven, .outdated:
            switch moment {
            case .during: [.full, .full, .full]
            case .ended: [.refused, .partial, .full]
            case .over: [.refused, .partial, .refused]
            }
        case .worthless, .ambiguous, .gone: [.refused, .refused, .refused]
        }
    }
}

/// The page of the matrix, from what its tests hold against the product.
enum FaultPage {
    static func outages() -> String {
        let names = OutageMatrix.settings.map { "`\($0.name)`" }
        var text =
            "\n## What that means for people\n\nFor an application that asks for a compliant device "
            + "and gives a partial one "
            + "less, by its `outage`, while the fault lasts:\n\n"
            + "| outcome | when | \(names.joined(separator: " | ")) |\n| --- | --- | --- | --- | --- |\n"
        let rows: [(String, FaultOutcome)] = [
            ("complete", .complete), ("a failure (`…`), outdated, unproven", .failed(.unavailable)),
            ("worthless, ambiguous, gone", .gone),
        ]
        for (name, outcome) in rows {
            for moment in OutageMoment.allCases {
                let words = outcome.words(moment).map(\.rawValue).joined(separator: " | ")
                text += "| \(name) | \(moment.rawValue) | \(words) |\n"
            }
        }
        return text
            + "\nWhat was known ends with `ttl`, or when the device has been silent for `max-device-age`. "
            + "No setting helps a device "
            + "that any provider has called non-compliant or not managed. Devices that a reading brought before it "
            + "broke off count as for *complete*.\n"
    }
}

/// What is documented of every fault of a Shared Signals transmitter.
enum SignalFaultMatrix {
    static func outcome(of fault: SignalFault) -> String {
        if let row = SignalStreamTests.faultRows.first(where: { $0.fault == fault }) {
            if let error = row.error { return "refused for good with `\(error.rawValue)`, no effect" }
            return "acknowledged as `\(row.outcome ?? "")`, no effect"
        }
        return further[fault] ?? ""
    }

    private static let further: [SignalFault: String] = [
        .duplicateTokenID: "acknowledged as `duplicate`, carried out once",
        .wrongState: "refused with `invalid_state`; the stream is degraded after 2 min",
        .missingState: "verified, and degraded after 2 min until a state comes back",
        .noVerification: "the stream is degraded after 2 min",
        .throttledVerification: "asked again later",
        .metadataIssuer: "`malformed_response`, no stream",
        .foreignEndpoint: "`malformed_response`, no stream",
        .streamIssuer: "`malformed_response`, no stream", .streamAudience: "`malformed_response`, no stream",
        .oneStreamOnly: "`config_error`: nobody is robbed of the stream",
        .nobodyByDefault: "people and devices of here are added, and told about then",
        .wrongDefaultSubjects: "`malformed_response`, no stream",
        .noSubjectEndpoints: "with `default-subjects-none`: degraded, nothing is delivered",
        .unknownSubjects: "who is not known there is offered again after a day",
        .throttledSubjects: "offered again when the transmitter says",
        .slowPoll: "delivered when the answer comes",
        .malformedPoll: "`malformed_response`: nothing acknowledged, it comes again",
        .mislabelledPoll: "refused with `invalid_request`, no effect",
        .serverError: "`unavailable`: nothing acknowledged, it comes again",
        .noKeys: "not acknowledged: it comes again when keys can be read",
    ]
}

extension FaultPage {
    static func signals() -> String {
        var text =
            "\n## Shared Signals\n\nA transmitter's faults, by what becomes of an event "
            + "(push and poll alike where both have it):\n\n"
            + "| fault | outcome |\n| --- | --- |\n"
        for fault in SignalFault.allCases {
            text += "| \(fault.rawValue) | \(SignalFaultMatrix.outcome(of: fault)) |\n"
        }
        let names = OutageMatrix.settings.map { "`\($0.name)`" }
        text +=
            "\nA stream that is not verified for a day loses what it said. For an application that asks "
            + "for a device which the "
            + "stream calls compliant:\n\n| the stream said last | when | \(names.joined(separator: " | ")) |\n"
            + "| --- | --- | --- | --- | --- |\n"
        for row in SignalOutage.table {
            let words = row.words.map(\.rawValue).joined(separator: " | ")
            text += "| \(row.isCompliant ? "compliant" : "not compliant") | \(row.moment) | \(words) |\n"
        }
        return text
    }
}

/// Events and then silence.
struct SignalOutage: Sendable, CustomTestStringConvertible {
    var isCompliant: Bool
    var moment: String
    /// Since the verification.
    var seconds: Int64
    var words: [OutageWord]
    var testDescription: String { "\(isCompliant) \(moment)" }

    static let table: [SignalOutage] = [
        SignalOutage(
            isCompliant: true, moment: "within the day", seconds: 86_399, words: [.full, .full, .full]),
        SignalOutage(
            isCompliant: true, moment: "after it", seconds: 86_401, words: [.refused, .refused, .refused]),
        SignalOutage(
            isCompliant: false, moment: "within the day", seconds: 86_399,
            words: [.refused, .refused, .refused]),
        SignalOutage(
            isCompliant: false, moment: "after it", seconds: 86_401, words: [.refused, .refused, .refused]),
    ]
}

@Suite("A Shared Signals transmitter that misbehaves or falls silent, by outage setting")
struct SignalOutageTests {
    @Test("every fault of the transmitter has a documented outcome") func total() {
        for fault in SignalFault.allCases {
            #expect(!SignalFaultMatrix.outcome(of: fault).isEmpty, "\(fault.rawValue)")
        }
    }

    @Test(
        "a silent stream counts for a day, and no setting makes it count longer",
        arguments: SignalOutage.table)
    func silence(_ row: SignalOutage) async throws {
        let lab = try await SignalLab()
        try await lab.connect()
        lab.compliance(row.isCompliant)
        try await lab.deliver()
        let verified = try #require(try await lab.signals().verifiedAtSeconds)
        lab.clock.now = verified + row.seconds
        let verdict = try await lab.ownVerdict()
        #expect(OutageMatrix.words(verdict, atSeconds: lab.clock.now) == row.words)
    }

    @Test("an answer that comes late is an answer") func slow() async throws {
        let lab = try await SignalLab("poll")
        try await lab.connect()
        lab.transmitter.faults.activate(.slowPoll, milliseconds: 200)
        lab.revoke()
        try await lab.deliver()
        #expect(lab.effects == [SignalStreamTests.person])
        #expect(lab.transmitter.faults.timesHappened(.slowPoll) > 0)
    }
}
