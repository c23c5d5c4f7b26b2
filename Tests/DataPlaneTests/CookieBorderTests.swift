import Access
import Border
import Foundation
import Testing

@testable import DataPlane

@Suite("Cookies of the application and cookies of the gateway, in one browser")
struct CookieBorderTests {
    /// A browser that stores what the gateway lets through: the rules of RFC 6265bis §5.6 that decide on a
    /// name, in the laxest reading that any engine has (prefixes not enforced, as WebKitGTK does).
    private struct Jar {
        var stored: [(name: String, value: String)] = []

        mutating func take(_ setCookie: String) {
            let pair = setCookie.prefix { $0 != ";" }
            let blanks = CharacterSet(charactersIn: " \t")
            guard let equals = pair.firstIndex(of: "=") else {
                return stored.append(("", pair.trimmingCharacters(in: blanks)))
            }
            stored.append(
                (
                    pair[..<equals].trimmingCharacters(in: blanks),
                    pair[pair.index(after: equals)...].trimmingCharacters(in: blanks)
                ))
        }

        /// As engines serialise: a cookie without a name is its value alone.
        var field: String {
            stored.map { $0.name.isEmpty ? $0.value : "\($0.name)=\($0.value)" }.joined(separator: "; ")
        }
    }

    static let planted: [String] = [
        "__Host-gatepost=x", "__Host-gatepost=x; Path=/; Secure; HttpOnly", "__Host-gatepost=; Max-Age=0",
        "__Host-gatepost=x; Domain=corp.example", "__Host-gatepost=x; Path=/deep/er", "__host-gatepost=x",
        "__HOST-GATEPOST=x", "__Host-gatepost-login-0=x", "__Host-gatepost-form=x", "__Host-gatepost-new=x",
        "__Host-gatepost", " __Host-gatepost=x", "\t__Host-gatepost=x", "__Host-gatepost =x",
        "__Host-gatepost\t=x",
        "=__Host-gatepost=x", " = __Host-gatepost=x", "==__Host-gatepost=x", "=\t=__Host-gatepost=x",
        "=__Host-gatepost", "= __host-GATEPOST-login-3=x; Secure", "__Host-gatepost==x",
        "__Host-gatepost=\"x\"",
        "__Host-gatepost;=x", "=__Host-gatepost=x; Domain=corp.example; Path=/a",
    ]

    static let allowed: [String] = [
        "a=1", "__Host-session=1; Path=/; Secure", "__Secure-id=1; Secure", "x__Host-gatepost=1",
        "\"__Host-gatepost\"=1", "gatepost=1", "__Host-gatepos=1", "__Host_gatepost=1", "a=__Host-gatepost=1",
        "a=1; __Host-gatepost=2", "a=1; Comment=__Host-gatepost=1", "a=1; Domain=corp.example; Path=/b", "=1",
        "a", "",
        "%5F%5FHost-gatepost=1", "a=1, __Host-gatepost=2", "\u{e9}__Host-gatepost=1",
    ]

    /// How a client and an upstream speak.
    struct Way: CustomTestStringConvertible {
        var client2: Bool
        var upstream2: Bool
        var testDescription: String { "h\(client2 ? 2 : 1) to h\(upstream2 ? 2 : 1)" }

        static let all = [false, true].flatMap { client in
            [false, true].map { Way(client2: client, upstream2: $0) }
        }

        /// The fields of an answer, by lower-case name, in the order of arrival.
        func fields(_ gateway: Gateway, sending cookies: [String] = []) throws -> [(String, String)] {
            try answer(gateway, cookies).fields
        }

        func answer(
            _ gateway: Gateway, _ cookies: [String]
        ) throws -> (status: Int, fields: [(String, String)], text: String) {
            if client2 {
                let answer = try #require(
                    HTTP2Client(gateway).get(1, "/", cookies.map { ("cookie", $0) }))
                return (answer.status, answer.fields, answer.text)
            }
            let lines = cookies.map { "Cookie: \($0)\r\n" }.joined()
            let answer = try #require(try gateway.client().get(fields: lines))
            let fields = answer.head.components(separatedBy: "\r\n").compactMap { line in
                line.firstIndex(of: ":").map { colon in
                    (
                        line[..<colon].lowercased(),
                        CookieBorderTests.trimmed(line[line.index(after: colon)...])
                    )
                }
            }
            return (answer.status, fields, answer.text)
        }

        /// An upstream that says what it received.
        func echo() -> TestOrigin { upstream2 ? HTTP2Origin.echo() : TestOrigin.echo() }

        /// An upstream that answers everything with these fields.
        func origin(_ fields: [(String, String)]) -> TestOrigin {
            guard upstream2 else {
                return TestOrigin { connection in
                    while connection.readHead() != nil {
                        connection.answer(fields: fields.map { "\($0.0): \($0.1)\r\n" }.joined())
                    }
                }
            }
            // The frames of the tests take one byte from each scalar.
            let bytes = fields.map { field in
                (field.0, field.1.utf8.map { String(Unicode.Scalar($0)) }.joined())
            }
            return HTTP2Origin.serving { origin in
                while let id = origin.nextRequest() { origin.answer(id, 200, bytes) }
            }
        }

        func route(_ route: ApplicationRoute) -> ApplicationRoute {
            var route = route
            route.upstreams[0].speaksHTTP2 = upstream2
            return route
        }

        /// Whether an upstream can say so: HTTP/2 has no blank around a field's value (RFC 9113 §8.2.1).
        func canSay(_ value: String) -> Bool { !upstream2 || CookieBorderTests.trimmed(value) == value }
    }

    private static func trimmed(_ text: some StringProtocol) -> String {
        text.trimmingCharacters(in: CharacterSet(charactersIn: " \t"))
    }

    private func relayed(_ setCookies: [String], _ way: Way) throws -> [String] {
        let origin = way.origin(setCookies.map { ("set-cookie", $0) })
        let gateway = try Gateway([way.route(Facts.open(origin.port))])
        return try way.fields(gateway).filter { $0.0 == "set-cookie" }.map(\.1)
    }

    @Test(arguments: Way.all)
    func `an application plants no cookie that is ours to any browser, and loses none of its own`(
        _ way: Way
    ) throws {
        let through = try relayed((Self.planted + Self.allowed).filter(way.canSay), way)
        #expect(through.count == Self.allowed.count, "\(through)")
        for (sent, kept) in zip(Self.allowed, through) { #expect(Self.trimmed(kept) == Self.trimmed(sent)) }
        for blank in Self.planted where !way.canSay(blank) {
            #expect(try relayed([blank], way).isEmpty, "\(blank)")
        }
        var jar = Jar()
        through.forEach { jar.take($0) }
        let session = Facts.cookie(1).dropFirst("Cookie: ".count).dropLast(2)
        // With all of them in the browser, in front of ours and behind, the session is found as if alone.
        let origin = way.echo()
        let gateway = try Gateway(
            [way.route(Facts.closed(origin.port))], answer: SessionTests.control)
        for cookies in ["\(jar.field); \(session)", "\(session); \(jar.field)"] {
            let answer = try way.answer(gateway, [cookies])
            #expect(answer.status == 200, "\(cookies)")
            #expect(!answer.text.contains(Self.secret), "\(cookies)")
        }
    }

    /// On an open route and, with response fields of its configuration, on one whose answers are rewritten.
    @Test(arguments: Way.all, [false, true])
    func `an application neither has our cookies deleted nor speaks of sessions bound to a key`(
        _ way: Way, isRewritten: Bool
    ) throws {
        let origin = way.origin([
            ("clear-site-data", "\"cookies\", \"cache\""), ("clear-site-data", "\"*\""),
            ("clear-site-data", "\"cookies\""), ("secure-session-registration", "(ES256);path=\"/x\""),
            ("secure-session-challenge", "\"c\";id=\"ours\""), ("x-own", "1"),
        ])
        var route = way.route(Facts.open(origin.port))
        if isRewritten { route.responseFields = FieldChanges(written: [Field("X-Mark", "m")], removed: []) }
        let gateway = try Gateway([route])
        let kept = ["\"cache\"", "\"cache\", \"clientHints\", \"storage\", \"executionContexts\""]
        // More than once: the answer that repeats is written from memory.
        for number in 0..<3 {
            let received = try way.fields(gateway)
            #expect(received.filter { $0.0 == "clear-site-data" }.map(\.1) == kept, "\(number)")
            #expect(!received.contains { $0.0.hasPrefix("secure-session") }, "\(number)")
            #expect(received.contains { $0.0 == "x-own" }, "\(number)")
        }
    }

    private static let secret = Facts.cookie(1).components(separatedBy: "__Host-gatepost=")[1].prefix(56)

    @Test(arguments: Way.all)
    func `of random Set-Cookie texts none that gets through names a cookie of ours`(_ way: Way) throws {
        var generator = Seeded(state: 0xc00c1e)
        let pieces = [
            "__Host-gatepost", "__host-", "gatepost", "=", "=", " ", "\t", ";", "x", "-login-1", "\"", ",",
            "Path=/a",
            "__Secure-", "%",
        ]
        for round in 0..<40 {
            let texts = (0..<60).map { _ in
                (0..<Int.random(in: 1...6, using: &generator)).map { _ in
                    pieces.randomElement(using: &generator) ?? ""
                }.joined()
            }
            var jar = Jar()
            try relayed(texts.filter(way.canSay), way).forEach { jar.take($0) }
            for cookie in jar.stored {
                let sent = cookie.name.isEmpty ? cookie.value : cookie.name
                #expect(
                    !sent.lowercased().hasPrefix("__host-gatepost"),
                    "seed 0xc00c1e, round \(round): \(cookie)")
            }
        }
    }

    @Test(
        "the session's cookie that comes twice names no session, whichever of the two was ours",
        arguments: ["x", "", String(repeating: "A", count: 56)])
    func doubled(_ planted: String) throws {
        let origin = TestOrigin.echo()
        let gateway = try Gateway([Facts.closed(origin.port)], answer: SessionTests.control)
        let client = try gateway.client()
        let ours = "__Host-gatepost=\(Self.secret)"
        for other in [
            "__Host-gatepost=\(planted)", "__Host-gatepost =\(planted)", "\t__Host-gatepost\t= \(planted)",
        ] {
            let fields = [
                "Cookie: \(ours); \(other)\r\n", "Cookie: \(other); a=b; \(ours)\r\n",
                "Cookie: \(ours)\r\nCookie: \(other)\r\n", "Cookie: \(other)\r\na: b\r\ncookie: \(ours)\r\n",
            ]
            for field in fields {
                let answer = try #require(client.get(fields: field))
                #expect(answer.status == 401, "\(field)")
                #expect(answer.field("Set-Cookie") == nil, "\(field)")
            }
        }
        #expect(origin.connectionCount == 0)
        #expect(gateway.engine.metrics().sum("session_pulls") == 0)
    }

    /// What a client may send beside its session; nothing of ours, in any spelling, reaches the application.
    static let beside: [String] = [
        "__host-gatepost=1", "__HOST-GATEPOST-x=1", "=__Host-gatepost-y", " = __Host-gatepost-z=1",
        "__Host-gatepost-login-2=1", "__Host-gatepost-form=1", "__Host-gatepost", "\t__Host-gatepost-t\t=1",
        "==__Host-gatepost", "__Host-gatepost\"=1",
    ]

    @Test(arguments: Way.all, beside)
    func `none of our cookies reaches the application, the others all do`(
        _ way: Way, _ spelling: String
    ) throws {
        let origin = way.echo()
        let gateway = try Gateway(
            [way.route(Facts.closed(origin.port))], answer: SessionTests.control)
        let ours = "__Host-gatepost=\(Self.secret)"
        // HTTP/2 has no blank around a field's value.
        let alone = way.client2 ? Self.trimmed(spelling) : spelling
        for fields in [
            ["a=1; \(spelling); \(ours); b=2"], [alone, "a=1; \(ours); b=2"],
            ["a=1; \(ours)", "b=2; \(spelling);"],
            ["\(ours); \(spelling); a=1; b=2; \(Self.trimmed(spelling))"],
            ["a=1", alone, ours, "b=2"],
        ] {
            let answer = try way.answer(gateway, fields)
            #expect(answer.status == 200, "\(fields)")
            #expect(!answer.text.lowercased().contains("__host-gatepost"), "\(fields): \(answer.text)")
            #expect(answer.text.contains("a=1") && answer.text.contains("b=2"), "\(fields): \(answer.text)")
        }
    }

    private struct Seeded: RandomNumberGenerator {
        var state: UInt64
        mutating func next() -> UInt64 {
            state &+= 0x9e37_79b9_7f4a_7c15
            var mixed = state
            mixed = (mixed ^ (mixed >> 30)) &* 0xbf58_476d_1ce4_e5b9
            mixed = (mixed ^ (mixed >> 27)) &* 0x94d0_49bb_1331_11eb
            return mixed ^ (mixed >> 31)
        }
    }
}
