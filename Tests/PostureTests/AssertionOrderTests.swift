import Access
import JSON
import Signatures
import Testing

@testable import Posture

/// The lines of handshake.md M5 in their order. Each case breaks one line; the order test breaks two.
enum Line: Int, CaseIterable, Sendable {
    case nonceUnknown, session, type, algorithm, untrusted, revoked, signature, audience, skew, life
    case challengeHash, origin, unknownDevice, counter, owner, notManaged, lastSeen, version

    var expected: Reason {
        switch self {
        case .nonceUnknown: .nonceUnknown
        case .session: .sessionMismatch
        case .type, .algorithm, .signature: .signatureInvalid
        case .untrusted: .certificateUntrusted
        case .revoked: .certificateRevoked
        case .audience: .audienceMismatch
        case .skew: .clockSkew
        case .life, .challengeHash, .counter: .statementInvalid
        case .version: .agentOutdated
        case .origin: .originMismatch
        case .unknownDevice: .deviceUnknown
        case .owner: .deviceOwnerMismatch
        case .notManaged: .deviceNotManaged
        case .lastSeen: .lastSeenStale
        }
    }
}

@Suite("handshake.md M5: an assertion is refused by the first line that does not hold")
struct AssertionOrderTests {
    /// Breaks every given line of one otherwise good assertion and returns the refusal.
    static func outcome(_ broken: Set<Line>) async throws -> Reason? {
        let setting = try Setting(minimumVersion: "7.2")
        var agent = try await setting.enroll()
        let now = setting.clock.now
        if broken.contains(.untrusted) {
            let other = try EnrollmentAuthority.generateSelfSigned(commonName: "Others", nowSeconds: now)
            let authority = try EnrollmentAuthority(
                certificatePEM: other.certificatePEM, keyPEM: other.keyPEM)
            agent.chain = [try Self.certificate(agent, agent.deviceID, authority, now)]
        } else if broken.contains(.unknownDevice) {
            agent.deviceID = "00000000-1111-2222-3333-444444444444"
            agent.chain = [try Self.certificate(agent, agent.deviceID, setting.authority, now)]
        }
        if broken.contains(.revoked) { _ = try await setting.service.revoke(deviceID: agent.deviceID) }
        let (transaction, challenge) = try await setting.challenge()
        let assertion = try agent.assertion(
            for: challenge, now: now, counter: broken.contains(.counter) ? 0 : 1,
            posture: broken.contains(.notManaged) ? JSONObject([("managed", false)]) : JSONObject(),
            signer: broken.contains(.signature) ? SigningKey.generateP256() : nil,
            header: { header in
                if broken.contains(.type) { header["typ"] = "jwt" }
                if broken.contains(.algorithm) { header["jwk"] = .object(agent.key.publicKey.jwk) }
            },
            payload: { payload in
                if broken.contains(.nonceUnknown) {
                    payload["eat_nonce"] = .string(Base64URL.encode(Random.bytes(32)))
                }
                if broken.contains(.audience) { payload["aud"] = "https://other.example" }
                if broken.contains(.skew) {
                    payload["iat"] = .integer(now + 121)
                    payload["exp"] = .integer(now + 150)
                }
                if broken.contains(.life) { payload["exp"] = .integer((payload["iat"]?.integer ?? 0) + 61) }
                if broken.contains(.challengeHash) {
                    payload["chh"] = .string(Base64URL.encode(Random.bytes(32)))
                }
                if broken.contains(.origin) { payload["origin"] = "https://auth.corp.example.evil" }
                if broken.contains(.lastSeen) { payload["last_seen"] = .integer(now - 604_801) }
                if broken.contains(.version) { payload["swversion"] = "7.1.9" }
            })
        return await setting.refusal(
            transaction, assertion, session: broken.contains(.session) ? "session-b" : "session-a",
            subject: broken.contains(.owner) ? "bob" : "ada")
    }

    static func certificate(
        _ agent: FakeAgent, _ id: String, _ authority: EnrollmentAuthority, _ now: Int64
    ) throws -> [UInt8] {
        let csr = try CertificateRequest.make(key: agent.key, commonName: "x")
        return try authority.issue(csrDER: csr, deviceID: id, validSeconds: 86_400, nowSeconds: now).der
    }

    @Test("an assertion that breaks nothing passes") func acceptance() async throws {
        #expect(try await Self.outcome([]) == nil)
    }

    @Test("004.10 each broken line gets its own refusal", arguments: Line.allCases)
    func refusal(_ line: Line) async throws {
        #expect(try await Self.outcome([line]) == line.expected)
    }

    /// Lines whose breaking the fixture cannot combine: one replaces the chain of the other.
    static func excludes(_ first: Line, _ second: Line) -> Bool {
        (first == .untrusted && second == .unknownDevice) || (first == .revoked && second == .unknownDevice)
    }

    @Test("wrong in two ways gets the earlier line's refusal") func order() async throws {
        for first in Line.allCases {
            for second in Line.allCases
            where second.rawValue > first.rawValue && !Self.excludes(first, second) {
                let reason = try await Self.outcome([first, second])
                #expect(reason == first.expected, "\(first) and \(second)")
            }
        }
    }

    @Test("the clock may be 120 s off either way and not one more", arguments: [-121, -120, 0, 120, 121])
    func clockOffset(_ offset: Int64) async throws {
        let setting = try Setting()
        let agent = try await setting.enroll()
        let (transaction, challenge) = try await setting.challenge()
        let assertion = try agent.assertion(for: challenge, now: setting.clock.now + offset, counter: 1)
        #expect(await setting.refusal(transaction, assertion) == (abs(offset) > 120 ? .clockSkew : nil))
    }

    @Test("004.13 last seen exactly seven days ago passes, one second more does not", arguments: [0, 1])
    func lastSeen(_ past: Int64) async throws {
        let setting = try Setting(certificateSeconds: 30 * 86_400)
        let agent = try await setting.enroll()
        let leaf = try Certificate(der: agent.chain[0])
        setting.clock.now = leaf.notBeforeSeconds + 604_800 + past
        let (transaction, challenge) = try await setting.challenge()
        let assertion = try agent.assertion(for: challenge, now: setting.clock.now, counter: 1) {
            _ in
        } payload: {
            $0["last_seen"] = .integer(setting.clock.now)
        }
        #expect(await setting.refusal(transaction, assertion) == (past == 0 ? nil : .lastSeenStale))
    }

    @Test("004.6 an agent of the minimum version passes, older and pre-release ones do not")
    func minimumVersion() async throws {
        let table: [(String, Bool)] = [
            ("7.2", true), ("7.2.0", true), ("7.10", true), ("8", true), ("7.1.99", false),
            ("7.2-beta", false),
            ("nonsense", false),
        ]
        for (version, passes) in table {
            let setting = try Setting(minimumVersion: "7.2")
            let agent = try await setting.enroll()
            let (transaction, challenge) = try await setting.challenge()
            let assertion = try agent.assertion(for: challenge, now: setting.clock.now, counter: 1) {
                _ in
            } payload: {
                $0["swversion"] = .string(version)
            }
            let reason = await setting.refusal(transaction, assertion)
            #expect(reason == (passes ? nil : .agentOutdated), "\(version)")
        }
    }
}
