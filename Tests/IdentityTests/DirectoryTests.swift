import Access
import Fetch
import JSON
import Signatures
import Testing

@testable import Identity

@Suite("Discovery documents and keys")
struct DirectoryTests {
    let world = World()

    @Test func `documents are fetched once for everybody, and registrations of one issuer share them`() async
    {
        await withTaskGroup(of: Void.self) { group in
            for _ in 0..<20 { group.addTask { [world] in await Browser(world).go("\(wiki)/") } }
        }
        await Browser(world).go("https://hr.corp.example:8443/")
        #expect(world.tenant.count("/.well-known/openid-configuration") == 1)
        #expect(world.tenant.count("/keys") == 1)
        #expect(world.tenant.count("/token") == 21)
    }

    @Test func `a document is asked for again when its time is over, and used on while the provider is down`()
        async
    {
        await Browser(world).go("\(wiki)/")
        world.advance(3_000)
        await Browser(world).go("\(wiki)/")
        #expect(world.tenant.count("/.well-known/openid-configuration") == 1)
        world.advance(700)
        world.tenant.misbehave {
            $0.failure["/.well-known/openid-configuration"] = FetchError(.unreachable, "")
            $0.failure["/keys"] = FetchError(.unreachable, "")
        }
        #expect(await Browser(world).go("\(wiki)/").session != nil)
        #expect(world.tenant.count("/.well-known/openid-configuration") == 2)
        // Right after a failure nobody asks again.
        #expect(await Browser(world).go("\(wiki)/").session != nil)
        #expect(world.tenant.count("/.well-known/openid-configuration") == 2)
        world.advance(2 * 86_400)
        #expect(await Browser(world).go("\(wiki)/").refusal?.reason == .identityProviderUnavailable)
    }

    @Test func `a rotated key is found by one refetch, without waiting`() async {
        await Browser(world).go("\(wiki)/")
        let fresh = SigningKey.generateP256()
        world.tenant.change { state in
            state.signer = ("k2", fresh)
            state.published = [("k2", fresh)]
        }
        #expect(await Browser(world).go("\(wiki)/").session != nil)
        #expect(world.tenant.count("/keys") == 2)
        #expect(world.pauseLog.all == [])
    }

    @Test func `two workers that disagree for a second cost one delayed retry and no login`() async {
        await Browser(world).go("\(wiki)/")
        let fresh = SigningKey.generateP256()
        world.tenant.change { state in
            state.signer = ("k2", fresh)
            // The first refetch still gets the old set; after it the new one is served.
            state.afterKeys = { $0.published = [("k2", fresh)] }
        }
        #expect(await Browser(world).go("\(wiki)/").session != nil)
        #expect(world.tenant.count("/keys") == 3)
        #expect(world.pauseLog.all == [1_000])
    }

    @Test func `an unknown key costs one round per minute, not one per login`() async {
        await Browser(world).go("\(wiki)/")
        world.tenant.change { $0.signer = ("nobody", SigningKey.generateP256()) }
        #expect(await Browser(world).go("\(wiki)/").refusal?.reason == .identityProviderRefused)
        #expect(world.tenant.count("/keys") == 3)
        world.advance(59)
        await Browser(world).go("\(wiki)/")
        #expect(world.tenant.count("/keys") == 3)
        world.advance(1)
        await Browser(world).go("\(wiki)/")
        #expect(world.tenant.count("/keys") == 5)
    }

    @Test func `a clock that is set back keeps neither a new key nor a provider that is up again away`() async
    {
        await Browser(world).go("\(wiki)/")
        world.tenant.change { $0.signer = ("nobody", SigningKey.generateP256()) }
        await Browser(world).go("\(wiki)/")
        #expect(world.tenant.count("/keys") == 3)
        world.advance(-1_000)
        let fresh = SigningKey.generateP256()
        world.tenant.change { state in
            state.signer = ("k2", fresh)
            state.published = [("k2", fresh)]
        }
        #expect(await Browser(world).go("\(wiki)/").session != nil)
        let down = World()
        down.tenant.misbehave {
            $0.failure["/.well-known/openid-configuration"] = FetchError(.unreachable, "")
        }
        #expect(await Browser(down).go("\(wiki)/").refusal?.reason == .identityProviderUnavailable)
        down.advance(-1_000)
        down.tenant.misbehave { $0.failure = [:] }
        #expect(await Browser(down).go("\(wiki)/").session != nil)
    }

    @Test func `a known kid with another key behind it is a wrong signature`() async {
        await Browser(world).go("\(wiki)/")
        world.tenant.change { $0.signer = ("k1", SigningKey.generateP256()) }
        #expect(await Browser(world).go("\(wiki)/").refusal?.reason == .identityProviderRefused)
    }

    @Test(arguments: [
        ("https://idp.example", "https://idp.example/.well-known/openid-configuration"),
        ("https://idp.example/", "https://idp.example/.well-known/openid-configuration"),
        ("https://idp.example/t/v2.0", "https://idp.example/t/v2.0/.well-known/openid-configuration"),
    ]) func `the document stands below the issuer`(_ issuer: String, _ url: String) {
        #expect(ProviderMetadata.discoveryURL(of: issuer) == url)
    }

    @Test(arguments: [
        "http://127.0.0.1:9/x", "http://localhost/x", "http://[::1]:8080/x", "http://127.9.9.9?x",
    ])
    func `plain http is acceptable on loopback with permission, and only then`(_ url: String) {
        #expect(EndpointCheck.isAcceptable(url, allowsPlainHTTP: true))
        #expect(!EndpointCheck.isAcceptable(url, allowsPlainHTTP: false))
    }

    @Test(arguments: [
        "http://127.0.0.1.evil.example/", "http://localhost.evil.example/", "http://10.0.0.1/", "https://",
        "https://a@b/", "https://a\\b/", "ftp://a/", "//a/", "https:/a", "", "https://\u{e9}/",
    ]) func `nothing else is an endpoint`(_ url: String) {
        #expect(!EndpointCheck.isAcceptable(url, allowsPlainHTTP: true))
    }
}
