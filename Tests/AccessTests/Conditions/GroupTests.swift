import Access
import Testing

@Suite("Membership in many groups is what walking the list says")
struct GroupTests {
    private func isLetIn(_ asked: [String], _ groups: [String]) -> Bool {
        let policy = ApplicationPolicy(name: "p", action: .allow, include: [.group(.init(groups: asked))])
        return decide(session(person(groups: groups)), nil, application([policy])).isForward
    }

    @Test(
        "by every name and by none that is missing, at lengths around the bounds",
        arguments: [0, 1, 7, 8, 9, 16, 17, 500])
    func lengths(_ count: Int) {
        let groups = (0..<count).map { "group-\($0)" }
        for name in groups { #expect(isLetIn([name], groups)) }
        for name in [
            "group-\(count)", "", "group-", "Group-1", "group-1 ", "a-name-of-more-than-sixteen-bytes",
        ] {
            #expect(!isLetIn([name], groups), "\(name)")
        }
        #expect(isLetIn(["other", "group-0"], groups) == (count > 0))
    }

    @Test("names that Unicode calls equivalent are two groups, also among many")
    func equivalent() {
        let many = (0..<20).map { "group-\($0)" }
        #expect(isLetIn(["caf\u{e9}"], many + ["caf\u{e9}"]))
        #expect(!isLetIn(["cafe\u{301}"], many + ["caf\u{e9}"]))
    }

    @Test("random lists, with names that come twice, of all lengths")
    func random() {
        for seed in UInt64(0)..<300 {
            var generator = SeededGenerator(seed: seed)
            func name() -> String {
                String(
                    (0..<Int.random(in: 0...20, using: &generator)).map { _ in
                        generator.pick(["a", "b", "é"])
                    }.joined())
            }
            let groups = (0..<Int.random(in: 0...60, using: &generator)).map { _ in name() }
            let asked = (0..<3).map { _ in name() }
            let expected = asked.contains { one in groups.contains { $0.utf8.elementsEqual(one.utf8) } }
            #expect(isLetIn(asked, groups) == expected, "seed \(seed)")
        }
    }
}
