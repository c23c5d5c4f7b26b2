import Access
import Testing

@Suite("A client certificate as a condition")
struct CertificateTests {
    struct Case: Sendable, CustomTestStringConvertible {
        var name: String
        var condition: CertificateCondition
        var holds: Bool
        var testDescription: String { name }
        init(_ name: String, _ condition: CertificateCondition, _ holds: Bool) {
            (self.name, self.condition, self.holds) = (name, condition, holds)
        }
    }

    static let shown = CertificateFacts(
        subject: "scanner-7", names: ["dns:s7.example", "uri:urn:x"], issuerDigest: "ab")
    static let table: [Case] = [
        .init("any certificate", .init(), true),
        .init("its subject", .init(subjects: ["other", "scanner-7"]), true),
        .init("a subject of the same length", .init(subjects: ["scanner-8"]), false),
        .init("a longer subject", .init(subjects: ["scanner-77"]), false),
        .init("another case", .init(subjects: ["Scanner-7"]), false),
        .init("one of its names", .init(names: ["uri:urn:x"]), true),
        .init("no name of its", .init(names: ["dns:s8.example"]), false),
        .init("a name without its kind", .init(names: ["urn:x"]), false),
        .init("its issuer", .init(issuerDigests: ["ab"]), true),
        .init("another issuer", .init(issuerDigests: ["ac"]), false),
        .init(
            "all of them", .init(subjects: ["scanner-7"], names: ["dns:s7.example"], issuerDigests: ["ab"]),
            true),
        .init(
            "all but one", .init(subjects: ["scanner-7"], names: ["dns:s7.example"], issuerDigests: ["x"]),
            false),
        .init("an empty list", .init(subjects: []), false),
    ]

    @Test("each list that is there must hold, by bytes", arguments: table)
    func holds(_ c: Case) {
        var with = request()
        with.certificate = Self.shown
        #expect(meets(.certificate(c.condition), session(), nil, with).isForward == c.holds)
        #expect(!meets(.certificate(c.condition)).isForward, "a connection without one never holds")
    }

    @Test("a certificate without a common name has no subject to compare") func noSubject() {
        var with = request()
        with.certificate = CertificateFacts(subject: nil, names: [], issuerDigest: "ab")
        #expect(!meets(.certificate(.init(subjects: [""])), session(), nil, with).isForward)
    }

    @Test("certificates are equal by what they say") func equality() {
        let same = CertificateFacts(subject: "scanner-7", names: Self.shown.names, issuerDigest: "ab")
        #expect(same == Self.shown && same.hashValue == Self.shown.hashValue)
        #expect(CertificateFacts(subject: nil, names: Self.shown.names, issuerDigest: "ab") != Self.shown)
        #expect(CertificateFacts(subject: "scanner-7", names: [], issuerDigest: "ab") != Self.shown)
        #expect(
            CertificateFacts(subject: "scanner-7", names: Self.shown.names, issuerDigest: "a") != Self.shown)
    }
}
