import Access
import Testing

@Suite("Tags and named groups")
struct ConditionGroupTests {
    private func group(
        _ include: [Condition], require: [Condition] = [], exclude: [Condition] = []
    ) -> Condition { .meets(.init(name: "g", include: include, require: require, exclude: exclude)) }

    @Test("001.28 a policy leaves out applications by their tag") func tag() {
        let condition = Condition.tag(.init(tags: ["enrollment", "help"]))
        #expect(meets(condition, tags: ["help"]).isForward)
        #expect(!meets(condition, tags: ["Help"]).isForward)
        #expect(!meets(condition, tags: []).isForward)
        var app = application([
            .init(
                name: "no", action: .block, include: [.everyone], exclude: [condition, deviceIs(.compliant)]),
            .init(name: "yes", action: .allow, include: [.everyone]),
        ])
        #expect(!decide(session(), nil, app).isForward)
        app.tags = ["enrollment"]
        #expect(decide(session(), nil, app).isForward)
    }

    @Test("001.22 a group of people is a scope that any policy may name") func people() {
        let pilots = group([inGroup("pilots"), .email(.init(addresses: ["ada@corp.example"]))])
        #expect(meets(pilots).isForward)
        #expect(!meets(pilots, session(person(email: "eve@corp.example"))).isForward)
        #expect(stops(pilots))
        #expect(!stops(pilots, session(person(email: "eve@corp.example"))))
    }

    @Test("include is OR, require is AND, exclude is NOT, inside as outside") func words() {
        #expect(!meets(group([])).isForward, "nothing included holds never")
        #expect(!meets(group([.everyone], require: [inGroup("x")])).isForward)
        #expect(!meets(group([.everyone], exclude: [inGroup("staff")])).isForward)
        #expect(
            meets(group([inGroup("x"), .everyone], require: [inGroup("staff")], exclude: [inGroup("x")]))
                .isForward)
    }

    @Test("what depends on the request stays to be asked, also two groups deep") func requests() {
        let inner = group([methodIs(.get)], exclude: [pathIs("/admin")])
        let app = application([
            .init(name: "p", action: .allow, include: [group([inner, inGroup("admins")])])
        ])
        func forwards(_ method: RequestMethod, _ path: String, _ who: PersonFacts = person()) -> Bool {
            decide(session(who), nil, app, snapshot(), request(method), path: path).isForward
        }
        #expect(forwards(.get, "/a") && !forwards(.get, "/admin") && !forwards(.post, "/a"))
        #expect(forwards(.post, "/admin", person(groups: ["admins"])))
    }

    @Test("an unknown fact in a group neither grants nor lifts a block, also under a NOT") func unknown() {
        let role = Condition.claim(.init(name: "role", values: [.text("admin")]))
        for condition in [
            group([role]), group([.everyone], require: [role]), group([.everyone], exclude: [role]),
        ] {
            #expect(!meets(condition).isForward)
            #expect(stops(condition))
        }
        #expect(meets(group([role, .everyone])).isForward, "one that holds settles an include")
        #expect(!stops(group([role], require: [inGroup("x")])), "one that fails settles a require")
    }

    @Test("a block sees through segment parameters inside a group too, and an allow does not")
    func parameters() {
        let admin = group([pathIs("/admin")])
        func forwards(_ policies: [ApplicationPolicy]) -> Bool {
            decide(session(), nil, application(policies), path: "/admin;x=1").isForward
        }
        let yes = ApplicationPolicy(name: "yes", action: .allow, include: [.everyone])
        #expect(!forwards([.init(name: "no", action: .block, include: [admin]), yes]))
        #expect(!forwards([.init(name: "some", action: .allow, include: [admin])]))
        #expect(!forwards([.init(name: "but", action: .allow, include: [.everyone], exclude: [admin])]))
    }

    @Test("a denied device meets a group only where that harms") func denied() {
        let good = group([.everyone], exclude: [deviceIs(.denied)])
        let denied = device([verdict()], owner: "bob")
        #expect(!meets(good, session(), denied).isForward)
        #expect(meets(good, session(), healthyDevice).isForward)
        #expect(meets(group([deviceIs(.compliant)]), session(), nil).reason == .deviceRequired)
        #expect(
            meets(group([deviceIs(.compliant)]), session(), device([verdict(.noncompliant)])).reason
                == .postureNonCompliant)
    }

    @Test("a group is explained with the conditions in it") func explained() {
        let app = application([.init(name: "p", action: .allow, include: [group([inGroup("x")])])])
        let lines = snapshot().explain(session(), nil, for: app, atSeconds: now).lines
        #expect(lines.contains { $0.rule == "p.include[0].g.include[0]" && $0.outcome == .no })
    }
}
