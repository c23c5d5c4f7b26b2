import Access
import Border
import Foundation
import JSON
import Signatures
import Store
import Testing

@testable import Control
@testable import Posture

@Suite("Records for clients without a person", .timeLimit(.minutes(10)))
struct MachineTests {
    static let config = GuardHouse.config.replacingOccurrences(
        of: "key: certs/key.pem } ] }",
        with: """
            key: certs/key.pem } ],
                    client-certificates: { authorities: certs/chain.pem, platform: linux, device-suffix: id.corp.example } }
            """
    ).replacingOccurrences(
        of: "applications:\n",
        with: """
            device-defaults: { no-match: partial }
            applications:
              press:
                host: press.corp.example
                upstreams: [ "http://127.0.0.1:9" ]
                identity-providers: [ corp ]
                policies:
                  - { name: backup, action: service, include: [ { service: [ backup ] } ] }
                  - { name: healthy, action: service, include: [ { everyone: true } ], require: [ { device: compliant } ] }
                  - { name: quarantine, action: service, include: [ { everyone: true } ],
                      require: [ { device: partial } ], restrict: { methods: [ GET ] } }

            """)

    static let guid = "5f7e6a1c-0000-4000-8000-00000000abcd"

    /// - Parameter keys: of `client-certificates`, beside those that are there.
    func house(_ keys: String = "") async throws -> Gatehouse {
        let suffix = "device-suffix: id.corp.example"
        let house = try Gatehouse(
            Self.config.replacingOccurrences(of: suffix, with: suffix + keys), fetcher: Outside())
        try await house.control.services.posture.load()
        house.control.machines.take(try await house.store.serviceTokens())
        return house
    }

    func ask(_ house: Gatehouse, _ members: [(String, JSONValue)]) async -> JSONValue {
        await house.control.execute(.object(JSONObject(members)))
    }

    func create(_ house: Gatehouse, _ name: String = "backup") async throws -> String {
        let answer = await ask(
            house, [("command", "service-token-create"), ("name", .string(name)), ("expires", 600)])
        return try #require(answer["token"]?.string, "\(answer)")
    }

    func wire(_ token: String) -> [UInt8] {
        MachineRegistry.wire(MachineRegistry.digest(of: token), host: "press.corp.example")
    }

    /// What lets it in; nil: nothing does.
    static func granted(_ record: SessionRecord) -> ResidualPolicy? {
        record.residual.policies.first { $0.action == .service }
    }

    func token(
        _ house: Gatehouse, _ digest: [UInt8], _ application: String = "press"
    ) async -> SessionRecord? {
        await house.control.pullService(Ticket(reactor: 0, slot: 1, generation: 1), digest, application)
        guard case .session(_, let record)? = house.reactors.sent.last?.message else { return nil }
        return record
    }

    func pulled(_ house: Gatehouse, _ claim: MachineClaim) async -> SessionRecord? {
        await house.control.pull(Ticket(reactor: 0, slot: 1, generation: 1), claim, "press")
        guard case .session(_, let record)? = house.reactors.sent.last?.message else { return nil }
        return record
    }

    static func claim(
        _ names: [String], serial: String = "01", until: Int64 = .max, subject: String? = "backup"
    ) -> MachineClaim {
        MachineClaim(
            tokenDigest: Digest.sha256(Array(serial.utf8)), listener: 0, subject: subject, names: names,
            issuerDigest: String(repeating: "a", count: 64), serial: serial, notAfterSeconds: until)
    }

    // MARK: Service tokens

    @Test func `a token is shown once, rests as a digest, and is a service to policy and upstream`()
        async throws
    {
        let house = try await house()
        let token = try await create(house)
        #expect(token.utf8.count == 64 && token.hasPrefix("gps_"))
        let stored = try #require(try await house.store.serviceTokens().first)
        #expect(stored.digest == MachineRegistry.digest(of: token))
        #expect(token.hasPrefix(stored.id + "."))
        let record = try #require(await self.token(house, wire(token), "press"))
        #expect(record.client == .serviceToken)
        #expect(record.session == "\(stored.id)@press")
        #expect(Self.granted(record)?.name == "backup")
        #expect(record.expiresAtSeconds == house.now + 600)
        let line = String(decoding: record.identityFields, as: UTF8.self)
        let jwt = try #require(line.split(separator: " ").last).trimmingCharacters(in: .newlines)
        let claims = try JWS(compact: jwt).payloadObject
        #expect(claims["sub"]?.string == "backup")
        #expect(claims["idp"]?.string == "gatepost:service")
        #expect(claims["email"] == nil)
        let list = await ask(house, [("command", "service-token-list")])
        #expect(!list.serializedText().contains(token))
        #expect(list["tokens"]?.array?.first?["last_used_at"]?.integer == house.now)
        #expect(list["machines"]?.array?.count == 1)
    }

    @Test
    func `refused: another token, another host, an application without machines, the second of its end`()
        async throws
    {
        let house = try await house()
        let token = try await create(house)
        #expect(await self.token(house, wire(token + "x"), "press") == nil)
        #expect(await self.token(house, MachineRegistry.digest(of: token)) == nil)
        #expect(await self.token(house, wire(token), "vault") == nil)
        let other = MachineRegistry.wire(MachineRegistry.digest(of: token), host: "vault.corp.example")
        #expect(await self.token(house, other) == nil)
        #expect(await self.token(house, other, "vault") == nil)
        house.advance(599)
        #expect(await self.token(house, wire(token), "press") != nil)
        house.advance(1)
        #expect(await self.token(house, wire(token), "press") == nil)
    }

    @Test func `a revoked token ends everywhere at once, and is not brought back by a renewal`() async throws
    {
        let house = try await house()
        let token = try await create(house)
        let record = try #require(await self.token(house, wire(token), "press"))
        _ = await ask(house, [("command", "service-token-revoke"), ("name", "backup")])
        #expect(house.reactors.revocations.map(\.effect).contains(.endSession(record.session)))
        let told = house.reactors.revocations.count
        await house.control.renew(wire(token), "press")
        for revocation in house.reactors.revocations.dropFirst(told) {
            if case .replace = revocation.effect { Issue.record("it came back") }
        }
        #expect(await self.token(house, wire(token), "press") == nil)
        #expect(try await house.store.serviceTokens().isEmpty)
    }

    @Test func `after a rotation both count for the overlap, then the new one alone`() async throws {
        let house = try await house()
        let old = try await create(house)
        _ = await self.token(house, wire(old), "press")
        let answer = await ask(
            house,
            [("command", "service-token-rotate"), ("name", "backup"), ("expires", 600), ("overlap", 60)])
        let new = try #require(answer["token"]?.string)
        guard case .replace(let record)? = house.reactors.revocations.last?.effect else {
            Issue.record("reactors were not told of the earlier end")
            return
        }
        #expect(record.expiresAtSeconds == house.now + 60 && record.streamsUntilSeconds <= house.now + 60)
        house.advance(59)
        #expect(await self.token(house, wire(old), "press") != nil)
        house.advance(1)
        #expect(await self.token(house, wire(old), "press") == nil)
        #expect(await self.token(house, wire(new), "press") != nil)
    }

    @Test(
        "names and lifetimes that cannot be meant are refused",
        arguments: [("", 600), ("Certificate:x", 600), ("a b", 600), ("ok", 59), ("ok", 315_360_001)])
    func mistakes(_ name: String, _ seconds: Int64) async throws {
        let house = try await house()
        let answer = await ask(
            house,
            [("command", "service-token-create"), ("name", .string(name)), ("expires", .integer(seconds))])
        #expect(answer["error"] != nil)
        #expect(try await house.store.serviceTokens().isEmpty)
    }

    @Test func `tokens and their last use survive a restart`() async throws {
        let house = try await house()
        let token = try await create(house)
        _ = await self.token(house, wire(token), "press")
        await house.control.keepUp()
        let stored = try #require(try await house.store.serviceTokens().first)
        #expect(stored.lastUsedAtSeconds == house.now)
        let again = MachineRegistry()
        #expect(again.tokens == nil)
        again.take([stored])
        #expect(again.token(wire(token), host: "press.corp.example", nowSeconds: house.now)?.name == "backup")
    }

    // MARK: Certificates

    /// What the provider says of the device, told as a synchronisation tells it.
    func say(
        _ state: Verdict.State, _ house: Gatehouse, native: String = "m",
        keys: [DeviceKey?] = [DeviceKey(.intune, Self.guid)]
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

    @Test
    func
        `003.16 the same verdict rules judge a machine: restricted when not compliant, whole again when it is`()
        async throws
    {
        let house = try await house()
        await say(.compliant, house)
        let claim = Self.claim(["dns:\(Self.guid)"])
        let first = try #require(await pulled(house, claim))
        #expect(first.client == .certificate && first.device == "machine:\(Self.guid)")
        #expect(Self.granted(first)?.name == "healthy")
        for (state, name) in [(Verdict.State.noncompliant, "quarantine"), (.compliant, "healthy")] {
            house.advance(10)
            await say(state, house)
            guard case .replace(let record)? = house.reactors.revocations.last?.effect else {
                Issue.record("reactors were not told")
                return
            }
            #expect(record.tokenDigest == claim.tokenDigest)
            #expect(Self.granted(record)?.name == name)
            #expect((Self.granted(record)?.restriction != nil) == (name == "quarantine"))
        }
    }

    @Test func `003.10 the id in a DNS name finds the device: alone, or as first label under the suffix`()
        async throws
    {
        let house = try await house()
        await say(.compliant, house)
        let other = "5f7e6a1c-0000-4000-8000-00000000abce"
        let cases: [([String], String?)] = [
            (["dns:\(Self.guid)"], "healthy"), (["dns:\(Self.guid.uppercased())"], "healthy"),
            (["dns:\(Self.guid).id.corp.example"], "healthy"), (["dns:x", "dns:\(Self.guid)"], "healthy"),
            ([], nil), (["uri:\(Self.guid)"], nil), (["dns:\(Self.guid).other.example"], nil),
            (["dns:a.\(Self.guid).id.corp.example"], nil), (["dns:\(Self.guid)", "dns:\(other)"], nil),
        ]
        for (index, (names, policy)) in cases.enumerated() {
            let record = try #require(await pulled(house, Self.claim(names, serial: "\(index)")))
            #expect(Self.granted(record)?.name == policy, "\(names)")
        }
    }

    /// The device's name is looked at, and may stand before or behind a domain.
    private func namedHouse() async throws -> Gatehouse {
        try await house(", match-common-name: true, device-domain: corp.example")
    }

    @Test(
        "003.9 001.8 the name in CN finds the device: alone, or with the domain on either side; medium strength"
    )
    func commonName() async throws {
        let house = try await namedHouse()
        await say(.compliant, house, native: "a", keys: [DeviceKey(.name, "LT-0042")])
        await say(.compliant, house, native: "b", keys: [DeviceKey(.name, "srv-7.corp.example")])
        let rows: [(String?, String?)] = [
            ("LT-0042", "healthy"), ("lt-0042.corp.example", "healthy"), ("lt-0042.", "healthy"),
            ("SRV-7", "healthy"), ("srv-7.corp.example", "healthy"), ("lt-0043", nil), ("lt-00421", nil),
            ("lt-0042.evil.example", nil), ("lt 0042", nil), ("*", nil), ("", nil), (nil, nil),
        ]
        for (index, (subject, policy)) in rows.enumerated() {
            let record = try #require(
                await pulled(house, Self.claim([], serial: "\(index)", subject: subject)))
            #expect(
                Self.granted(record)?.name == policy ?? (record.device == nil ? nil : "quarantine"),
                "\(index)")
        }
        let facts = await house.control.services.posture.machineFacts(
            id: "machine:name:lt-0042,lt-0042.corp.example")
        #expect(facts?.verdicts.map(\.matchKey) == ["certificate-name"])
        #expect(facts?.verdicts.map(\.matchStrength) == [.medium])
        // Without the key the name is nobody's.
        let plain = try await self.house()
        await say(.compliant, plain, native: "a", keys: [DeviceKey(.name, "LT-0042")])
        #expect(await pulled(plain, Self.claim([], subject: "LT-0042"))?.device == nil)
    }

    @Test("003.9 names that several current devices have match none; past ones do not count")
    func ambiguous() async throws {
        let house = try await namedHouse()
        let name = DeviceKey(.name, "lt-1")
        await say(.notFound, house, native: "old", keys: [name])
        await say(.compliant, house, native: "new", keys: [name])
        let claim = Self.claim([], subject: "lt-1")
        #expect(Self.granted(try #require(await pulled(house, claim)))?.name == "healthy")
        house.advance(10)
        await say(.compliant, house, native: "newer", keys: [name])
        guard case .replace(let record)? = house.reactors.revocations.last?.effect else {
            Issue.record("reactors were not told")
            return
        }
        #expect(record.tokenDigest == claim.tokenDigest && Self.granted(record)?.name != "healthy")
    }

    @Test(
        "003.9 003.10 where id and name are of different devices neither counts; a name that nobody has is none"
    )
    func contradiction() async throws {
        let house = try await namedHouse()
        await say(
            .compliant, house, native: "a", keys: [DeviceKey(.intune, Self.guid), DeviceKey(.name, "lt-1")])
        await say(.compliant, house, native: "b", keys: [DeviceKey(.name, "lt-2")])
        for (subject, isHealthy) in [("lt-1", true), ("nobody", true), ("lt-2", false)] {
            let claim = Self.claim(["dns:\(Self.guid)"], serial: subject, subject: subject)
            let record = try #require(await pulled(house, claim))
            #expect((Self.granted(record)?.name == "healthy") == isHealthy, "\(subject)")
        }
        // The strong one of the two names it.
        let facts = await house.control.services.posture.machineFacts(
            id: "machine:\(Self.guid):lt-1,lt-1.corp.example")
        #expect(facts?.verdicts.map(\.matchStrength) == [.strong])
    }

    @Test("001.9 first the device is identified, then its status is looked up, then it is decided")
    func order() async throws {
        let house = try await namedHouse()
        await say(.compliant, house, native: "a", keys: [DeviceKey(.name, "lt-1")])
        // Who is no device has no status, whatever the providers know.
        let nobody = try #require(await pulled(house, Self.claim([], serial: "9", subject: nil)))
        #expect(nobody.device == nil && Self.granted(nobody) == nil)
        #expect(!nobody.residual.dependsOn.contains { $0.text.hasPrefix("verdict:") })
        // A device without a status is not let in as one that has a good one.
        let unknown = try #require(await pulled(house, Self.claim([], serial: "8", subject: "lt-8")))
        #expect(unknown.device != nil && Self.granted(unknown)?.name != "healthy")
        let known = try #require(await pulled(house, Self.claim([], subject: "lt-1")))
        #expect(Self.granted(known)?.name == "healthy")
        #expect(known.residual.dependsOn.contains { $0.text.hasPrefix("device:machine:name:lt-1") })
        #expect(known.residual.dependsOn.contains(.verdict(integration: "health", nativeID: "a")))
    }

    @Test func `a certificate called like a token is not that token`() async throws {
        let house = try await house()
        let record = try #require(await pulled(house, Self.claim([])))
        #expect(Self.granted(record) == nil)
        #expect(record.person == "service certificate:backup")
        #expect(await pulled(house, Self.claim([], serial: "9", until: house.now)) == nil)
    }

    @Test func `a reload decides machines anew, and what they lose is told`()
        async throws
    {
        let house = try await house()
        let token = try await create(house)
        let record = try #require(await self.token(house, wire(token), "press"))
        try house.rewrite { $0.replacingOccurrences(of: "service: [ backup ]", with: "service: [ restore ]") }
        try await house.control.reload()
        guard case .replace(let changed)? = house.reactors.revocations.last?.effect else {
            Issue.record("reactors were not told")
            return
        }
        #expect(changed.session == record.session && Self.granted(changed) == nil)
    }

    // MARK: On record

    @Test func `decisions about services are on record without a person, and are decided again bit for bit`()
        throws
    {
        let fixture = DecisionFixture()
        let recorder = DecisionRecorder(log: try fixture.log())
        var policy = DecisionFixture.policy
        policy.applications[0].policies.append(
            ApplicationPolicy(
                name: "machines", action: .service, include: [.service(ServiceCondition(names: ["backup"]))],
                require: [.device(DeviceCondition(classes: [.compliant]))]))
        policy = DecisionFixture.named(policy)
        let application = try #require(policy.application(named: "wiki"))
        for (name, device) in [("backup", fixture.device()), ("other", fixture.device([])), ("backup", nil)] {
            fixture.advance(10)
            let service = ServiceFacts(
                id: "gps_\(name)", name: name, expiresAtSeconds: DecisionFixture.start + 9_999)
            let residual = policy.residual(
                of: nil, device, service: service, for: application, atSeconds: fixture.now)
            _ = recorder.record(
                MadeDecision(
                    atSeconds: fixture.now, application: "wiki", session: nil, service: service,
                    device: device,
                    policy: policy, residual: residual, open: nil, deviceResult: nil))
        }
        _ = recorder.record(try fixture.made("vault", device: fixture.device()))
        recorder.finish()
        let lines = fixture.lines("decision")
        #expect(lines.compactMap { $0["service"]?.string } == ["backup", "other", "backup"])
        #expect(lines.prefix(3).allSatisfy { $0["person"] == nil && $0["person_facts"] == nil })
        let replay = try fixture.replay()
        #expect(replay.isEqual && replay.counts.decisions == 4, "\(replay.problems)")
        // A line that names both a service and a person is no line of ours.
        let both = fixture.text(fixture.files[0]).replacingOccurrences(
            of: "\"service\":\"other\"", with: "\"service\":\"other\",\"person\":\"x\"")
        let path = "\(fixture.folder)/changed.jsonl"
        try both.write(toFile: path, atomically: true, encoding: .utf8)
        var changed = Replay(candidate: nil)
        try changed.add(path)
        #expect(changed.counts.malformed == 1 && !changed.isEqual)
    }
}
