import Access
import Border
import Foundation
import Identity
import Store
import Testing

@testable import Control
@testable import Posture

@Suite("What must not wait, and what must come often enough")
struct SignOutTests {
    @Test("at sign-out our own sessions end before the identity provider is asked, however long it takes")
    func hangingProvider() async throws {
        let outside = Outside()
        let house = try Gatehouse(fetcher: outside)
        let (global, session, cookie) = try await house.signIn()
        let metadata = "https://login.corp.example/.well-known/openid-configuration"
        outside.hold(metadata)
        let request = house.request(
            "/.gatepost/sign-out", host: "wiki.corp.example", method: "POST",
            [
                Field("origin", "https://wiki.corp.example:8443"),
                Field("cookie", String(cookie.setCookie.prefix { $0 != ";" })),
            ])
        async let answer = house.control.answer(request)
        // It is asked now, and does not answer.
        var questions = outside.asked.makeAsyncIterator()
        #expect(await questions.next() == metadata)
        #expect(house.reactors.revocations.map(\.effect) == [.endSession(session.id)])
        #expect(try await house.store.session(id: global.id) == nil)
        #expect(await house.pulled(cookie.tokenDigest) == nil)
        outside.letGo()
        #expect(await answer.status == 200, "signed out here, whatever the provider does")
    }

    @Test(
        "a device renews its certificate well before its age counts as too long",
        arguments: [
            ("60s", 60), ("4m", 60), ("5m", 75), ("1h", 900), ("4d", 86_400), ("7d", 86_400),
            ("30d", 86_400),
        ] as [(String, Int64)])
    func renewal(_ lastSeen: String, _ seconds: Int64) async throws {
        let house = try Gatehouse(
            Gatehouse.config.replacingOccurrences(
                of: "provider: endpoint-agent",
                with: "provider: endpoint-agent\n    max-last-seen: \(lastSeen)"))
        let agents = await house.control.services.posture.agents
        let agent = try #require(agents.first)
        #expect(agent.enrollment.renewAfterSeconds == seconds)
    }
}
