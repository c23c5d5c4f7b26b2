import Store
import Testing

@testable import Identity
@testable import gatepost_lab

/// Somebody signs out at the gateway, is sent to the provider (RP-Initiated Logout 1.0 §2), and comes back in one way
/// or another, or not at all.
@Suite("What a person sees who signed out, at a provider that misbehaves")
struct SignOutAnswerTests {
    private let stage: Stage
    private let visitor: Visitor
    init() throws {
        stage = try Stage()
        visitor = Visitor(stage)
    }

    /// Signs in and out, up to the provider's answer.
    private func signOut(_ fault: OpenIDFault?) async throws -> (location: String?, status: Int) {
        #expect(try await visitor.go("https://wiki.corp.example/").session != nil)
        if let fault { try stage.fault(fault.rawValue) }
        guard case .signedOut(let url?, let removed, _, _)? = await visitor.signOut(at: "wiki.corp.example")
        else {
            Issue.record("not sent to the provider")
            return (nil, 0)
        }
        #expect(removed.count == 2, "the sign-in and the session at the application")
        #expect(url.hasPrefix(stage.provider.issuer + "/sign-out?"))
        let answer = try visitor.answerForm(url)
        if let fault { #expect(stage.provider.faults.timesHappened(fault) == 1) }
        // Whatever the provider does: here it is over.
        #expect(try await stage.sessions.isEmpty)
        #expect(try await visitor.session(at: "https://wiki.corp.example/") == nil)
        return answer
    }

    private func page(_ fault: OpenIDFault?) async throws -> FlowAnswer? {
        let answer = try await signOut(fault)
        let url = try #require(answer.location)
        #expect(url.hasPrefix("https://\(Stage.authHost)/.gatepost/signed-out"))
        return await visitor.step(url)
    }

    @Test("an honest provider brings them to the page that knows the way back in")
    func honest() async throws {
        guard case .afterSignOut(let page)? = try await page(nil) else {
            Issue.record("no page")
            return
        }
        #expect(page.againURL == "https://wiki.corp.example/")
    }

    @Test(
        "without their state, or with another, they read that they are signed out, and no address of anybody's",
        arguments: [OpenIDFault.logoutStateDropped, .logoutStateOther])
    func lostState(_ fault: OpenIDFault) async throws {
        guard case .afterSignOut(let page)? = try await page(fault) else {
            Issue.record("no page")
            return
        }
        #expect(page.againURL == nil && page.others.isEmpty && !page.isEverywhere)
    }

    @Test(
        "who signed in again meanwhile is not told that they are out: the page asks whether they want to be",
        arguments: [OpenIDFault.logoutStateDropped, .logoutStateOther])
    func signedInAgain(_ fault: OpenIDFault) async throws {
        let url = try #require(try await signOut(fault).location)
        let session = try #require(try await visitor.go("https://wiki.corp.example/").session)
        guard case .confirmSignOut? = await visitor.step(url) else {
            Issue.record("not asked")
            return
        }
        // Nothing ends by a link that somebody may have made.
        #expect(try await visitor.session(at: "https://wiki.corp.example/")?.id == session.id)
    }

    @Test("a provider whose sign-out fails shows its own failure; signing in here asks it anew")
    func broken() async throws {
        let answer = try await signOut(.endSessionBroken)
        #expect(answer.status == 500 && answer.location == nil)
        guard let begun = await visitor.step("https://wiki.corp.example/")?.url else {
            Issue.record("no sign-in")
            return
        }
        #expect(await visitor.step(begun)?.url?.hasPrefix(stage.provider.issuer + "/authorize?") == true)
    }
}
