import Access
import JSON
import Store
import Testing

@testable import Identity

@Suite("A sign-in that was ended under way comes back to a browser that has signed in anew since")
struct OvertakenEndingTests {
    let world: World
    let browser: Browser
    private static let docs = "https://docs.corp.example:8443"

    init() {
        world = World { configuration in
            configuration.applications.append(
                IdentityApplication(name: "docs", host: "docs.corp.example", identityProviders: ["entra"]))
        }
        browser = Browser(world)
    }

    enum Ending: CaseIterable {
        case person, subject, provider, providerSession
    }

    private func end(_ ending: Ending) async throws {
        let scope: EndingScope =
            switch ending {
            case .person: .person(issuer: world.tenant.issuer, subject: "person-1")
            case .subject: .providerSubject(provider: "entra", subject: "person-1")
            case .provider: .provider("entra")
            case .providerSession: .providerSession(provider: "entra", sid: "s-1", subject: nil)
            }
        _ = try await world.flow.sessions.end(scope, nowSeconds: world.nowSeconds) { _ in }
    }

    /// One that is at its provider when something ends, and one that is made a second later.
    private func overtaken(by ending: Ending) async throws -> (callback: String, after: StoredSession) {
        world.tenant.misbehave { faults in faults.claims = { $0["sid"] = "s-1" } }
        let callback = try #require(await browser.go("\(wiki)/a", pauseAtProvider: true).callback)
        try await end(ending)
        world.advance(1)
        let after = try #require(await browser.go("\(Self.docs)/").session)
        return (callback, after)
    }

    @Test("it changes nothing of the newer one, and the person arrives by that", arguments: Ending.allCases)
    func newerStays(_ ending: Ending) async throws {
        let (callback, after) = try await overtaken(by: ending)
        let rows = await world.store.rows
        let answer = try #require(await browser.step(callback))
        #expect(await world.store.rows == rows, "neither ended nor laid over")
        #expect(await browser.go(try #require(answer.url)).page == "\(wiki)/a")
        #expect(await browser.session("docs.corp.example")?.id == after.id)
        #expect(await world.store.rows.values.count { $0.kind == .global } == 1)
        #expect(world.waits.all.isEmpty, "the ending was a second ago")
    }

    @Test("a later ending ends both", arguments: Ending.allCases)
    func endedAgain(_ ending: Ending) async throws {
        let (callback, _) = try await overtaken(by: ending)
        try await end(ending)
        #expect(await world.store.rows.isEmpty)
        #expect(await browser.step(callback)?.url?.contains("/.gatepost/handoff") == false)
        #expect(await world.store.rows.isEmpty)
    }

    @Test("one that was not ended is laid over the newer one, as ever")
    func notEnded() async throws {
        let (callback, after) = try await overtaken(by: .providerSession)
        world.tenant.misbehave { faults in faults.claims = { $0["sid"] = "s-2" } }
        #expect(await browser.go(callback).page == "\(wiki)/a")
        #expect(await browser.session("docs.corp.example")?.id == after.id)
        let signIns = await world.store.rows.values.filter { $0.kind == .global }
        #expect(signIns.map(\.providerSessionID) == ["s-2"])
    }
}
