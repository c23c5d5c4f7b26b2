import Access
import Testing

@Suite("A policy that lets in with a restriction, before a wider one")
struct WithholdingTests {
    private static let narrow = allow(
        "guests", [inGroup("guests")], restriction: Restriction(methods: [.get]))
    private static let wide = application([narrow, allow("all", [.everyone])])
    private static let cut = person(groups: [], claims: ["hasgroups": .flag(true)])
    private static let open = application([
        allow("staff", restriction: Restriction(pathPrefixes: ["/staff"])), bypass([pathIs("/public")]),
    ])

    static let table: [DecisionCase] = [
        .init(
            name: "a guest is held to the restriction", session: session(person(groups: ["guests"])),
            application: wide, request: request(.post), decision: .refuse(.restrictedMethod),
            reason: .restrictedMethod),
        .init(
            name: "who is certainly no guest is not", application: wide, request: request(.post),
            decision: .forward(policy: 0), reason: .policyAllows),
        .init(
            name: "who may be a guest is held to it too", session: session(cut), application: wide,
            request: request(.post), decision: .refuse(.restrictedMethod), reason: .restrictedMethod),
        .init(
            name: "…but gets what a guest would get as well", session: session(cut), application: wide,
            decision: .forward(policy: 1), reason: .policyAllows),
        .init(
            name: "nobody may be staff, so staff's restriction asks for sign-in before the bypass",
            session: nil,
            application: open, path: "/public", decision: .signIn, reason: .signInRequired),
        .init(
            name: "a session that has become too old for the narrow policy is still held to it",
            session: session(person(groups: ["guests"]), created: now - 60),
            application: application([
                allow("guests", [inGroup("guests")], restriction: Restriction(methods: [.get]), session: 60),
                allow("all", [.everyone]),
            ]), request: request(.post), decision: .refuse(.restrictedMethod), reason: .restrictedMethod),
    ]

    @Test(arguments: table) func decision(_ row: DecisionCase) {
        let residual = snapshot().residual(of: row.session, row.device, for: row.application, atSeconds: now)
        let decision = residual.decide(row.request, path: Array(row.path.utf8).span, atSeconds: now)
        #expect(decision == row.decision)
        #expect(residual.reason(for: decision) == row.reason)
    }
}
