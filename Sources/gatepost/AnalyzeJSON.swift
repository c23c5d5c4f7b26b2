import Access
import JSON

/// What `gatepost analyze --json` prints; members are part of the command's contract.
enum AnalyzeJSON {
    /// `{"application", "everybody", "policies": [{"name", "action", "any_of", "all_of", "none_of", "methods", "paths",
    /// "example"}], "bounds"}`
    static func reach(_ application: Application, _ reach: ApplicationReach) -> JSONValue {
        let policies = reach.policies.map { part -> JSONValue in
            let policy = application.policies[part.policy]
            return .object(
                JSONObject([
                    ("name", .string(policy.name)), ("action", .string(policy.action.rawValue)),
                    ("any_of", texts(part.anyOf)), ("all_of", texts(part.allOf)),
                    ("none_of", texts(part.noneOf)),
                    ("methods", policy.restriction?.methods.map { texts($0.map(\.rawValue)) } ?? .null),
                    ("paths", policy.restriction?.pathPrefixes.map(texts) ?? .null),
                    ("example", example(part.example)),
                ]))
        }
        return .object(
            JSONObject([
                ("application", .string(application.name)), ("everybody", .bool(reach.isForEverybody)),
                ("policies", .array(policies)), ("bounds", texts(reach.bounds)),
            ]))
    }

    /// `{"device_policies": […], "applications": [{"application", "dead": […]}]}`; each dead policy with `policy`,
    /// `cause`, `shadows` and `place`.
    static func unreachable(
        _ findings: [(Application, ApplicationFindings)], _ devices: DeviceFindings
    ) -> JSONValue {
        let policies = devices.dead.map { dead -> JSONValue in
            .object(
                JSONObject([
                    ("policy", .string(dead.policy)), ("platform", .string(dead.platform.rawValue)),
                    ("shadows", texts(dead.shadows)),
                ]))
        }
        let applications = findings.map { application, found -> JSONValue in
            .object(
                JSONObject([
                    ("application", .string(application.name)),
                    ("dead", .array(found.dead.map { dead($0, application) })),
                    ("bounds", texts(found.bounds)),
                ]))
        }
        return .object(
            JSONObject([
                ("device_policies", .array(policies)), ("bounds", texts(devices.bounds)),
                ("applications", .array(applications)),
            ]))
    }

    private static func dead(_ dead: DeadPolicy, _ application: Application) -> JSONValue {
        var members: [(String, JSONValue)] = [("policy", .string(application.policies[dead.policy].name))]
        switch dead.cause {
        case .neverMatches: members.append(("cause", "never-matches"))
        case .shadowed(let earlier):
            members.append(("cause", "shadowed"))
            members.append(("shadows", texts(earlier.map { application.policies[$0].name })))
        case .idle(let place):
            members.append(("cause", "idle"))
            members.append(("place", .string("\(place.list)[\(place.index)]")))
            members.append(("condition", .string(place.condition)))
        }
        return .object(JSONObject(members))
    }

    /// `{"applications": [{"application", "result", "example", "first", "second", "bounds"}], "not_compared"}`
    static func comparison(
        _ rows: [(application: String, ApplicationComparison)], _ first: PolicySnapshot,
        _ second: PolicySnapshot
    ) -> JSONValue {
        let applications = rows.map { name, comparison -> JSONValue in
            var members: [(String, JSONValue)] = [("application", .string(name))]
            switch comparison {
            case .equal: members.append(("result", "equal"))
            case .onlyInFirst: members.append(("result", "only-in-first"))
            case .onlyInSecond: members.append(("result", "only-in-second"))
            case .undecided(let bounds): members += [("result", "unknown"), ("bounds", texts(bounds))]
            case .different(let difference):
                members += [("result", "different"), ("example", example(difference.example))]
                for (key, snapshot) in [("first", first), ("second", second)] {
                    guard let application = snapshot.application(named: name) else { continue }
                    let (residual, decision) = difference.example.decision(by: snapshot, for: application)
                    members.append((key, .string(AnalyzeText.word(for: decision, residual))))
                }
            }
            return .object(JSONObject(members))
        }
        return .object(
            JSONObject([
                ("applications", .array(applications)),
                ("not_compared", texts(AnalyzeText.notCompared(first, second))),
            ]))
    }

    private static func example(_ example: AnalyzedCase) -> JSONValue {
        .object(
            JSONObject([
                ("text", .string("\(example)")), ("at", .integer(example.nowSeconds)),
                ("method", .string(example.request.method.rawValue)), ("path", .string(example.path)),
                ("client", .string("\(example.request.client)")),
            ]))
    }

    private static func texts(_ texts: [String]) -> JSONValue { .array(texts.map { .string($0) }) }
}
