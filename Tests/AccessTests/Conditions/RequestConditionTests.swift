import Access
import Testing

/// An application that one request condition guards, without a session.
private func bypass(_ condition: Condition) -> Application {
    application([ApplicationPolicy(name: "open", action: .bypass, include: [condition])])
}

@Suite("Path: whole segments, exact bytes")
struct PathTests {
    struct Row: Sendable {
        let name: String, prefixes: [String], exact: [String], path: String, matches: Bool
        init(_ name: String, _ prefixes: [String], _ exact: [String], _ path: String, _ matches: Bool) {
            (self.name, self.prefixes, self.exact, self.path, self.matches) = (
                name, prefixes, exact, path, matches
            )
        }
        init(_ name: String, _ prefixes: [String], _ path: String, _ matches: Bool) {
            self.init(name, prefixes, [], path, matches)
        }
    }
    static let table: [Row] = [
        Row("the prefix itself", ["/api"], "/api", true),
        Row("below the prefix", ["/api"], "/api/x", true),
        Row("the prefix and a slash", ["/api"], "/api/", true),
        Row("a longer segment", ["/api"], "/apix", false),
        Row("a shorter path", ["/api"], "/ap", false),
        Row("another case", ["/api"], "/API", false),
        Row("the root prefix holds all", ["/"], "/anything", true),
        Row("a prefix with a slash, below", ["/api/"], "/api/x", true),
        Row("a prefix with a slash, without it", ["/api/"], "/api", false),
        Row("an empty prefix holds nothing", [""], "/", false),
        Row("the second prefix", ["/a", "/b"], "/b/c", true),
        Row("the empty path", ["/"], "", false),
        Row("the asterisk form", ["/"], "*", false),
        Row("exact", [], ["/health"], "/health", true),
        Row("exact is not a prefix", [], ["/health"], "/health/x", false),
        Row("exact with a slash more", [], ["/health"], "/health/", false),
        Row(
            "a prefix longer than any small string", ["/a-prefix-of-many-bytes"], "/a-prefix-of-many-bytes/x",
            true),
        Row("…and one byte beside it", ["/a-prefix-of-many-bytes"], "/a-prefix-of-many-bytez/x", false),
        Row("letters beyond ASCII as bytes", ["/ü"], "/ü/x", true),
        Row("no list at all", [], [], "/", false),
    ]

    @Test(arguments: table) func pathMatches(_ row: Row) {
        let open = bypass(.path(.init(prefixes: row.prefixes, exact: row.exact)))
        #expect(decide(nil, nil, open, path: row.path) == (row.matches ? .forward(policy: 0) : .signIn))
    }
}

@Suite("Network: families never mix")
struct NetworkTests {
    static let table: [(String, String, Bool)] = [
        ("10.0.0.0/8", "10.255.255.255", true), ("10.0.0.0/8", "11.0.0.0", false),
        ("10.0.0.0/8", "9.255.255.255", false), ("0.0.0.0/0", "203.0.113.9", true),
        ("0.0.0.0/0", "2001:db8::1", false), ("::/0", "2001:db8::1", true), ("::/0", "10.0.0.1", false),
        ("::/0", "::ffff:10.0.0.1", false), ("10.0.0.1/32", "10.0.0.1", true),
        ("10.0.0.1/32", "10.0.0.2", false),
        ("2001:db8::/64", "2001:db8::ffff:ffff:ffff:ffff", true), ("2001:db8::/64", "2001:db8:0:1::", false),
        ("2001:db8::/65", "2001:db8:0:0:8000::", false), ("::1/128", "::1", true), ("::1/128", "::2", false),
    ]

    @Test(arguments: table) func rangeHolds(_ range: String, _ client: String, _ holds: Bool) throws {
        let condition = Condition.network(.init(ranges: [try #require(NetworkRange(parsing: range))]))
        let decision = decide(nil, nil, bypass(condition), snapshot(), request(from: client))
        #expect(decision == (holds ? .forward(policy: 0) : .signIn))
    }

    @Test("a range with an impossible prefix length holds nothing", arguments: [-1, 129, Int.max, Int.min])
    func impossible(_ length: Int) {
        let range = NetworkRange(base: NetworkAddress(high: 0, low: 0), prefixLength: length)
        #expect(!range.contains(NetworkAddress(high: 0, low: 0)))
    }
}

@Suite("Method: named methods only")
struct MethodTests {
    @Test(
        "each method matches itself and no other, and `other` matches nothing",
        arguments: RequestMethod.allCases)
    func method(_ asked: RequestMethod) {
        for sent in RequestMethod.allCases {
            let expected: Decision = sent == asked && sent != .other ? .forward(policy: 0) : .signIn
            #expect(decide(nil, nil, bypass(methodIs(asked)), snapshot(), request(sent)) == expected)
        }
    }

    @Test("everyone is true of every request")
    func everyone() { #expect(decide(nil, nil, bypass(.everyone)) == .forward(policy: 0)) }
}
