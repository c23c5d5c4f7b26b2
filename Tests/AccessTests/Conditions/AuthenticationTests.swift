import Access
import Testing

@Suite("Conditions on how and when somebody signed in")
struct AuthenticationTests {
    struct Case: Sendable, CustomTestStringConvertible {
        var name: String
        var claims: [String: ClaimValue]
        var meets: Bool
        var stops: Bool
        var testDescription: String { name }
        init(_ name: String, _ claims: [String: ClaimValue], meets: Bool, stops: Bool) {
            (self.name, self.claims, self.meets, self.stops) = (name, claims, meets, stops)
        }
    }

    static let contexts: [Case] = [
        .init("the wanted acr", ["acr": .text("c1")], meets: true, stops: true),
        .init("one of several acrs", ["acrs": .list(["c0", "c1"])], meets: true, stops: true),
        .init(
            "another acr, but the wanted one in acrs", ["acr": .text("0"), "acrs": .list(["c1"])],
            meets: true, stops: true),
        .init("another acr", ["acr": .text("c2")], meets: false, stops: false),
        .init("another case", ["acr": .text("C1")], meets: false, stops: false),
        .init("none is not known, and does not lift a block", [:], meets: false, stops: true),
        .init("a number is no context", ["acr": .integer(1)], meets: false, stops: true),
    ]

    @Test("002.20 acr names the authentication context that was reached", arguments: contexts)
    func context(_ c: Case) {
        let condition = Condition.authenticationContext(.init(values: ["c1", "c9"]))
        #expect(AccessTests.meets(condition, signedIn(c.claims)).isForward == c.meets)
        #expect(AccessTests.stops(condition, signedIn(c.claims)) == c.stops)
    }

    static let methods: [Case] = [
        .init("the wanted method among others", ["amr": .list(["pwd", "mfa"])], meets: true, stops: true),
        .init("the wanted method as a text", ["amr": .text("mfa")], meets: true, stops: true),
        .init("other methods", ["amr": .list(["pwd"])], meets: false, stops: false),
        .init("an empty list says nothing", ["amr": .list([])], meets: false, stops: true),
        .init("no claim says nothing", [:], meets: false, stops: true),
        .init("a flag says nothing", ["amr": .flag(true)], meets: false, stops: true),
    ]

    @Test("amr names the methods of the sign-in (RFC 8176)", arguments: methods)
    func method(_ c: Case) {
        let condition = Condition.authenticationMethod(.init(methods: ["mfa", "hwk"]))
        #expect(AccessTests.meets(condition, signedIn(c.claims)).isForward == c.meets)
        #expect(AccessTests.stops(condition, signedIn(c.claims)) == c.stops)
    }

    @Test(
        "an authentication counts up to and at its limit, and never from the future",
        arguments: [
            (now - 600, true), (now - 601, false), (now, true), (now + 300, true), (now + 301, false),
            (0, false),
        ])
    func age(_ authenticated: Int64, _ isMet: Bool) {
        let condition = Condition.authenticatedWithin(.init(secondsMax: 600))
        let shown = signedIn(authenticated: authenticated)
        #expect(meets(condition, shown).isForward == isMet)
        // Not known when too old: growing old lifts no block.
        #expect(stops(condition, shown))
    }

    @Test("a residual ends in the second in which the authentication grows too old") func edge() {
        let condition = Condition.authenticatedWithin(.init(secondsMax: 600))
        let shown = signedIn(authenticated: now - 500)
        #expect(meets(condition, shown).validUntil == now + 101)
        #expect(meets(condition, shown, at: now + 100).isForward)
        #expect(!meets(condition, shown, at: now + 101).isForward)
        // What has passed bounds nothing.
        #expect(meets(condition, signedIn(authenticated: now - 601)).validUntil == now + 900)
    }
}
