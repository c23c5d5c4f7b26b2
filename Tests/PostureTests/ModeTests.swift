import Access
import JSON
import Signatures
import Store
import Testing

@testable import Posture

@Suite(
    "Modes: by a certificate, by a management server's statement, and which of them an integration accepts")
struct ModeTests {
    @Test("a statement and the key that it names pass, whole or by thumbprint, ES256 and EdDSA alike")
    func acceptance() async throws {
        let setting = try ModeSetting()
        #expect(try await setting.refusal(ModeSetting.stated()) == nil)
        let ed = try OpenSSLKeys.ed25519.get()
        for (index, key) in [setting.key, ed].enumerated() {
            let fresh = try ModeSetting()
            let thumbprint = key.publicKey.thumbprint
            var answer = ModeSetting.stated { $0["cnf"] = ["jkt": .string(thumbprint)] }
            answer.header = { $0["jwk"] = .object(key.publicKey.jwk) }
            answer.payload = { $0["cnf"] = ["jkt": .string(thumbprint)] }
            answer.signer = key
            #expect(try await fresh.refusal(answer) == nil, "\(index)")
        }
    }

    @Test(
        "004.13 the server's last contact counts to the second, seven days ago and not one second more",
        arguments: [0, 1])
    func lastSeen(_ past: Int64) async throws {
        let setting = try ModeSetting()
        let seen = ModeSetting.now - 604_800 - past
        let reason = try await setting.refusal(ModeSetting.stated { $0["last_seen"] = .integer(seen) })?
            .reason
        #expect(reason == (past == 0 ? nil : .lastSeenStale))
    }

    @Test("statements pass at every bound: made 120 s ahead, a life of a day, a second before the end")
    func bounds() async throws {
        let now = ModeSetting.now
        let table: [(Int64, Int64, Int64)] = [
            (now + 120, now + 121, now), (now - 60, now - 60 + 86_400, now), (now - 60, now + 1, now),
            (now - 60, now + 60, now + 120),
        ]
        for (index, (issued, ends, seen)) in table.enumerated() {
            let setting = try ModeSetting()
            let answer = ModeSetting.stated {
                $0["iat"] = .integer(issued)
                $0["exp"] = .integer(ends)
                $0["last_seen"] = .integer(seen)
            }
            #expect(try await setting.refusal(answer) == nil, "row \(index)")
        }
    }

    @Test("004.11 managed is yes or no: yes passes, no is refused, anything else is no statement")
    func managed() async throws {
        let table: [(JSONValue?, Reason?)] = [
            (true, nil), (false, .deviceNotManaged), ("yes", .statementInvalid), (1, .statementInvalid),
            (.null, .statementInvalid), (nil, .statementInvalid),
        ]
        for (value, expected) in table {
            let setting = try ModeSetting()
            let reason = try await setting.refusal(ModeSetting.stated { $0["managed"] = value })?.reason
            #expect(reason == expected, "\(String(describing: value))")
        }
    }

    @Test("003.7 004.6 the minimum version holds in mode stmt as well") func version() async throws {
        for (version, expected) in [("7.2", nil), ("7.1.9", Reason.agentOutdated)] {
            let setting = try ModeSetting()
            var answer = ModeSetting.stated()
            answer.payload = { $0["swversion"] = .string(version) }
            #expect(try await setting.refusal(answer)?.reason == expected)
        }
    }

    @Test("004.7 several certificates for statements: each counts between its dates and not a second beyond")
    func rotation() async throws {
        let now = ModeSetting.now
        let keys = [SigningKey.generateP256(), try OpenSSLKeys.rsa.get(), try OpenSSLKeys.ed25519.get()]
        // The old one ends at now + 1000, the next begins at now + 500, the third is not yet there.
        let dates = [(now - 1_000, now + 1_000), (now + 500, now + 10_000), (now + 9_000, now + 20_000)]
        let certificates = try zip(keys, dates).map { key, dates in
            try Certificate(
                der: try CertificateBench.authority(
                    for: key, named: "Management", by: .init(key: key, der: nil), from: dates.0,
                    until: dates.1))
        }
        let table: [(Int64, Int, Reason?)] = [
            (0, 0, nil), (0, 1, .certificateExpired), (499, 1, .certificateExpired), (500, 1, nil),
            (999, 0, nil), (1_000, 0, .certificateExpired), (1_000, 1, nil), (8_999, 2, .certificateExpired),
            (9_000, 2, nil), (10_000, 1, .certificateExpired),
        ]
        for (offset, signer, expected) in table {
            let setting = try ModeSetting(certificates: certificates)
            setting.clock.now = now + offset
            var answer = ModeSetting.stated()
            answer.statementSigner = keys[signer]
            let reason = try await setting.refusal(answer)?.reason
            #expect(reason == expected, "\(offset) s, certificate \(signer)")
        }
    }

    @Test("004.7 several enrolment authorities: devices of both pass, and none of a third") func authorities()
        async throws
    {
        let key = SigningKey.generateP256()
        let now = ModeSetting.now
        let next = try CertificateBench.authority(
            for: key, named: "Devices 2", by: .init(key: key, der: nil), from: now - 60, until: now + 86_400)
        for accepts in [true, false] {
            let setting = try ModeSetting(authorities: accepts ? [try Certificate(der: next).pem] : [])
            try await setting.enroll()
            #expect(try await setting.refusal(ModeSetting.Answer()) == nil)
            var answer = ModeSetting.Answer(counter: 2)
            answer.chain = [
                try CertificateBench.certificate(
                    for: setting.key, by: .init(key: key, der: next), from: now - 60, until: now + 60)
            ]
            #expect(try await setting.refusal(answer)?.reason == (accepts ? nil : .certificateUntrusted))
        }
    }

    @Test("certificates for statements: RSA of 2048 bits, P-256 and Ed25519; nothing weaker, and no other")
    func algorithms() throws {
        func certificate(_ key: SigningKey) throws -> Certificate {
            try Certificate(
                der: try CertificateBench.authority(
                    for: key, named: "M", by: .init(key: key, der: nil), from: 0, until: 100))
        }
        for key in [SigningKey.generateP256(), try OpenSSLKeys.rsa.get(), try OpenSSLKeys.ed25519.get()] {
            let trust = try StatementTrust(certificates: [try certificate(key)], issuer: "x")
            #expect(trust.certificates.count == 1)
        }
        let p384 = try certificate(try OpenSSLKeys.p384.get())
        #expect(throws: SignatureError.self) { try StatementTrust(certificates: [p384], issuer: "x") }
        #expect(throws: SignatureError.self) { try StatementTrust(certificates: [], issuer: "x") }
        let nine = try (0..<9).map { _ in try certificate(SigningKey.generateP256()) }
        #expect(throws: SignatureError.self) { try StatementTrust(certificates: nine, issuer: "x") }
        let weak = try OpenSSLKeys.weakRSA.get()
        #expect(throws: SignatureError.self) { try SigningKey(pem: weak) }
    }

    @Test("a mode that is not accepted is a downgrade: refused, told, and never named in a challenge")
    func downgrade() async throws {
        let certified = try ModeSetting(modes: [.certificate])
        try await certified.enroll()
        let refusal = try await certified.refusal(ModeSetting.stated())
        #expect(refusal?.reason == .statementInvalid && refusal?.isAlert == true)
        let stated = try ModeSetting(modes: [.statement])
        try await stated.enroll()
        let other = try await stated.refusal(ModeSetting.Answer())
        #expect(other?.reason == .certificateUntrusted && other?.isAlert == true)
        for (setting, profiles) in [(certified, ["x5c"]), (stated, ["stmt"])] {
            let claims = try JWS(compact: try await setting.challenge().challenge).payloadObject
            #expect(claims["profiles"]?.array?.compactMap(\.string) == profiles)
        }
    }

    @Test("of fifty parallel answers of a device that is seen for the first time exactly one counts")
    func race() async throws {
        let setting = try ModeSetting()
        let answer = ModeSetting.stated()
        let (transaction, challenge) = try await setting.challenge()
        let text = try setting.assertion(answer, for: challenge)
        let statement = setting.statement(answer)
        let outcomes = await withTaskGroup(of: Reason?.self) { group in
            for _ in 0..<50 {
                group.addTask { await setting.judge(transaction, text, statement, answer)?.reason }
            }
            return await group.reduce(into: [Reason?]()) { $0.append($1) }
        }
        #expect(outcomes.filter { $0 == nil }.count == 1)
        #expect(outcomes.filter { $0 == .nonceUsed }.count == 49)
        #expect(await setting.service.devices().map(\.id) == ["statement:agents:d1"])
    }

    @Test("fifty challenges answered at once by one key: every counter value counts once") func counters()
        async throws
    {
        let setting = try ModeSetting()
        #expect(try await setting.refusal(ModeSetting.stated()) == nil)
        var second = ModeSetting.stated()
        #expect(try await setting.refusal(second)?.reason == .statementInvalid)
        second.counter = 2
        #expect(try await setting.refusal(second) == nil)
    }

    @Test("a refused answer of a device that was never seen leaves no device behind") func noTrace()
        async throws
    {
        let setting = try ModeSetting()
        for change: @Sendable (inout JSONObject) -> Void in [
            { $0["managed"] = false }, { $0["owner"] = nil }, { $0["last_seen"] = 0 },
        ] {
            #expect(try await setting.refusal(ModeSetting.stated(change)) != nil)
        }
        #expect(await setting.service.devices().isEmpty)
    }

    @Test("004.10 the shared key counts only where it is called unsafe, and proves no key of the device")
    func shared() async throws {
        for (allows, expected) in [(true, nil), (false, Reason.certificateUntrusted)] {
            let setting = try ModeSetting(shared: allows)
            let thumbprint = setting.management.publicKey.thumbprint
            var answer = ModeSetting.Answer()
            answer.header = { $0["x5c"] = nil }
            answer.payload = {
                $0["managed"] = true
                $0["last_seen"] = .integer(ModeSetting.now)
                $0["owner"] = ["email": "ADA@corp.example"]
                $0["cnf"] = ["jkt": .string(thumbprint)]
            }
            answer.signer = setting.management
            #expect(try await setting.refusal(answer)?.reason == expected)
            let stored = await setting.service.devices()
            #expect(stored.map(\.keyThumbprint) == (allows ? ["shared:statement:agents:d1"] : []))
            #expect(await setting.service.sharedKeyIntegrations() == (allows ? ["agents"] : []))
            // A key of the device's own is no shared one.
            answer.signer = setting.key
            answer.counter = 2
            #expect(try await setting.refusal(answer)?.reason == .certificateUntrusted)
        }
    }
}
