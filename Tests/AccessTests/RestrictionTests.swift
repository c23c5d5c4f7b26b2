import Access
import Testing

@Suite("Partial access: limits are carried by what forwards")
struct RestrictionTests {
    static let limits: [AccessLimit] = [
        .blocksDownloads, .blocksUploads, .responseField(name: "X-A", value: "1"),
        .upstreamField(name: "X-B", value: "2"), .banner("Read only."), .banner("Second."),
    ]

    private func restriction(
        _ policies: [ApplicationPolicy], _ session: SessionFacts? = session(), at: Int64 = now
    ) -> Restriction? {
        let residual = snapshot().residual(of: session, nil, for: application(policies), atSeconds: at)
        guard case .forward(let index) = residual.decide(request(), path: Array("/".utf8).span, atSeconds: at)
        else { return nil }
        return residual.policies[index].restriction
    }

    private static let open = ApplicationPolicy(name: "open", action: .allow, include: [.everyone])

    private func limiting(_ include: Condition, session: Int64? = nil) -> ApplicationPolicy {
        .init(
            name: "limited", action: .allow, include: [include], restriction: .init(limits: Self.limits),
            sessionSecondsMax: session)
    }

    @Test("the values arrive as they were written") func values() throws {
        let read = try #require(restriction([limiting(.everyone)]))
        #expect(read.blocksDownloads && read.blocksUploads && read.banner == "Read only.")
        #expect(read.responseFields.map(\.name) == ["X-A"] && read.responseFields.map(\.value) == ["1"])
        #expect(read.upstreamFields.map(\.name) == ["X-B"] && read.upstreamFields.map(\.value) == ["2"])
        let none = Restriction()
        #expect(!none.blocksDownloads && !none.blocksUploads && none.banner == nil)
        #expect(none.responseFields.isEmpty && none.upstreamFields.isEmpty)
    }

    @Test("a missing fact or an old session lifts no limit: later policies carry it") func carried() {
        let unknown = Condition.claim(.init(name: "absent", values: [.flag(true)]))
        #expect(restriction([limiting(unknown), Self.open])?.limits == Self.limits)
        #expect(restriction([limiting(.everyone, session: 30), Self.open])?.limits == Self.limits)
        #expect(
            restriction([limiting(inGroup("others")), Self.open]) == nil, "a policy that certainly fails")
        let open = ApplicationPolicy(name: "open", action: .bypass, include: [.everyone])
        #expect(
            restriction([limiting(.everyone), open], nil)?.limits == Self.limits, "nobody is not better off")
    }

    @Test("carried limits come first and stand once") func merged() {
        let unknown = Condition.claim(.init(name: "absent", values: [.flag(true)]))
        var second = limiting(.everyone)
        second.restriction = .init(methods: [.get], limits: [.banner("Own."), .blocksDownloads])
        let read = restriction([limiting(unknown), second])
        #expect(read?.limits == Self.limits + [.banner("Own.")] && read?.methods == [.get])
    }
}
