import Access

/// The moment at which the tables decide.
let now: Int64 = 1_800_000_000

/// A xorshift generator: every property test names its seed, so that a failure can be run again.
struct SeededGenerator: RandomNumberGenerator {
    private var state: UInt64
    init(seed: UInt64) { state = seed &* 0x9e37_79b9_7f4a_7c15 | 1 }
    mutating func next() -> UInt64 {
        state ^= state << 13
        state ^= state >> 7
        state ^= state << 17
        return state
    }
    mutating func chance(_ percent: Int) -> Bool { Int.random(in: 0..<100, using: &self) < percent }
    mutating func pick<Element>(_ list: [Element]) -> Element {
        list[Int.random(in: 0..<list.count, using: &self)]
    }
}

func person(
    email: String? = "ada@corp.example", groups: [String] = ["staff"], claims: [String: ClaimValue] = [:],
    subject: String = "ada"
) -> PersonFacts {
    PersonFacts(issuer: "https://id.example", subject: subject, email: email, groups: groups, claims: claims)
}

func session(
    _ person: PersonFacts = person(), by provider: String = "entra", created: Int64 = now - 60,
    expires: Int64 = now + 28_800
) -> SessionFacts {
    SessionFacts(
        id: "s1", identityProvider: provider, person: person, createdAtSeconds: created,
        expiresAtSeconds: expires)
}

func statement(
    managed: Bool = true, lastSeen: Int64 = now - 3_600, expires: Int64 = now + 600,
    version: String = "7.2.1",
    key: AgentStatement.KeyLevel = .claimed, facts: [String: ClaimValue] = ["disk-encryption": .flag(true)],
    integration: String = "agents"
) -> AgentStatement {
    AgentStatement(
        integration: integration, verifiedAtSeconds: now - 30, expiresAtSeconds: expires,
        lastSeenSeconds: lastSeen,
        isManaged: managed, keyLevel: key, agentVersion: version, osVersion: "12", facts: facts)
}

func verdict(
    _ state: Verdict.State = .compliant, integration: String = "intune", native: String = "d-1",
    managed: Bool? = true, score: Int64? = nil, risk: Verdict.Risk? = nil, sensor: Bool? = nil,
    labels: [String] = ["registered"], observed: Int64 = now - 600, expires: Int64 = now + 7_200,
    grace: Int64? = nil, strength: Verdict.Strength = .strong, remedies: [String] = []
) -> Verdict {
    Verdict(
        id: "v-\(native)", integration: integration, provider: integration, nativeID: native, state: state,
        isManaged: managed,
        score: score.map { .init(value: $0, minimum: 1, maximum: 100, higherIsBetter: true) },
        risk: risk, isSensorRunning: sensor, labels: labels, observedAtSeconds: observed,
        fetchedAtSeconds: observed + 60, expiresAtSeconds: expires, graceUntilSeconds: grace,
        matchKey: "serial",
        matchStrength: strength, remedies: remedies)
}

func device(
    _ verdicts: [Verdict] = [], statement: AgentStatement? = nil, platform: Platform? = .macos,
    owner: String? = "ada"
) -> DeviceFacts {
    DeviceFacts(
        id: "mac-1", platform: platform, ownerIssuer: owner.map { _ in "https://id.example" },
        ownerSubject: owner,
        statement: statement, verdicts: verdicts)
}

func devicePolicy(
    _ name: String, _ priority: Int, _ rules: [DeviceRule], _ result: DeviceClass,
    onUnknown: OnUnknown = .cap,
    platform: Platform = .macos, strength: Verdict.Strength = .weak
) -> DevicePolicy {
    DevicePolicy(
        name: name, platform: platform, priority: priority, rules: rules, result: result,
        onUnknown: onUnknown,
        matchStrengthMin: strength)
}

let compliantTag = DeviceRule.tags(integration: "intune", matchesAll: false, values: ["compliant"])
let healthy = devicePolicy("healthy", 10, [compliantTag], .compliant)
let everyDomain = Condition.emailDomain(.init(domains: ["corp.example"]))
func deviceIs(_ classes: DeviceClass...) -> Condition { .device(.init(classes: classes)) }
func pathIs(_ prefixes: String...) -> Condition { .path(.init(prefixes: prefixes, exact: [])) }
func methodIs(_ methods: RequestMethod...) -> Condition { .method(.init(methods: methods)) }
func inGroup(_ groups: String...) -> Condition { .group(.init(groups: groups)) }

func application(
    _ policies: [ApplicationPolicy], providers: [String] = ["entra"], owner: DeviceOwner = .samePerson
) -> Application {
    Application(name: "wiki", identityProviders: providers, policies: policies, deviceOwner: owner)
}

func snapshot(
    _ devicePolicies: [DevicePolicy] = [healthy], _ applications: [Application] = [],
    noMatch: DeviceClass = .partial, unsupported: DeviceClass = .partial
) -> PolicySnapshot {
    PolicySnapshot(
        identity: "p1", devicePolicies: devicePolicies, deviceDefaultNoMatch: noMatch,
        deviceDefaultUnsupported: unsupported, applications: applications)
}

func request(_ method: RequestMethod = .get, from client: String = "10.1.2.3") -> RequestFacts {
    RequestFacts(method: method, client: NetworkAddress(parsing: client) ?? NetworkAddress(v4: 0))
}

/// Residual and decision in one step, for tables.
func decide(
    _ session: SessionFacts?, _ device: DeviceFacts? = nil, _ application: Application,
    _ snapshot: PolicySnapshot = snapshot(), _ request: RequestFacts = request(), path: String = "/",
    at seconds: Int64 = now
) -> Decision {
    let residual = snapshot.residual(of: session, device, for: application, atSeconds: seconds)
    return residual.decide(request, path: Array(path.utf8).span, atSeconds: seconds)
}

extension Decision {
    var isForward: Bool { if case .forward = self { true } else { false } }
}
