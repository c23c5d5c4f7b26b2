import Access
import Testing

@Suite("Rows of the mission that policies fulfil by themselves")
struct PolicyRequirementTests {
    private static let full = ApplicationPolicy(
        name: "full", action: .allow, include: [everyDomain], require: [deviceIs(.compliant)])

    @Test(
        "001.13 an unmanaged device of one's own is restricted where an application says so, and refused elsewhere"
    )
    func ownDevice() {
        let byod = device([verdict(.notManaged, managed: false)])
        var reading = ApplicationPolicy(
            name: "reading", action: .allow, include: [everyDomain], require: [deviceIs(.partial)])
        reading.restriction = Restriction(
            methods: [.get], pathPrefixes: ["/docs"], limits: [.blocksDownloads])
        let wiki = application([Self.full, reading])
        #expect(decide(session(), byod, wiki, path: "/docs/a").isForward)
        #expect(decide(session(), byod, wiki, path: "/admin") == .refuse(.restrictedPath))
        #expect(
            decide(session(), byod, wiki, snapshot(), request(.post), path: "/docs")
                == .refuse(.restrictedMethod))
        #expect(decide(session(), byod, application([Self.full])) == .refuse(.postureNonCompliant))
    }

    @Test("001.19 002.5 each application asks for compliant devices, or does not") func perApplication() {
        let open = application([.init(name: "open", action: .allow, include: [everyDomain])])
        #expect(decide(session(), nil, open).isForward)
        #expect(decide(session(), nil, application([Self.full])) == .refuse(.deviceRequired))
        #expect(decide(session(), device([verdict()]), application([Self.full])).isForward)
    }

    @Test("001.22 while migrating only some people are asked for a device") func migration() {
        let pilots = ApplicationPolicy(
            name: "pilots", action: .allow, include: [inGroup("pilots")], require: [deviceIs(.compliant)])
        let others = ApplicationPolicy(
            name: "others", action: .allow, include: [everyDomain], exclude: [inGroup("pilots")])
        let app = application([pilots, others])
        #expect(decide(session(), nil, app).isForward)
        #expect(decide(session(person(groups: ["pilots"])), nil, app) == .refuse(.deviceRequired))
    }

    @Test("001.27 pages that enrol and repair devices stay open when everything else asks for one")
    func enrolment() {
        let repair = ApplicationPolicy(name: "repair", action: .bypass, include: [pathIs("/enroll")])
        let app = application([repair, Self.full])
        let bad = device([verdict(.noncompliant)])
        #expect(decide(nil, nil, app, path: "/enroll/mac").isForward)
        #expect(decide(session(), bad, app, path: "/enroll").isForward)
        #expect(!decide(session(), bad, app, path: "/").isForward)
    }

    @Test("002.18 ownership brings no trust: a personal device meets the same rules as a managed one")
    func ownership() {
        let app = application([Self.full], owner: .any)
        for managed in [true, false] {
            let shown = device(
                [verdict(managed: managed, labels: ["personal"])], owner: managed ? "ada" : nil)
            #expect(decide(session(), shown, app).isForward)
            let bad = device([verdict(.noncompliant, managed: managed)])
            #expect(!decide(session(), bad, app).isForward)
        }
    }
}
