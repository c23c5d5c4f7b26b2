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

@Suite("A device's certificate comes onto its authority's list while somebody is signed in")
struct WithdrawnCertificateTests {
    /// Ada at the vault, with a device that proved itself a moment ago.
    private struct Scene {
        let house: Gatehouse
        let agent: TestAgent
        let browser: CheckingBrowser
        let application: SessionCookie

        private static let config = Gatehouse.config.replacing(
            "enrollment-ca: {", with: "enrollment-ca: { revocation-lists: [ devices.crl ],")

        init() async throws {
            house = try Gatehouse(Self.config) { key in
                ["devices.crl": try Self.list([], atSeconds: Gatehouse.start - 60, key)]
            }
            _ = await house.control.services.posture.refreshRevocationLists()
            agent = try await TestAgent(house)
            browser = try await CheckingBrowser(house)
            let proven = try await Self.hand(agent, browser, browser.transaction)
            try #require(proven.status == 200)
            let sessions = Sessions(store: house.store, ring: house.control.ring)
            let global = try #require(try await house.store.session(id: browser.global.id))
            application = try await sessions.createApplication(
                IdentityApplication(
                    name: "vault", host: "vault.corp.example", identityProviders: ["corp"],
                    sessionSeconds: 3_600), under: global, nowSeconds: house.now
            ).cookie
        }

        private static func list(
            _ serials: [String], atSeconds seconds: Int64, _ keyPEM: [UInt8]
        ) throws -> [UInt8] {
            UnsignedList(thisUpdate: seconds, nextUpdate: seconds + 86_400, serials: serials)
                .signed(by: try SigningKey(pem: keyPEM))
        }

        /// Replaces the authority's list; it is looked at as the service does each second.
        func publish(_ serials: [String], ageSeconds: Int64) async throws {
            let key = try Data(contentsOf: house.folder.appending(path: "certs/key.pem"))
            let list = try Self.list(serials, atSeconds: house.now - ageSeconds, Array(key))
            try Data(list).write(to: house.folder.appending(path: "devices.crl"), options: .atomic)
            let news = await house.control.services.posture.refreshRevocationLists()
            #expect(news.map(\.kind) == ["revocation-list-read"])
        }

        func serial() async throws -> String {
            try #require(try await house.store.device(id: agent.deviceID)).certificateSerial
        }

        /// What the page gets that a reactor refused.
        func refused(_ reason: Reason, method: String = "GET") async -> ControlResponse {
            await house.control.answer(
                house.request(
                    "/report?x=1", host: "vault.corp.example", method: method,
                    [Field("cookie", String(application.setCookie.prefix { $0 != ";" }))],
                    purpose: .refused(reason)))
        }

        static func hand(
            _ agent: TestAgent, _ browser: CheckingBrowser, _ transaction: String
        ) async throws -> ControlResponse {
            let offer = await browser.post("/.gatepost/posture/challenge", ["tx": .string(transaction)])
            let challenge = try #require(try JSONValue(parsing: offer.body)["challenge"]?.string)
            return await browser.post(
                "/.gatepost/posture/assert",
                [
                    "tx": .string(transaction),
                    "assertion": .string(try agent.assertion(for: challenge, transport: "fetch")),
                ])
        }

        /// The device check that an answer leads to; nil: to none.
        func check(_ answer: ControlResponse) -> String? {
            let start = "https://auth.corp.example:8443/.gatepost/posture/start?tx="
            let target = answer.fields.first { $0.name == "Location" }?.value
            return target.flatMap { $0.hasPrefix(start) ? String($0.dropFirst(start.count)) : nil }
        }
    }

    @Test("004.7 the way leads to the device check, which says that the device was revoked") func revoked()
        async throws
    {
        let scene = try await Scene()
        // While it counts a refusal is about something else, and no check would help.
        let before = await scene.refused(.devicePartial)
        #expect(before.status == 403 && scene.check(before) == nil)

        try await scene.publish([try await scene.serial()], ageSeconds: 30)
        let answer = await scene.refused(.deviceRequired)
        let transaction = try #require(scene.check(answer), "\(answer.status)")
        let verdict = try await Scene.hand(scene.agent, scene.browser, transaction)
        #expect(verdict.status == 403 && verdict.reason == .certificateRevoked)
        let said = try JSONValue(parsing: verdict.body)
        #expect(said["reason"] == "certificate-revoked" && said["happened"] == "The device was revoked.")
        #expect(scene.house.control.deviceChecks.counts.contains { $0.word == "certificate-revoked" })
        // A second page says the same: nothing is worn out by it, and nobody is let in.
        #expect(scene.check(await scene.refused(.deviceRequired)) != nil)
        #expect(
            await scene.house.pulled(scene.application.tokenDigest, "vault")?.residual.refusal
                == .deviceRequired)
    }

    @Test("004.7 a form is not sent around: it is refused where it was sent") func form() async throws {
        let scene = try await Scene()
        try await scene.publish([try await scene.serial()], ageSeconds: 30)
        let answer = await scene.refused(.deviceRequired, method: "POST")
        #expect(answer.status == 403 && scene.check(answer) == nil)
    }

    @Test("004.7 somebody else's certificate on the list changes nothing") func other() async throws {
        let scene = try await Scene()
        try await scene.publish(["0a1b2c"], ageSeconds: 30)
        #expect(scene.check(await scene.refused(.devicePartial)) == nil)
        #expect(
            await scene.house.pulled(scene.application.tokenDigest, "vault")?.residual.policies.isEmpty
                == false)
    }

    @Test("004.7 taken off the list again the device counts again, without another sign-in")
    func restored() async throws {
        let scene = try await Scene()
        try await scene.publish([try await scene.serial()], ageSeconds: 30)
        let transaction = try #require(scene.check(await scene.refused(.deviceRequired)))
        try await scene.publish([], ageSeconds: 20)
        #expect(try await Scene.hand(scene.agent, scene.browser, transaction).status == 200)
        #expect(scene.check(await scene.refused(.devicePartial)) == nil)
    }
}
