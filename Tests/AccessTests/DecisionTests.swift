import Access
import Testing

/// A row: circumstances, request, decision, and the word in the log.
struct DecisionCase: Sendable, CustomTestStringConvertible {
    let name: String
    var session: SessionFacts? = AccessTests.session()
    var device: DeviceFacts?
    var devicePolicies = [healthy]
    let application: Application
    var request = AccessTests.request()
    var path = "/"
    /// Seconds between making the residual and deciding by it.
    var later: Int64 = 0
    let decision: Decision
    let reason: Reason?
    var testDescription: String { name }
}

func allow(
    _ name: String = "staff", _ include: [Condition] = [everyDomain], require: [Condition] = [],
    exclude: [Condition] = [], restriction: Restriction? = nil, session: Int64? = nil
) -> ApplicationPolicy {
    ApplicationPolicy(
        name: name, action: .allow, include: include, require: require, exclude: exclude,
        restriction: restriction,
        sessionSecondsMax: session)
}

func block(_ include: [Condition], require: [Condition] = [], exclude: [Condition] = [])
    -> ApplicationPolicy
{
    ApplicationPolicy(name: "stop", action: .block, include: include, require: require, exclude: exclude)
}

func bypass(_ include: [Condition], exclude: [Condition] = []) -> ApplicationPolicy {
    ApplicationPolicy(name: "open", action: .bypass, include: include, exclude: exclude)
}

let wantsCompliant = application([allow(require: [deviceIs(.compliant)])])
private let readers = Restriction(methods: [.get, .head], pathPrefixes: ["/docs"])
private let partialReads = application([
    allow("full", require: [deviceIs(.compliant)]),
    allow("partial", require: [deviceIs(.partial)], restriction: readers),
])
private let tenNetwork = NetworkRange(base: NetworkAddress(v4: 0x0a00_0000), prefixLength: 104)
private let bad = device([verdict(.noncompliant)])
private let good = device([verdict()])

@Suite("Residual and decision together")
struct DecisionTests {
    static let people: [DecisionCase] = [
        .init(
            name: "nobody is asked to sign in", session: nil, application: application([allow()]),
            decision: .signIn, reason: .signInRequired),
        .init(
            name: "allow everyone means everyone who is signed in", session: nil,
            application: application([allow("a", [.everyone])]), decision: .signIn, reason: .signInRequired),
        .init(
            name: "one second before the session ends", session: session(expires: now + 1),
            application: application([allow()]), decision: .forward(policy: 0), reason: .policyAllows),
        .init(
            name: "exactly at the end of the session", session: session(expires: now),
            application: application([allow()]), decision: .signIn, reason: .sessionEnded),
        .init(
            name: "a policy for sessions younger than an hour: one second before",
            session: session(created: now - 3_599), application: application([allow(session: 3_600)]),
            decision: .forward(policy: 0), reason: .policyAllows),
        .init(
            name: "a policy for sessions younger than an hour: exactly at the hour",
            session: session(created: now - 3_600), application: application([allow(session: 3_600)]),
            decision: .signIn, reason: .sessionEnded),
        .init(
            name: "no policy matches", session: session(person(email: "eve@evil.example")),
            application: application([allow()]), decision: .refuse(.noPolicyMatches), reason: .noPolicyMatches
        ),
        .init(
            name: "an application without policies refuses", application: application([]),
            decision: .refuse(.noPolicyMatches), reason: .noPolicyMatches),
        .init(
            name: "a policy that includes nobody matches nobody", application: application([allow("a", [])]),
            decision: .refuse(.noPolicyMatches), reason: .noPolicyMatches),
        .init(
            name: "a blocked group", application: application([block([inGroup("staff")]), allow()]),
            decision: .refuse(.policyBlocks), reason: .policyBlocks),
        .init(
            name: "a block for others", application: application([block([inGroup("guests")]), allow()]),
            decision: .forward(policy: 0), reason: .policyAllows),
        .init(
            name: "a block with an exception that holds",
            application: application([block([.everyone], exclude: [inGroup("staff")]), allow()]),
            decision: .forward(policy: 0), reason: .policyAllows),
        .init(
            name: "a block that hangs on who somebody is asks nobody to sign in", session: nil,
            application: application([block([inGroup("guests")]), bypass([.everyone])]),
            decision: .signIn, reason: .signInRequired),
        .init(
            name: "a block that is certain refuses nobody too", session: nil,
            application: application([block([.network(.init(ranges: [tenNetwork]))]), allow()]),
            decision: .refuse(.policyBlocks), reason: .policyBlocks),
        .init(
            name: "a bypassed path needs nobody", session: nil,
            application: application([bypass([pathIs("/public")]), allow()]), path: "/public/x",
            decision: .forward(policy: 0), reason: .policyBypasses),
        .init(
            name: "…and no other path does", session: nil,
            application: application([bypass([pathIs("/public")]), allow()]), path: "/publicity",
            decision: .signIn, reason: .signInRequired),
        .init(
            name: "a bypass that excludes a group lets nobody pass unknown", session: nil,
            application: application([bypass([.everyone], exclude: [inGroup("guests")])]),
            decision: .signIn, reason: .signInRequired),
        .init(
            name: "a bypass for a group lets nobody pass unknown", session: nil,
            application: application([bypass([inGroup("staff")])]), decision: .signIn, reason: .signInRequired
        ),
        .init(
            name: "a bypass does not take a device for a person", session: nil, device: good,
            application: application([bypass([deviceIs(.compliant)])], owner: .any),
            decision: .signIn, reason: .signInRequired),
        .init(
            name: "a service policy matches nothing as long as no service can prove itself", device: good,
            application: application([ApplicationPolicy(name: "s", action: .service, include: [.everyone])]),
            decision: .refuse(.noPolicyMatches), reason: .noPolicyMatches),
        .init(
            name: "a residual on its last second", application: application([allow()]), later: 899,
            decision: .forward(policy: 0), reason: .policyAllows),
        .init(
            name: "a residual exactly at its end", application: application([allow()]), later: 900,
            decision: .recompute, reason: nil),
        .init(
            name: "nobody's residual lives as long as the policy", session: nil,
            application: application([bypass([.everyone])]), later: 90_000,
            decision: .forward(policy: 0), reason: .policyBypasses),
    ]

    static let devices: [DecisionCase] = [
        .init(
            name: "no device", application: wantsCompliant,
            decision: .refuse(.deviceRequired), reason: .deviceRequired),
        .init(
            name: "a compliant device", device: good, application: wantsCompliant,
            decision: .forward(policy: 0), reason: .policyAllows),
        .init(
            name: "another person and no device: the device would not help",
            session: session(person(email: "eve@evil.example")), application: wantsCompliant,
            decision: .refuse(.noPolicyMatches), reason: .noPolicyMatches),
        .init(
            name: "non-compliant", device: bad, application: wantsCompliant,
            decision: .refuse(.postureNonCompliant), reason: .postureNonCompliant),
        .init(
            name: "stale", device: device([verdict(expires: now)]), application: wantsCompliant,
            decision: .refuse(.postureStale), reason: .postureStale),
        .init(
            name: "nothing known", device: device(), application: wantsCompliant,
            decision: .refuse(.postureMissing), reason: .postureMissing),
        .init(
            name: "the provider cannot tell", device: device([verdict(.error)]), application: wantsCompliant,
            decision: .refuse(.postureIndeterminate), reason: .postureIndeterminate),
        .init(
            name: "the agent has not answered", device: device(),
            devicePolicies: [
                devicePolicy("a", 1, [.agentKey(integration: "agents", minimum: .software)], .compliant)
            ],
            application: wantsCompliant, decision: .refuse(.postureRequired), reason: .postureRequired),
        .init(
            name: "the agent says not managed", device: device(statement: statement(managed: false)),
            devicePolicies: [
                devicePolicy(
                    "a", 1, [.agentManaged(integration: "agents", lastSeenSecondsMax: 9)], .compliant)
            ],
            application: wantsCompliant, decision: .refuse(.deviceNotManaged), reason: .deviceNotManaged),
        .init(
            name: "the agent was seen too long ago", device: device(statement: statement()),
            devicePolicies: [
                devicePolicy(
                    "a", 1, [.agentManaged(integration: "agents", lastSeenSecondsMax: 9)], .compliant)
            ],
            application: wantsCompliant, decision: .refuse(.lastSeenStale), reason: .lastSeenStale),
        .init(
            name: "a partial device where nothing takes partial", device: good,
            devicePolicies: [devicePolicy("byod", 1, [compliantTag], .partial)], application: wantsCompliant,
            decision: .refuse(.devicePartial), reason: .devicePartial),
        .init(
            name: "a denied device", device: good,
            devicePolicies: [devicePolicy("no", 1, [compliantTag], .denied)], application: wantsCompliant,
            decision: .refuse(.deviceDenied), reason: .deviceDenied),
        .init(
            name: "a denied device where a policy names denied", device: good,
            devicePolicies: [devicePolicy("no", 1, [compliantTag], .denied)],
            application: application([allow(require: [deviceIs(.denied, .partial, .compliant)])]),
            decision: .refuse(.deviceDenied), reason: .deviceDenied),
        .init(
            name: "somebody else's device", device: device([verdict()], owner: "bob"),
            application: wantsCompliant,
            decision: .refuse(.deviceOwnerMismatch), reason: .deviceOwnerMismatch),
        .init(
            name: "a device that nobody enrolled", device: device([verdict()], owner: nil),
            application: wantsCompliant, decision: .refuse(.deviceUnknown), reason: .deviceUnknown),
        .init(
            name: "a block of denied devices, device not known",
            application: application([block([deviceIs(.denied)]), allow()]),
            decision: .refuse(.deviceRequired), reason: .deviceRequired),
        .init(
            name: "a block of denied devices, device fine", device: good,
            application: application([block([deviceIs(.denied)]), allow()]),
            decision: .forward(policy: 0), reason: .policyAllows),
        .init(
            name: "a block of denied devices, denied by its owner's absence",
            device: device([verdict()], owner: nil),
            application: application([block([deviceIs(.denied)]), allow()]),
            decision: .refuse(.policyBlocks), reason: .policyBlocks),
        .init(
            name: "an unknown device does not meet an exclude either",
            application: application([allow(exclude: [deviceIs(.denied)])]),
            decision: .refuse(.deviceRequired), reason: .deviceRequired),
        .init(
            name: "compliant where only partial is named", device: good,
            application: application([allow(require: [deviceIs(.partial)])]),
            decision: .refuse(.noPolicyMatches), reason: .noPolicyMatches),
        .init(
            name: "a restricted policy: granted", device: bad, application: partialReads, path: "/docs/a",
            decision: .forward(policy: 0), reason: .policyAllows),
        .init(
            name: "a restricted policy: another method", device: bad, application: partialReads,
            request: request(.post), path: "/docs/a", decision: .refuse(.restrictedMethod),
            reason: .restrictedMethod),
        .init(
            name: "a restricted policy: a method without a name", device: bad, application: partialReads,
            request: request(.other), path: "/docs/a", decision: .refuse(.restrictedMethod),
            reason: .restrictedMethod),
        .init(
            name: "a restricted policy: another path", device: bad, application: partialReads, path: "/docsx",
            decision: .refuse(.restrictedPath), reason: .restrictedPath),
        .init(
            name: "what the first match does not grant, no later policy gives back", device: bad,
            application: application([allow("narrow", restriction: readers), allow("wide")]), path: "/x",
            decision: .refuse(.restrictedPath), reason: .restrictedPath),
        .init(
            name: "a condition on the request that does not hold leaves the word of the device",
            application: application([
                allow("office", require: [methodIs(.put)]),
                allow("anywhere", require: [deviceIs(.compliant)]),
            ]), decision: .refuse(.deviceRequired), reason: .deviceRequired),
    ]

    @Test(arguments: people + devices) func decision(_ row: DecisionCase) {
        let residual = snapshot(row.devicePolicies)
            .residual(of: row.session, row.device, for: row.application, atSeconds: now)
        let decision = residual.decide(
            row.request, path: Array(row.path.utf8).span, atSeconds: now + row.later)
        #expect(decision == row.decision)
        #expect(residual.reason(for: decision) == row.reason)
    }

    @Test("every reason that Access can give is produced by some row, and refusals outnumber the rest")
    func tableIsTotal() {
        let rows = Self.people + Self.devices + RequirementTests.table
        let produced = Set(rows.compactMap(\.reason))
        let possible: Set<Reason> = [
            .signInRequired, .identityProviderNotAccepted, .sessionEnded, .policyAllows, .policyBlocks,
            .policyBypasses,
            .noPolicyMatches, .restrictedMethod, .restrictedPath, .deviceRequired, .deviceUnknown,
            .deviceDenied,
            .devicePartial, .deviceOwnerMismatch, .postureMissing, .postureRequired, .postureStale,
            .postureNonCompliant,
            .postureIndeterminate, .deviceNotManaged, .lastSeenStale,
        ]
        #expect(produced == possible)
        #expect(rows.count { $0.decision.isForward } * 2 <= rows.count)
    }

    @Test("a residual ends with its session, its policy's session and its verdict, whichever is first")
    func validUntil() {
        let app = application([allow(require: [deviceIs(.compliant)], session: 500)])
        func end(session ends: Int64, created: Int64, verdict expires: Int64) -> Int64 {
            snapshot().residual(
                of: session(created: created, expires: ends), device([verdict(expires: expires)]), for: app,
                atSeconds: now
            ).validUntilSeconds
        }
        #expect(end(session: now + 100, created: now, verdict: now + 200) == now + 100)
        #expect(end(session: now + 900, created: now - 450, verdict: now + 200) == now + 50)
        #expect(end(session: now + 900, created: now, verdict: now + 200) == now + 200)
    }

    @Test("nothing that stands behind a certain match is left in the residual")
    func unreachable() {
        let app = application([allow(), block([methodIs(.get)]), allow("late", [.everyone])])
        let residual = snapshot().residual(of: session(), nil, for: app, atSeconds: now)
        #expect(residual.policies.map(\.name) == ["staff"])
    }

    @Test("times at both ends of the range trap nowhere", arguments: [Int64.min, -1, 0, 1, .max])
    func extremes(_ time: Int64) {
        let facts = device(
            [verdict(.grace, observed: time == .max ? .max - 60 : time, expires: time, grace: time)],
            statement: statement(lastSeen: time, expires: .max))
        let rules = [compliantTag, .agentManaged(integration: "agents", lastSeenSecondsMax: time)]
        let app = application([allow(require: [deviceIs(.compliant)], session: time)])
        for at in [Int64.min, -1, 0, now, .max] {
            for start in [Int64.min, 0, .max] {
                let one = session(created: start, expires: time)
                let record = snapshot([devicePolicy("p", 1, rules, .compliant)])
                    .explain(one, facts, for: app, atSeconds: at)
                #expect(
                    !record.residual.decide(request(), path: [UInt8]("/".utf8).span, atSeconds: at).isForward)
            }
        }
    }
}

@Suite("Segment parameters: what keeps somebody out looks through them, what lets somebody in does not")
struct SegmentParameterTests {
    private func decision(_ policies: [ApplicationPolicy], _ path: String) -> Decision {
        let app = application(policies)
        let residual = snapshot().residual(of: session(), nil, for: app, atSeconds: now)
        let bytes = Array(path.utf8)
        return residual.decide(
            RequestFacts(method: .get, client: NetworkAddress(v4: 1)), path: bytes.span, atSeconds: now)
    }

    static let disguised = [
        "/admin", "/admin/", "/admin/x", "/admin;", "/admin;x", "/admin;x=1/y", "/admin%3Bx/y", "/admin%3bx",
        "/admin;a;b", "/admin;/x", "/admin;%2e/x",
    ]
    static let others = [
        "/", "/adm", "/administrator", "/adm;in", "/a;dmin", "/x/admin", "/adminx;y", "/%3Badmin",
    ]

    @Test("a block on a prefix holds however the segment is dressed", arguments: disguised)
    func blocked(_ path: String) {
        #expect(decision([block([pathIs("/admin")]), allow()], path) == .refuse(.policyBlocks))
        #expect(!decision([allow(exclude: [pathIs("/admin")])], path).isForward)
    }

    @Test("and on nothing else", arguments: others)
    func notBlocked(_ path: String) {
        #expect(decision([block([pathIs("/admin")]), allow()], path).isForward)
        #expect(decision([allow(exclude: [pathIs("/admin")])], path).isForward)
    }

    @Test(
        "what lets in takes the path as it is written",
        arguments: ["/public;x", "/public%3Bx", "/public;/x", "/public;x/y"])
    func notLetIn(_ path: String) {
        #expect(!decision([allow("open", [pathIs("/public")])], path).isForward)
        #expect(decision([allow("open", [pathIs("/public")])], "/public").isForward)
        // A block that leaves a path out blocks the dressed one.
        #expect(
            decision([block([.everyone], exclude: [pathIs("/public")]), allow()], path)
                == .refuse(.policyBlocks))
    }

    @Test(
        "an exact block holds with parameters too",
        arguments: [
            ("/admin", true), ("/admin;x", true), ("/admin%3B", true), ("/admin;x/", false),
            ("/admin/", false), ("/adminx", false),
        ])
    func exact(_ path: String, _ isBlocked: Bool) {
        let rule = Condition.path(.init(prefixes: [], exact: ["/admin"]))
        #expect(decision([block([rule]), allow()], path).isForward != isBlocked)
    }

    @Test(
        "a prefix that ends in a slash looks through the segment before it",
        arguments: [
            ("/admin/", true), ("/admin;x/y", true), ("/admin", false), ("/admin;x", false),
        ])
    func slash(_ path: String, _ isBlocked: Bool) {
        #expect(decision([block([pathIs("/admin/")]), allow()], path).isForward != isBlocked)
    }
}
