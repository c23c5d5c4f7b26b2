import JSON
import Testing

@testable import gatepost_lab

@Suite("The lab's tenant: two registrations, one of them behind a device rule")
struct TenantTests {
    let fixture: LabFixture
    init() throws { fixture = try LabFixture() }

    private var prefix: String { fixture.lab.tenant.prefix }

    /// Signs alice in at a client and returns what the redirect says.
    private func answer(_ client: String, _ cookies: String = "") throws -> Parameters {
        let provider = client.dropFirst("gatepost-".count)
        let path = LabFixture.authorization([
            "client_id": client, "redirect_uri": "https://auth.lab.example/.gatepost/callback/\(provider)",
        ])
        let page = try fixture.openid.send("GET", prefix + path, fields: [("Cookie", cookies)])
        let text = String(decoding: page.body, as: UTF8.self)
        let start = try #require(text.firstRange(of: "name=\"transaction\" value=\"")).upperBound
        let transaction = String(text[start...].prefix { $0 != "\"" })
        let form = [("transaction", transaction), ("user", "alice"), ("password", "alice-demo")]
        let signedIn = try fixture.post(
            fixture.openid, prefix + "/sign-in", form, fields: [("Cookie", cookies)])
        return try #require(LabFixture.location(signedIn))
    }

    @Test("its issuer is its path, its subjects are pairwise, and the plain provider is as it was")
    func discovery() throws {
        let path = "/.well-known/openid-configuration"
        let own = try JSONValue(parsing: try fixture.openid.send("GET", prefix + path).body)
        #expect(own["issuer"]?.string == fixture.lab.tenant.issuer)
        #expect(own["issuer"]?.string?.hasSuffix("/72f988bf-0000-4000-8000-1a2b3c4d5e6f/v2.0") == true)
        #expect(own["subject_types_supported"]?.array == ["pairwise"])
        let plain = try JSONValue(parsing: try fixture.openid.send("GET", path).body)
        #expect(plain["issuer"]?.string == fixture.lab.provider.issuer)
        #expect(try fixture.openid.send("GET", "/lab/browser").status == 404)
    }

    @Test("one person has another sub at each registration, and the same oid and tid")
    func claims() throws {
        let tenant = fixture.lab.tenant
        let said = tenant.clients.map { tenant.claims(of: Person.demo[0], for: $0) }
        try #require(said.count == 2)
        #expect(said[0]["sub"] != said[1]["sub"])
        #expect(said[0]["oid"] == said[1]["oid"] && said[0]["tid"] == said[1]["tid"])
        #expect(said[0]["oid"]?.string?.count == 36)
        #expect(said[0]["oid"] != tenant.claims(of: Person.demo[1], for: tenant.clients[0])["oid"])
        #expect(fixture.lab.provider.claims(of: Person.demo[0], for: tenant.clients[0])["oid"] == nil)
    }

    @Test("the guarded registration refuses by number; the plain one asks for no device")
    func deviceRule() throws {
        let device = try #require(fixture.lab.summary["directoryDevice"]?.string)
        #expect(try answer("gatepost-entra")["code"] != nil)
        let rows = [
            ("", "AADSTS50097"), ("lab-device=00000000-dead", "AADSTS53001"),
        ]
        for (cookies, code) in rows {
            let refused = try answer("gatepost-entra-managed", cookies)
            #expect(refused["code"] == nil)
            #expect(refused["error_description"]?.hasPrefix(code) == true)
        }
        #expect(try answer("gatepost-entra-managed", "lab-device=\(device)")["code"] != nil)
        fixture.lab.tenant.faults.activate(.blockedByPolicy, times: 1)
        let blocked = try answer("gatepost-entra-managed", "lab-device=\(device)")
        #expect(blocked["error"] == "access_denied")
        #expect(blocked["error_description"]?.hasPrefix("AADSTS53003") == true)
    }
}
