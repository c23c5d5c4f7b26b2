// A thousand applications of fifty policies, the same ones each time, and policies of devices: what loadtest/decide and
// loadtest/replay decide by.
import Access

nonisolated(unsafe) var seed: UInt64 = 88172645463325252
func rnd(_ n: Int) -> Int {
    seed ^= seed << 13; seed ^= seed >> 7; seed ^= seed << 17; return Int(seed % UInt64(n))
}
func g() -> Condition { .group(.init(groups: ["group-\(rnd(500))"])) }
func net() -> Condition {
    .network(
        .init(ranges: [
            NetworkRange(base: NetworkAddress(v4: UInt32(10 << 24 | rnd(200) << 16)), prefixLength: 112)
        ]))
}
let dev = Condition.device(.init(classes: [.compliant]))
let dev2 = Condition.device(.init(classes: [.compliant, .partial]))
func makeApp(_ a: Int) -> Application {
    var ps: [ApplicationPolicy] = []
    for p in 0..<50 {
        let k = rnd(100), n = "p\(p)"
        if k < 10 {
            ps.append(.init(name: n, action: .block, include: [g()], exclude: [dev]))
        } else if k < 15 {
            ps.append(
                .init(
                    name: n, action: .bypass, include: [.path(.init(prefixes: ["/public/\(p)"], exact: []))]))
        } else if k < 30 {
            ps.append(
                .init(
                    name: n, action: .allow,
                    include: [.email(.init(addresses: ["person\(rnd(900))@corp.example"]))], require: [dev2]))
        } else if k < 40 {
            ps.append(.init(name: n, action: .allow, include: [g()], require: [net()]))
        } else if k < 50 {
            ps.append(
                .init(
                    name: n, action: .allow, include: [g()],
                    require: [
                        .score(
                            .init(
                                integration: "falcon", comparison: .greaterOrEqual,
                                value: [50, 60, 70, 80][rnd(4)]))
                    ]))
        } else if k < 60 {
            ps.append(
                .init(
                    name: n, action: .allow, include: [g(), g()],
                    require: [.path(.init(prefixes: ["/a/\(p)", "/b/\(p)"], exact: []))],
                    restriction: .init(methods: [.get, .head])))
        } else {
            ps.append(.init(name: n, action: .allow, include: [g(), g()], require: [dev], exclude: [g()]))
        }
    }
    return Application(name: "app\(a)", identityProviders: ["corp", "partner"], policies: ps)
}
let devicePolicies = [
    DevicePolicy(
        name: "mac-bad", platform: .macos, priority: 5,
        rules: [.tags(integration: "intune", matchesAll: false, values: ["noncompliant"])], result: .denied),
    DevicePolicy(
        name: "mac-good", platform: .macos, priority: 10,
        rules: [
            .tags(integration: "intune", matchesAll: false, values: ["compliant"]),
            .score(integration: "falcon", comparison: .greaterOrEqual, value: 60),
            .risk(integration: "defender", comparison: .lessOrEqual, value: .low),
            .tags(integration: "entra", matchesAll: false, values: ["registered"]),
        ], result: .compliant),
    DevicePolicy(
        name: "mac-fair", platform: .macos, priority: 20,
        rules: [.agentManaged(integration: "agents", lastSeenSecondsMax: 86400)], result: .partial),
]
func makeApplications() -> [Application] { (0..<1000).map(makeApp) }
