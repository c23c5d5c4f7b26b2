import Access
import JSON
import Testing

@testable import Identity

@Suite("Answers that are another provider's (RFC 9207, RFC 9700 §4.4)")
struct MixUpTests {
    let world = World()

    /// A browser at the provider, and its way back.
    private func begin(_ browser: Browser) async -> String {
        await browser.go("\(wiki)/page", pauseAtProvider: true).callback ?? ""
    }

    @Test(
        "an error counts only from the right issuer: a wrong or missing iss goes before what it says",
        arguments: [
            ("https://other.example", false), ("https://idp.example/tenant/", false), ("", false),
            (nil, false),
            ("https://idp.example/tenant", true),
        ] as [(String?, Bool)])
    func errors(_ issuer: String?, _ isHeard: Bool) async {
        world.tenant.misbehave {
            $0.metadata = { $0["authorization_response_iss_parameter_supported"] = true }
            $0.error = [("error", "access_denied"), ("error_description", "AADSTS53000: get another device")]
        }
        let browser = Browser(world)
        var callback = await begin(browser)
        if let issuer { callback += "&" + FormText.encode([("iss", issuer)]) }
        let refusal = await browser.step(callback)?.refusal
        #expect(refusal?.reason == .identityProviderRefused)
        #expect((refusal?.providerWords != nil) == isHeard, "a stranger's words are not shown")
        #expect((refusal?.providerCode == "AADSTS53000") == isHeard)
    }

    @Test("a wrong iss is refused where the provider announces none, too, before the code is looked at")
    func quiet() async {
        for extra in ["", "&error=access_denied&error_description=words"] {
            let browser = Browser(world)
            let callback = await begin(browser)
            let refusal = await browser.step(callback + "&iss=https%3A%2F%2Fother.example" + extra)?.refusal
            #expect(refusal?.reason == .identityProviderRefused && refusal?.providerWords == nil)
        }
        #expect(world.tenant.count("/token") == 0 && world.other.count("/token") == 0)
    }

    @Test(
        "doubled parameters of an answer have two readings and are refused",
        arguments: ["iss", "code", "state", "error"])
    func doubled(_ name: String) async {
        world.tenant.misbehave { $0.sendsIssuer = true }
        let browser = Browser(world)
        let callback = await begin(browser) + "&error=x&\(name)=y"
        let answer = await browser.step(callback + "&\(name)=z")
        #expect(answer?.refusal?.reason == .requestMalformed)
        #expect(world.tenant.count("/token") == 0)
    }

    /// What comes back from one provider is sent to another's path, with whatever the attacker wrote into `iss`.
    @Test(
        "a code of one provider never reaches another: two of one issuer, and two of two",
        arguments: [
            ("entra-managed", "https://idp.example/tenant"), ("entra-managed", nil),
            ("other", "https://other.example"),
            ("other", "https://idp.example/tenant"), ("other", nil),
        ] as [(String, String?)])
    func mixUp(_ provider: String, _ issuer: String?) async {
        let browser = Browser(world)
        var callback = await begin(browser).replacing("/callback/entra?", with: "/callback/\(provider)?")
        if let issuer { callback += "&" + FormText.encode([("iss", issuer)]) }
        let refusal = await browser.step(callback)?.refusal
        #expect(refusal?.reason == .loginStateLost)
        #expect(world.tenant.count("/token") == 0 && world.other.count("/token") == 0)
        #expect(await world.store.rows.isEmpty)
    }

    @Test("a code that one registration of an issuer got is void at the other's state") func swappedCodes()
        async
    {
        let browser = Browser(world)
        let first = await begin(browser)
        let second = await browser.go("https://hr.corp.example:8443/", pauseAtProvider: true).callback ?? ""
        func value(_ name: String, _ url: String) -> String {
            FormText.parse(String(url.split(separator: "?", maxSplits: 1)[1]))?[name] ?? ""
        }
        // The state of the second with the code of the first, on the second's own path.
        let base = second.split(separator: "?")[0]
        let pairs = [("state", value("state", second)), ("code", value("code", first))]
        let refusal = await browser.step("\(base)?\(FormText.encode(pairs))")?.refusal
        #expect(refusal?.reason == .identityProviderRefused)
        #expect(await world.store.rows.isEmpty)
    }
}
