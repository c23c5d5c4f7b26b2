// CPU time (of this thread) of deciding: 1,000 applications of 50 policies, one person in 500 groups, four providers.
// Every application in turn, so that each is cold. With the argument `reach`, `unreachable` or `equal` of analysing all of
// them; with any other of all three. With `wall` the three divided between the cores, as `gatepost analyze` does, by the
// clock.
import Access
import Dispatch
import Glibc

func micros() -> Double {
    var t = timespec(); clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return Double(t.tv_sec) * 1e6 + Double(t.tv_nsec) / 1e3
}
let now: Int64 = 1_800_000_000
let apps = makeApplications()
let snap = PolicySnapshot(identity: "x", devicePolicies: devicePolicies, applications: apps)
func v(_ i: String, _ s: Verdict.State) -> Verdict {
    Verdict(
        id: "v-\(i)", integration: i, provider: i, nativeID: "n-\(i)", state: s, isManaged: true,
        score: .init(value: 75, minimum: 0, maximum: 100, higherIsBetter: true), risk: .low,
        labels: ["registered"], observedAtSeconds: now - 60, fetchedAtSeconds: now - 50,
        expiresAtSeconds: now + 3600, matchKey: "serial", matchStrength: .strong)
}
let device = DeviceFacts(
    id: "mac-1", platform: .macos, ownerIssuer: "i", ownerSubject: "s",
    statement: AgentStatement(
        integration: "agents", verifiedAtSeconds: now - 10, expiresAtSeconds: now + 500,
        lastSeenSeconds: now - 100, isManaged: true, keyLevel: .attested, agentVersion: "1", osVersion: "1",
        facts: [:]),
    verdicts: [
        v("intune", .compliant), v("falcon", .compliant), v("defender", .compliant), v("entra", .compliant),
    ])
func session(_ gs: [String]) -> SessionFacts {
    SessionFacts(
        id: "s", identityProvider: "corp",
        person: PersonFacts(issuer: "i", subject: "s", email: "nobody-else@corp.example", groups: gs),
        createdAtSeconds: now - 100, expiresAtSeconds: now + 9999)
}
let asked = CommandLine.arguments.dropFirst().first
let people = [
    ("500 foreign groups", (0..<500).map { "another-group-\($0)" }),
    ("500 groups, same lengths", (0..<500).map { "grouq-\($0)" }),
    ("50 named of 500", (0..<450).map { "another-\($0)" } + (0..<50).map { "group-\($0)" }),
]
for (label, groups) in asked == nil || asked == "all" ? people : [] {
    let s = session(groups)
    var times: [Double] = [], applied: [Double] = []
    for _ in 0..<10 {
        for app in apps {
            let t = micros()
            let r = snap.residual(of: s, device, for: app, atSeconds: now)
            times.append(micros() - t)
            if r.policies.count > 1000 { print("x") }
        }
    }
    let path = Array("/zzz/yy/page.html".utf8)
    let req = RequestFacts(method: .get, client: NetworkAddress(v4: 0xc0000201))
    for app in apps {
        let r = snap.residual(of: s, device, for: app, atSeconds: now)
        let t = micros()
        var c = 0
        for _ in 0..<1000 { if case .forward = r.decide(req, path: path.span, atSeconds: now) { c += 1 } }
        applied.append(micros() - t)
        if c == 7 { print("") }
    }
    times.sort(); applied.sort()
    print(
        label, "residual p50", times[times.count / 2], "p99", times[times.count * 99 / 100], "max",
        times[times.count - 1], "us; decide ns p50", applied[500], "p99", applied[990])
}
func asks(_ what: String) -> Bool {
    asked.map { $0 == what || !["reach", "unreachable", "equal", "wall"].contains($0) } ?? false
}
var t = micros()
var a = PolicyAnalysis(snap, fromSeconds: now)
var n = 0, b = 0
if asks("reach") {
    for app in apps {
        let r = a.reach(
            of: app,
            ReachQuery(
                device: DeviceQuery(
                    isShown: true, platform: .macos, sayings: [.init(integration: nil, state: .noncompliant)])
            ));
        n += r.policies.count; b += r.bounds.count
    }
    print("reach", micros() - t, "us", n, b)
}
if asks("unreachable") {
    t = micros()
    n = 0; b = 0
    for app in apps { let r = a.unreachable(in: app); n += r.dead.count; b += r.bounds.count }
    print("unreachable", micros() - t, "us", n, b, a.unreachableDevicePolicies().dead.count)
}
if asks("equal") {
    t = micros()
    var other = snap
    for i in other.applications.indices {
        other.applications[i].policies.swapAt(20, 21); other.applications[i].tags = ["x"]
    }
    let rows = PolicyAnalysis(snap, fromSeconds: now).comparison(with: other)
    var kinds: [String: Int] = [:]
    for r in rows { kinds["\(r.1)".prefix(6).description, default: 0] += 1 }
    print("equal, all changed", micros() - t, "us", kinds)
    t = micros()
    other = snap
    for i in 0..<10 { other.applications[i].policies.swapAt(20, 21) }
    print(
        "equal, ten changed", PolicyAnalysis(snap, fromSeconds: now).comparison(with: other).count,
        micros() - t)
}
if asked == "wall" {
    var changed = snap
    for i in changed.applications.indices {
        changed.applications[i].policies.swapAt(20, 21); changed.applications[i].tags = ["x"]
    }
    let (first, other) = (PolicyAnalysis(snap, fromSeconds: now), changed)
    let query = ReachQuery(
        device: DeviceQuery(
            isShown: true, platform: .macos, sayings: [.init(integration: nil, state: .noncompliant)]))
    let questions: [(name: String, ask: @Sendable (inout PolicyAnalysis, Application) -> Void)] = [
        ("reach", { _ = $0.reach(of: $1, query) }), ("unreachable", { _ = $0.unreachable(in: $1) }),
        ("equal, all changed", { _ = $0.comparison(of: $1, with: other) }),
    ]
    let (cores, all) = (Int(sysconf(Int32(_SC_NPROCESSORS_ONLN))), apps)
    for (name, ask) in questions {
        let began = ContinuousClock.now
        DispatchQueue.concurrentPerform(iterations: cores) { part in
            var own = first
            for app in all[(part * all.count / cores)..<((part + 1) * all.count / cores)] { ask(&own, app) }
        }
        print(name, "by the clock on", cores, "cores", ContinuousClock.now - began)
    }
}
