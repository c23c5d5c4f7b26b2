import Access
import Border
import Foundation
import GRDB
import Identity
import JSON
import Posture
import Signatures
import Store
import Testing

@testable import Control

/// One way of failing at the gateway, and the word for it.
struct RefusedCheck: Sendable, CustomTestStringConvertible {
    /// Everybody who takes part.
    struct Scene: Sendable {
        var house: Gatehouse
        var agent: TestAgent
        var browser: CheckingBrowser

        func answer(
            chain: [JSONValue]? = nil, _ change: (inout JSONObject) -> Void = { _ in }
        ) async throws -> String {
            try agent.assertion(
                for: try await browser.challenge(), transport: "fetch", chain: chain, change: change)
        }

        func hand(_ assertion: String) async -> ControlResponse {
            await browser.post(
                "/.gatepost/posture/assert",
                ["tx": .string(browser.transaction), "assertion": .string(assertion)])
        }

        /// A certificate for the agent's key that the house's own authority might have made, or another.
        func chain(
            of id: String? = nil, by other: (certificatePEM: [UInt8], keyPEM: [UInt8])? = nil,
            madeSecondsAgo age: Int64 = 0
        ) throws -> [JSONValue] {
            func file(_ name: String) throws -> [UInt8] {
                Array(try Data(contentsOf: house.folder.appending(path: name)))
            }
            let authority = try EnrollmentAuthority(
                certificatePEM: other?.certificatePEM ?? file("certs/chain.pem"),
                keyPEM: other?.keyPEM ?? file("certs/key.pem"))
            let csr = try CertificateRequest.make(key: agent.key, commonName: "laptop")
            let made = try authority.issue(
                csrDER: csr, deviceID: id ?? agent.deviceID, validSeconds: 86_400,
                nowSeconds: house.now - age)
            return [.string(Base64.encode(made.der))]
        }
    }

    var reason: Reason
    var config = Gatehouse.config
    var owner = "ada@corp.example"
    var isAlert = false
    var status = 403
    var fail: @Sendable (Scene) async throws -> ControlResponse?

    var testDescription: String { reason.rawValue }

    /// An answer of which one member is not as it should be.
    private static func claim(
        _ reason: Reason, isAlert: Bool = false,
        _ change: @escaping @Sendable (inout JSONObject, Int64) -> Void
    ) -> RefusedCheck {
        RefusedCheck(reason: reason, isAlert: isAlert) { scene in
            let now = scene.house.now
            return await scene.hand(try await scene.answer { change(&$0, now) })
        }
    }

    static let all: [RefusedCheck] = claims + courses + certificates

    private static let claims = [
        claim(.audienceMismatch) { claims, _ in claims["aud"] = "https://other.example" },
        claim(.originMismatch, isAlert: true) { claims, _ in claims["origin"] = "https://evil.example" },
        claim(.clockSkew) { claims, now in claims["iat"] = .integer(now - 121) },
        claim(.statementInvalid) { claims, _ in claims["chh"] = "x" },
        claim(.signatureInvalid) { claims, _ in
            claims["cnf"] = ["jkt": .string(SigningKey.generateP256().publicKey.thumbprint)]
        },
        claim(.nonceUnknown) { claims, _ in
            claims["eat_nonce"] = .string(Base64URL.encode(Random.bytes(32)))
        },
        claim(.deviceNotManaged) { claims, _ in claims["posture"] = ["managed": false] },
        claim(.lastSeenStale) { claims, now in claims["last_seen"] = .integer(now - 604_801) },
        RefusedCheck(
            reason: .agentOutdated,
            config: Gatehouse.config.replacing(
                "provider: endpoint-agent", with: "provider: endpoint-agent\n    minimum-version: \"9\"")
        ) { scene in await scene.hand(try await scene.answer()) },
    ]

    private static let courses = [
        RefusedCheck(reason: .answerTooLarge) { scene in
            await scene.hand(String(repeating: "x", count: 17_000))
        },
        RefusedCheck(reason: .nonceUsed) { scene in
            let broken = try await scene.answer { $0["chh"] = "x" }
            _ = await scene.hand(broken)
            return await scene.hand(broken)
        },
        RefusedCheck(reason: .nonceExpired) { scene in
            let late = try await scene.answer()
            scene.house.advance(60)
            return await scene.hand(late)
        },
        RefusedCheck(reason: .sessionMismatch) { scene in
            let stranger = try await CheckingBrowser(scene.house)
            return await stranger.post(
                "/.gatepost/posture/challenge", ["tx": .string(scene.browser.transaction)]
            )
        },
        RefusedCheck(reason: .sessionMismatch, isAlert: true) { scene in
            let stranger = try await CheckingBrowser(scene.house)
            return await stranger.post(
                "/.gatepost/posture/assert",
                [
                    "tx": .string(scene.browser.transaction),
                    "assertion": .string(try await scene.answer()),
                ]
            )
        },
        RefusedCheck(reason: .sessionMismatch) { scene in
            await scene.browser.get(
                "/.gatepost/posture/return?tx=\(scene.browser.transaction)&e=wrong-user", fields: []
            )
        },
        RefusedCheck(reason: .sessionEnded) { scene in
            let (house, global) = (scene.house, scene.browser.global)
            let answer = AgentAnswer(assertion: try await scene.answer())
            // Between the look at the session and the writing of what was proven in it.
            _ = try await Sessions(store: house.store, ring: house.control.ring).end(ids: [global.id])
            let request = house.request(
                "/.gatepost/posture/assert", method: "POST", [scene.browser.cookieField])
            let outcome = try await house.control.prove(
                answer, of: scene.browser.transaction, by: global, presentedBy: global, request,
                isReturn: false)
            guard case .refused(let refusal) = outcome else { return nil }
            return house.control.refused(refusal, request)
        },
        RefusedCheck(reason: .storeUnavailable, status: 503) { scene in
            // What a full disk does: what is there can be read, and nothing is written.
            let file = try DatabaseQueue(
                path: scene.house.folder.appending(path: "state/sessions.sqlite").path)
            try await file.write {
                try $0.execute(
                    sql: "CREATE TRIGGER full BEFORE INSERT ON devices BEGIN SELECT RAISE(FAIL, 'full'); END")
            }
            return await scene.hand(try await scene.answer())
        },
        RefusedCheck(reason: .agentNotConfigured) { scene in
            // No reload takes one away; if it ever did, nobody should read another state's words.
            await scene.house.control.services.posture.take([])
            return await scene.browser.post(
                "/.gatepost/posture/challenge", ["tx": .string(scene.browser.transaction)]
            )
        },
        RefusedCheck(reason: .changeHeld) { scene in
            let losses = (0..<12).map { index in
                SessionLoss(
                    session: "s\(index)", person: "p\(index)", application: "vault",
                    device: index == 0 ? scene.agent.deviceID : "d\(index)",
                    cause: HeldCause(kind: .absence(["health"])))
            }
            let now = scene.house.now
            _ = scene.house.control.blast.radius { radius in
                radius.beginBatch()
                return radius.settle(losses, live: 12, nowSeconds: now)
            }
            return await scene.hand(try await scene.answer())
        },
    ]

    private static let certificates = [
        RefusedCheck(
            reason: .statementExpired,
            config: Gatehouse.config.replacing(
                "provider: endpoint-agent",
                with: "provider: endpoint-agent\n    statements: "
                    + "{ certificates: certs/chain.pem, issuer: \"https://management.corp.example\" }")
        ) { scene in
            let now = scene.house.now
            let pem = try Data(contentsOf: scene.house.folder.appending(path: "certs/key.pem"))
            let statement = JWS.sign(
                header: ["typ": "device-statement+jwt"],
                payload: [
                    "iss": "https://management.corp.example", "sub": "laptop", "iat": .integer(now - 60),
                    "exp": .integer(now), "managed": true, "last_seen": .integer(now - 60),
                    "cnf": ["jwk": .object(scene.agent.key.publicKey.jwk)],
                ], with: try SigningKey(pem: Array(pem)))
            let answer = JWS.sign(
                header: ["typ": "posture+jwt"],
                payload: try JWS(compact: try await scene.answer()).payloadObject, with: scene.agent.key)
            return await scene.browser.post(
                "/.gatepost/posture/assert",
                [
                    "tx": .string(scene.browser.transaction), "assertion": .string(answer),
                    "statement": .string(statement),
                ]
            )
        },
        RefusedCheck(reason: .certificateRevoked, isAlert: true) { scene in
            _ = try await scene.house.control.services.posture.revoke(deviceID: scene.agent.deviceID)
            return await scene.hand(try await scene.answer())
        },
        RefusedCheck(reason: .certificateUntrusted) { scene in
            let other = try EnrollmentAuthority.generateSelfSigned(
                commonName: "Others", nowSeconds: scene.house.now - 86_400)
            let chain = try scene.chain(by: (other.certificatePEM, other.keyPEM))
            return await scene.hand(try await scene.answer(chain: chain))
        },
        RefusedCheck(reason: .certificateExpired) { scene in
            let chain = try scene.chain(madeSecondsAgo: 2 * 86_400)
            return await scene.hand(try await scene.answer(chain: chain))
        },
        RefusedCheck(reason: .deviceUnknown) { scene in
            let id = "00000000-1111-2222-3333-444444444444"
            let answer = try await scene.answer(chain: try scene.chain(of: id)) {
                $0["sub"] = .string(id)
                $0["iss"] = .string("urn:device:" + id)
            }
            return await scene.hand(answer)
        },
        RefusedCheck(reason: .deviceOwnerMismatch, owner: "bob@corp.example") { scene in
            await scene.hand(try await scene.answer())
        },
    ]
}

@Suite("What the gateway refuses in a device check is answered, written and counted by one word")
struct DeviceRefusalTests {
    @Test(
        "004.5 each refusal: its word in the answer, in one line with the request's id, in the counts and in status",
        arguments: RefusedCheck.all)
    func words(_ row: RefusedCheck) async throws {
        let house = try Gatehouse(row.config)
        let agent = try await TestAgent(house, owner: row.owner)
        let scene = RefusedCheck.Scene(
            house: house, agent: agent, browser: try await CheckingBrowser(house))
        var answered: ControlResponse?
        let lines = try await heard("device-check-refused") { answered = try await row.fail(scene) }
        #expect(answered?.reason == row.reason)
        #expect(answered?.status == row.status)
        // What a row does on its way there has words of its own.
        let line = try #require(lines.last)
        #expect(line["reason"] == .string(row.reason.rawValue))
        #expect(line["alert"] == .bool(row.isAlert), "\(line)")
        #expect(line["request_id"]?.string?.isEmpty == false && line["what"]?.string?.isEmpty == false)
        #expect(lines.count { $0["reason"] == .string(row.reason.rawValue) } == 1)
        let counts = house.control.deviceChecks.counts
        #expect(counts.contains { $0.word == row.reason.rawValue && $0.count == 1 }, "\(counts)")
        let status = await house.control.status()
        #expect(status["device_checks"]?[row.reason.rawValue] == 1)
        #expect(status["text"]?.string?.contains("1 \(row.reason.rawValue)") == true)
    }

    @Test("every word of the gateway's that the page knows is a row above")
    func whole() {
        let rows = Set(RefusedCheck.all.map(\.reason))
        for reason in DeviceStates.titles.keys where !DeviceStates.pageWords.contains(reason) {
            #expect(rows.contains(reason), "\(reason)")
        }
    }

    @Test("who has no session is counted without end, and written twenty times a second at most")
    func bounded() async throws {
        let house = try Gatehouse()
        let browser = try await CheckingBrowser(house)
        let lines = try await heard("device-check-refused") {
            for _ in 0..<25 {
                let answer = await browser.post("/.gatepost/posture/challenge", ["tx": "none"])
                #expect(answer.status == 403)
            }
        }
        #expect(lines.count == DeviceCheckCounts.linesPerSecondMax)
        #expect(house.control.deviceChecks.mayWrite(nowSeconds: house.now), "pages have lines of their own")
        #expect(house.control.deviceChecks.counts.map(\.count) == [25])
    }

    @Test("a word of the gateway's is explained in docs/device-check.md, and so is every other")
    func documented() throws {
        let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent()
        let page = try String(contentsOf: root.appending(path: "docs/device-check.md"), encoding: .utf8)
        let rows = page.split(separator: "\n").filter { $0.hasPrefix("| `") }
        for reason in DeviceStates.titles.keys {
            let isThere = rows.contains { row in
                row.split(separator: "|").first?.contains("`\(reason.rawValue)`") == true
            }
            #expect(isThere, "\(reason.rawValue) has no row")
        }
    }
}
