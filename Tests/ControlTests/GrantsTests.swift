import Access
import Testing

@testable import Control

@Suite("Whether a decision takes something away")
struct GrantsTests {
    static func policy(
        _ name: String, _ action: PolicyAction = .allow, methods: [RequestMethod]? = nil,
        paths: [String]? = nil, limits: [AccessLimit]? = nil, below: String? = nil
    ) -> ResidualPolicy {
        let isRestricted = methods != nil || paths != nil || limits != nil
        return ResidualPolicy(
            name: name, action: action,
            anyOf: below.map { [.path(PathCondition(prefixes: [$0], exact: []))] } ?? [], allOf: [],
            noneOf: [],
            restriction: isRestricted
                ? Restriction(methods: methods, pathPrefixes: paths, limits: limits) : nil,
            reason: action == .block ? .policyBlocks : .policyAllows)
    }

    static func residual(_ policies: [ResidualPolicy], isSignedIn: Bool = true) -> Residual {
        Residual(
            policyIdentity: "p", isSignedIn: isSignedIn, validUntilSeconds: 100, policies: policies,
            refusal: .noPolicyMatches, dependsOn: [])
    }

    struct Row: Sendable, CustomTestStringConvertible {
        var testDescription: String
        var old: [ResidualPolicy]
        var new: [ResidualPolicy]
        var isLess: Bool
    }

    static let everything = policy("staff")
    static let reading = policy("guest", methods: [.get, .head])
    static let table: [Row] = [
        Row(testDescription: "nothing before", old: [], new: [], isLess: false),
        Row(testDescription: "only a block before", old: [policy("b", .block)], new: [], isLess: false),
        Row(testDescription: "everything gone", old: [everything], new: [], isLess: true),
        Row(testDescription: "blocked", old: [everything], new: [policy("b", .block)], isLess: true),
        Row(testDescription: "another name", old: [everything], new: [policy("people")], isLess: false),
        Row(testDescription: "narrowed to reading", old: [everything], new: [reading], isLess: true),
        Row(testDescription: "widened from reading", old: [reading], new: [everything], isLess: false),
        Row(
            testDescription: "one method more", old: [reading],
            new: [policy("guest", methods: [.get, .head, .post])], isLess: false),
        Row(
            testDescription: "one method less", old: [reading], new: [policy("guest", methods: [.get])],
            isLess: true),
        Row(
            testDescription: "below a path only", old: [everything], new: [policy("staff", paths: ["/a"])],
            isLess: true),
        Row(
            testDescription: "another path", old: [policy("staff", paths: ["/a"])],
            new: [policy("staff", paths: ["/b"])], isLess: true),
        Row(
            testDescription: "downloads blocked", old: [everything],
            new: [policy("staff", limits: [.blocksDownloads])], isLess: true),
        Row(
            testDescription: "downloads allowed again", old: [policy("staff", limits: [.blocksDownloads])],
            new: [everything], isLess: false),
        Row(
            testDescription: "a block before it on some paths", old: [everything],
            new: [policy("b", .block, below: "/admin"), everything], isLess: true),
        Row(
            testDescription: "the same block as before",
            old: [policy("b", .block, below: "/admin"), everything],
            new: [policy("c", .block, below: "/admin"), everything], isLess: false),
        Row(
            testDescription: "one grant of two on paths is gone",
            old: [policy("a", below: "/a"), policy("b", below: "/b")], new: [policy("b", below: "/b")],
            isLess: true),
        Row(
            testDescription: "one grant more on a path", old: [policy("b", below: "/b")],
            new: [policy("a", below: "/a"), policy("b", below: "/b")], isLess: false),
        Row(
            testDescription: "a narrower one is asked first", old: [policy("b", below: "/b")],
            new: [policy("r", methods: [.get], below: "/b"), policy("b", below: "/b")], isLess: true),
    ]

    @Test("row by row", arguments: table) func rows(_ row: Row) {
        #expect(Self.residual(row.new).grantsLess(than: Self.residual(row.old)) == row.isLess)
        #expect(!Self.residual(row.old).grantsLess(than: Self.residual(row.old)), "never less than itself")
    }

    @Test("whoever is no longer signed in has lost what a sign-in gave") func signedOut() {
        let old = Self.residual([Self.everything])
        #expect(Self.residual([Self.everything], isSignedIn: false).grantsLess(than: old))
    }
}
