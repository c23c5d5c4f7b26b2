import Access
import Border
import Foundation
import Testing

@Suite("Values that cross the border can be written and read back")
struct ValueTests {
    static let record = SessionRecord(
        sequence: 7, tokenDigest: Array(0..<32), session: "s1", person: "https://issuer.example alice",
        device: "d1", application: "wiki",
        residual: Residual(
            policyIdentity: "abc", isSignedIn: true, validUntilSeconds: 900,
            policies: [
                ResidualPolicy(
                    name: "staff", action: .allow, anyOf: [],
                    allOf: [.network(NetworkCondition(ranges: []))], noneOf: [],
                    restriction: Restriction(methods: [.get]), reason: .policyAllows)
            ],
            refusal: .noPolicyMatches, dependsOn: [.session(id: "s1")]),
        identityFields: Array("Gatepost-Assertion: x\r\n".utf8), expiresAtSeconds: 1_000)

    static let revocations: [Revocation.Effect] = [
        .endSession("s"), .endPerson("p"), .endDevice("d"), .endApplication("a"),
        .revokeCertificate("c0ffee1"), .replace(record),
    ]

    @Test(arguments: revocations) func `every revocation survives writing and reading`(
        _ effect: Revocation.Effect
    ) throws {
        let value = Revocation(sequence: 3, eventNanoseconds: 9, effect: effect)
        let bytes = try JSONEncoder().encode(value)
        #expect(try JSONDecoder().decode(Revocation.self, from: bytes) == value)
    }

    @Test
    func `revoked serial numbers cross the border with a configuration and by themselves, byte for byte`()
        throws
    {
        var snapshot = GatewaySnapshot(
            revision: 3, authHost: "auth.test", publicPort: 443, certificates: [], applications: [],
            limits: Limits(), cookieKeys: [], ticketKeys: [], accessLog: false)
        for serials in [nil, [], ["1", "c0ffee1"]] as [[String]?] {
            snapshot.revokedSerials = serials
            let bytes = try BinaryEncoding.bytes(of: ToData.configure(number: 1, snapshot))
            #expect(
                try BinaryDecoding.value(ToData.self, from: bytes, isTolerant: false)
                    == .configure(number: 1, snapshot))
        }
        let value = Revocation(sequence: 9, eventNanoseconds: 1, effect: .revokeCertificate("c0ffee1"))
        let bytes = try BinaryEncoding.bytes(of: value)
        #expect(try BinaryDecoding.value(Revocation.self, from: bytes, isTolerant: false) == value)
        for end in 0..<bytes.count {
            #expect(throws: (any Error).self) {
                try BinaryDecoding.value(Revocation.self, from: Array(bytes[..<end]), isTolerant: false)
            }
        }
    }

    @Test func `a request for the control plane survives writing and reading`() throws {
        let value = ToControl.request(
            ControlRequest(
                ticket: Ticket(reactor: 1, slot: 2, generation: 3), purpose: .refused(.postureStale),
                application: "wiki", host: "wiki.example", method: "GET", path: "/", query: "a=b",
                fields: [Field("accept", "text/html")], body: [1, 2], client: NetworkAddress(v4: 0x7f00_0001),
                requestID: "00"))
        let bytes = try JSONEncoder().encode(value)
        #expect(try JSONDecoder().decode(ToControl.self, from: bytes) == value)
    }

    @Test func `a value that lacks a member is refused, not completed`() {
        #expect(throws: (any Error).self) {
            try JSONDecoder().decode(Revocation.self, from: Data(#"{"sequence":1}"#.utf8))
        }
    }
}
