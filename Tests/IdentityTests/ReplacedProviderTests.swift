import Access
import Testing

@testable import Identity

@Suite("A reload while a provider is being asked about a sign-in")
struct ReplacedProviderTests {
    let world = World()

    /// What a sign-in at the wiki comes to when the configuration changes before the provider has answered.
    private func outcome(
        _ change: (inout IdentityConfiguration) -> Void
    ) async throws -> FlowAnswer? {
        let browser = Browser(world)
        let gate = Gate()
        world.tenant.change { $0.refresh.gate = gate }
        let callback = try #require(await browser.go("\(wiki)/a", pauseAtProvider: true).callback)
        let request = browser.request(callback)
        let flow = world.flow
        async let answer = flow.answer(request)
        await gate.arrival()
        var configuration = await flow.configuration
        change(&configuration)
        await flow.replace(configuration: configuration)
        gate.open()
        return await answer
    }

    private static func entra(
        _ configuration: inout IdentityConfiguration, _ edit: (inout IdentityProviderRegistration) -> Void
    ) {
        for index in configuration.providers.indices where configuration.providers[index].name == "entra" {
            edit(&configuration.providers[index])
        }
    }

    @Test("another issuer or another client under the same name gets no session of it: it begins anew")
    func replaced() async throws {
        for change: @Sendable (inout IdentityProviderRegistration) -> Void in [
            { $0.issuer = "https://other.example" }, { $0.clientID = "another" },
        ] {
            let answer = try await ReplacedProviderTests().outcomeAndRows { Self.entra(&$0, change) }
            #expect(answer.url?.hasPrefix("\(wiki)/.gatepost/sign-in?restart=") == true)
            #expect(answer.rows == 0)
        }
    }

    @Test("what does not concern who the provider is changes nothing")
    func renamed() async throws {
        let answer = try await outcomeAndRows {
            Self.entra(&$0) {
                $0.displayName = "Another name"
                $0.clientSecret = "a new one"
            }
        }
        #expect(answer.url?.hasPrefix("\(wiki)/.gatepost/handoff") == true)
        #expect(answer.rows == 1)
    }

    @Test("one that is taken out, and an application that accepts it no longer, are refused")
    func takenOut() async throws {
        for change: @Sendable (inout IdentityConfiguration) -> Void in [
            { $0.providers.removeAll { $0.name == "entra" } },
            { configuration in
                for index in configuration.applications.indices {
                    configuration.applications[index].identityProviders.removeAll { $0 == "entra" }
                }
            },
        ] {
            let one = ReplacedProviderTests()
            #expect(try await one.outcome(change)?.refusal?.reason == .identityProviderNotAccepted)
            #expect(await one.world.store.rows.isEmpty)
        }
    }

    private func outcomeAndRows(
        _ change: (inout IdentityConfiguration) -> Void
    ) async throws -> (url: String?, rows: Int) {
        let answer = try await outcome(change)
        return (answer?.url, await world.store.rows.count)
    }
}
