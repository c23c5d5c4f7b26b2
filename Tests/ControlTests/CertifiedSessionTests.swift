import Access
import Border
import Foundation
import Identity
import JSON
import Signatures
import Store
import Testing

@testable import Control
@testable import Posture

@Suite("A person's session beside a client certificate", .timeLimit(.minutes(10)))
struct CertifiedSessionTests {
    static let guid = "5f7e6a1c-0000-4000-8000-00000000abcd"
    static let otherGUID = "5f7e6a1c-0000-4000-8000-00000000dcba"

    /// - Parameters:
    ///   - proofs: of the application `vault`.
    ///   - keys: of `client-certificates`, beside those that are there.
    func house(
        _ proofs: String = "certificate", keys: String = "", application: String = ""
    ) async throws -> Gatehouse {
        let config = GuardHouse.config.replacingOccurrences(
            of: "key: certs/key.pem } ] }",
            with: """
                key: certs/key.pem } ],
                        client-certificates: { authorities: certs/chain.pem, platform: linux,
                          device-suffix: id.corp.example\(keys) } }
                """
        ).replacingOccurrences(
            of: "    host: vault.corp.example\n",
            with: "    host: vault.corp.example\n    device-proofs: [\(proofs)]\n" + application)
        let house = try Gatehouse(config, fetcher: Outside())
        try await house.control.services.posture.load()
        return house
    }

    static func claim(
        _ names: [String], serial: String = "01", until: Int64 = .max, subject: String? = nil
    ) -> MachineClaim {
        MachineClaim(
            tokenDigest: Digest.sha256(Array(serial.utf8)), listener: 0, subject: subject, names: names,
            issuerDigest: String(repeating: "a", count: 64), serial: serial, notAfterSeconds: until)
    }
    /// Ada's, of the device `guid`.
    static let adas = claim(["dns:\(guid)", "email:ada@corp.example"])

    func say(
        _ state: Verdict.State, _ house: Gatehouse, native: String = "m",
        keys: [DeviceKey?] = [DeviceKey(.intune, guid)]
    ) async {
        let verdict = Verdict(
            id: "health:\(native):\(house.now):\(state.rawValue)", integration: "health", provider: "custom",
            nativeID: native, state: state, labels: state == .compliant ? ["compliant"] : [],
            observedAtSeconds: house.now, fetchedAtSeconds: house.now, expiresAtSeconds: house.now + 3_600,
            matchKey: "", matchStrength: .strong)
        let posture = house.control.services.posture
        _ = await posture.cache.apply(
            [VerdictRecord(verdict: verdict, keys: keys.compactMap { $0 })], of: "health",
            nowSeconds: house.now
        ) { news in
            for device in await posture.devices(named: news.changed) {
                await house.control.deviceChanged(device.text, 1)
            }
        }
    }

    func pulled(_ house: Gatehouse, _ digest: [UInt8], _ claim: MachineClaim) async -> SessionRecord? {
        await house.control.pullCertified(Ticket(reactor: 0, slot: 1, generation: 1), digest, claim, "vault")
        guard case .session(_, let record)? = house.reactors.sent.last?.message else { return nil }
        return record
    }

    static func reason(_ record: SessionRecord?) -> Reason? {
        guard let record else { return .signInRequired }
        return record.residual.policies.isEmpty ? record.residual.refusal : nil
    }

    /// What somebody gets who shows this certificate; nil: in.
    func reason(
        _ house: Gatehouse, _ claim: MachineClaim, person: String = "ada@corp.example", device: String? = nil
    ) async throws -> Reason? {
        let (_, _, cookie) = try await house.signIn(person, at: "vault", device: device)
        return Self.reason(await pulled(house, cookie.tokenDigest, claim))
    }

    // MARK: Let in

    @Test("001.8 003.10 a certificate is the device of a signed-in person, and its verdicts decide")
    func device() async throws {
        let house = try await house()
        await say(.compliant, house)
        let (global, session, cookie) = try await house.signIn(at: "vault")
        let record = try #require(await pulled(house, cookie.tokenDigest, Self.adas))
        #expect(Self.reason(record) == nil)
        #expect(record.session == session.id && record.client == .person)
        #expect(record.device == "machine:\(Self.guid)" && global.deviceID == nil)
        #expect(record.certificate?.digest == Self.adas.tokenDigest)
        #expect(record.tokenDigest == CertifiedSession.digest(cookie.tokenDigest, Self.adas))
        // Once the certificate counts no more, what is open is decided without it.
        #expect(record.certificate?.without.refusal == .deviceCertificateRequired)
        let line = String(decoding: record.identityFields, as: UTF8.self)
        let jwt = try #require(line.split(separator: " ").last).trimmingCharacters(
            in: .whitespacesAndNewlines)
        let claims = try JWS(compact: String(jwt.prefix { $0 != "\r" })).payloadObject
        #expect(claims["sub"]?.string == "ada@corp.example")
        #expect(claims["device"]?["id"]?.string == "machine:\(Self.guid)")
        #expect(claims["device"]?["class"]?.string == "compliant")
        // Without it the session is refused, and told why.
        let without = try #require(await house.pulled(cookie.tokenDigest, "vault"))
        #expect(Self.reason(without) == .deviceCertificateRequired)
    }

    @Test("001.8 each of the four combinations of agent and certificate, for each choice of proofs")
    func combinations() async throws {
        for (proofs, expected) in [
            ("agent", [Reason?.some(.deviceRequired), nil, .some(.deviceRequired), nil]),
            (
                "certificate",
                [.some(.deviceCertificateRequired), .some(.deviceCertificateRequired), nil, nil]
            ),
            ("agent, certificate", [.some(.deviceRequired), nil, nil, nil]),
        ] {
            let house = try await house(proofs)
            try await house.enroll("laptop", pinned: ["intune-device-id": Self.guid])
            await say(.compliant, house)
            var found: [Reason?] = []
            for (device, claim) in [
                (String?.none, Self.claim([])), ("laptop", Self.claim([])), (nil, Self.adas),
                ("laptop", Self.adas),
            ] { found.append(try await reason(house, claim, device: device)) }
            #expect(found == expected, "\(proofs)")
        }
    }

    @Test("003.9 a certificate that gives the device's name is a medium match, and the id a strong one")
    func strength() async throws {
        let house = try await house(
            keys: ", match-common-name: true, device-domain: corp.example",
            application: "    device-owner: any\n")
        await say(.compliant, house, native: "a", keys: [DeviceKey(.name, "LT-7")])
        let (_, _, cookie) = try await house.signIn(at: "vault")
        for subject in ["lt-7", "LT-7.corp.example"] {
            let record = await pulled(
                house, cookie.tokenDigest, Self.claim([], serial: subject, subject: subject))
            #expect(Self.reason(record) == nil, "\(subject)")
        }
        // Another record of the name: which one is meant nobody knows.
        await say(.compliant, house, native: "b", keys: [DeviceKey(.name, "lt-7.corp.example")])
        #expect(
            try await reason(house, Self.claim([], serial: "c", subject: "lt-7")) == .deviceCertificateUnknown
        )
    }

    @Test
    func `verdicts of providers that know the device by other ids are found by the record behind its id`()
        async throws
    {
        let house = try await house(application: "    device-owner: any\n")
        await say(
            .compliant, house, keys: [DeviceKey(.intune, Self.guid), DeviceKey(.serial, "SN-1")])
        let found = try #require(
            await house.control.services.posture.certified(
                DeviceCertificate(
                    names: ["dns:\(Self.guid).id.corp.example"], commonName: nil, suffix: "id.corp.example",
                    domain: nil, platform: .linux, issuerDigest: "i", serial: "1", notAfterSeconds: .max),
                beside: nil))
        #expect(found.facts.certificate?.strength == .strong && found.relation == .unknown)
        #expect(found.facts.verdicts.map(\.matchKey) == ["intune-device-id"])
        // News that name the device by such an id reach it.
        let posture = house.control.services.posture
        let named = await posture.devices(named: [try #require(DeviceKey(.serial, "SN-1"))])
        #expect(named.map(\.text) == ["machine:\(Self.guid)"])
    }

    // MARK: Refused

    struct Row: Sendable, CustomTestStringConvertible {
        var testDescription: String
        var claim: MachineClaim
        var reason: Reason
        init(_ name: String, _ claim: MachineClaim, _ reason: Reason) {
            (testDescription, self.claim, self.reason) = (name, claim, reason)
        }
    }
    static let refused: [Row] = [
        Row("no device is named", claim(["email:ada@corp.example"]), .deviceCertificateRequired),
        Row(
            "two devices are named", claim(["dns:\(guid)", "dns:\(otherGUID)"]), .deviceCertificateRequired),
        Row(
            "the id stands below another suffix", claim(["dns:\(guid).evil.example"]),
            .deviceCertificateRequired),
        Row(
            "a label more than the suffix", claim(["dns:\(guid).x.id.corp.example"]),
            .deviceCertificateRequired),
        Row("a name where names do not count", claim([], subject: guid), .deviceCertificateRequired),
        Row(
            "a device that no provider knows", claim(["dns:\(otherGUID)", "email:ada@corp.example"]),
            .deviceCertificateUnknown),
        Row("nobody says whose device it is", claim(["dns:\(guid)"]), .deviceUnknown),
        Row(
            "another person's device", claim(["dns:\(guid)", "email:eve@corp.example"]), .deviceUnknown),
        Row(
            "an address that only folds to the person's",
            claim(["dns:\(guid)", "email:adA@corp.example.evil"]), .deviceUnknown),
        Row(
            "an address with two @ beside the person's own",
            claim(["dns:\(guid)", "email:ada@corp.example", "email:ada@corp.example@x.example"]),
            .deviceUnknown),
        Row(
            "an address with two @ that ends as the person's",
            claim(["dns:\(guid)", "email:eve@ada@corp.example"]), .deviceUnknown),
        Row(
            "exactly at its end", claim(["dns:\(guid)", "email:ada@corp.example"], until: Gatehouse.start),
            .deviceCertificateRequired),
        Row(
            "of a listener that asks nobody",
            {
                var claim = adas
                claim.listener = 7
                return claim
            }(), .deviceCertificateRequired),
    ]

    @Test("a certificate that does not name this person's known device lets nobody in", arguments: refused)
    func refusals(_ row: Row) async throws {
        let house = try await house()
        await say(.compliant, house)
        #expect(try await reason(house, row.claim) == row.reason)
    }

    @Test("the page about a certificate names it, and says what happened to this one and whom to ask")
    func pages() async throws {
        let house = try await house()
        await say(.compliant, house)
        let unknown = Self.claim(["dns:\(Self.otherGUID)"], serial: "0a", subject: "<b>lt-7</b>")
        for (claim, reason, happened) in [
            (nil, .deviceCertificateRequired, "your browser showed none"),
            (Self.claim([], serial: "0b"), .deviceCertificateRequired, "a certificate that names no device"),
            (unknown, .deviceCertificateUnknown, "no provider knows the device that it names"),
            (
                Self.claim(["dns:\(Self.guid)"], serial: "0c"), .deviceUnknown,
                "nobody says that the device is yours"
            ),
        ] as [(MachineClaim?, Reason, String)] {
            let (_, _, cookie) = try await house.signIn(at: "vault")
            if let claim {
                let record = await pulled(house, cookie.tokenDigest, claim)
                #expect(Self.reason(record) == reason)
            }
            var request = house.request(
                "/", host: "vault.corp.example", [Field("cookie", "__Host-gatepost=\(cookie.value)")],
                purpose: .refused(reason))
            request.certificate = claim
            let response = await house.control.answer(request)
            let text = String(decoding: response.body, as: UTF8.self)
            #expect(response.status == 403 && response.reason == reason)
            #expect(text.contains(happened) && !text.contains("gatepost-agent"), "\(text)")
            #expect(text.contains("Tell that to whoever manages your devices") == (claim != nil))
            #expect(text.contains("serial number is <code>\(claim?.serial ?? "")</code>") == (claim != nil))
            #expect(!text.contains("<b>lt-7"))
        }
        let names = "It is called <code>&lt;b&gt;lt-7&lt;/b&gt;</code>, <code>\(Self.otherGUID)</code>"
        let policy = try #require(house.control.services.policy("vault"))
        #expect(ShownCertificate(unknown, of: nil, at: policy)?.line.contains(names) == true)
        // Where only agents count, no certificate is spoken of.
        let agents = try await self.house("agent")
        let other = try #require(agents.control.services.policy("vault"))
        #expect(ShownCertificate(unknown, of: nil, at: other) == nil)
    }

    @Test func `who is not signed in is nobody, whatever the certificate says`() async throws {
        let house = try await house()
        await say(.compliant, house)
        #expect(await pulled(house, [UInt8](repeating: 7, count: 32), Self.adas) == nil)
        let (_, session, cookie) = try await house.signIn(at: "vault")
        _ = try await house.control.end([session.id])
        #expect(await pulled(house, cookie.tokenDigest, Self.adas) == nil)
        #expect(house.control.certified.count == 0)
    }

    @Test func `another device than the agent's is refused and told to somebody`() async throws {
        let house = try await house("agent, certificate")
        try await house.enroll("laptop", pinned: ["intune-device-id": Self.otherGUID])
        await say(.compliant, house)
        await say(.compliant, house, native: "o", keys: [DeviceKey(.intune, Self.otherGUID)])
        #expect(try await reason(house, Self.adas, device: "laptop") == .deviceCertificateConflict)
        let audit = try await house.store.audit(limit: 10)
        #expect(audit.contains { $0.kind == "device-certificate-conflict" })
        // The agent alone still does, on a connection without the certificate.
        let (_, _, cookie) = try await house.signIn(at: "vault", device: "laptop")
        let record = try #require(await house.pulled(cookie.tokenDigest, "vault"))
        #expect(Self.reason(record) == nil)
    }

    @Test func `somebody else's enrolled device does not count, nor does one that was revoked here`()
        async throws
    {
        let house = try await house()
        try await house.enroll("eves", owner: "eve@corp.example", pinned: ["intune-device-id": Self.guid])
        await say(.compliant, house)
        #expect(try await reason(house, Self.adas) == .deviceOwnerMismatch)
        #expect(try await reason(house, Self.adas, person: "eve@corp.example") == .deviceUnknown)
        let eves = Self.claim(["dns:\(Self.guid)"], serial: "02")
        #expect(try await reason(house, eves, person: "eve@corp.example") == nil)
        // Its provider still calls it compliant.
        #expect(try await house.control.services.posture.revoke(deviceID: "eves"))
        #expect(try await reason(house, eves, person: "eve@corp.example") != nil)
    }
}
