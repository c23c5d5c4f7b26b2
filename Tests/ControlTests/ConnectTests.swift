import Access
import Border
import Config
import Fetch
import Foundation
import Identity
import JSON
import Store
import Synchronization
import Testing

@testable import Control
@testable import Posture

/// A directory that gives tokens and refuses or empties everything else, and remembers what it was asked.
private final class ToldDirectory: Fetcher {
    private let asked = Mutex<[String]>([])
    private let status: Int

    init(status: Int) { self.status = status }

    /// The paths that were asked for, in order.
    var paths: [String] { asked.withLock { $0 } }

    func fetch(_ request: FetchRequest) async throws(FetchError) -> FetchResponse {
        asked.withLock { $0.append(String(request.url.dropFirst("http://127.0.0.1:1".count))) }
        guard request.url.hasSuffix("/token") else {
            let body: JSONValue =
                status == 200 ? ["value": []] : ["error": ["code": "Forbidden", "message": "no"]]
            return FetchResponse(status: status, body: body.serialized())
        }
        let token: JSONValue = ["access_token": "token", "token_type": "Bearer", "expires_in": 3600]
        return FetchResponse(status: 200, body: token.serialized())
    }
}

@Suite("Connecting integrations: the command, the link's end, and the list")
struct ConnectTests {
    /// Of Ada at her identity provider: no address.
    static let subject = "sub-of-ada"
    static let tenant = "9b1f2d3c-0000-4000-8000-1234567890ab"

    /// Nothing listens at port 1: what needs the directory fails at once.
    static let config = Gatehouse.config.replacingOccurrences(
        of: "integrations:\n",
        with: """
            integrations:
              intune: { provider: intune, tenant: \(tenant), client-id: a, client-secret: { file: secrets/corp },
                login-url: "http://127.0.0.1:1", graph-url: "http://127.0.0.1:1", unsafe-allow-http: true }
              entra: { provider: entra, tenant: \(tenant), client-id: a, permissions: delegated,
                login-url: "http://127.0.0.1:1", graph-url: "http://127.0.0.1:1", unsafe-allow-http: true }

            """)

    private func state(_ house: Gatehouse, _ name: String = "intune") async throws -> String {
        let answer = await house.control.execute([
            "command": "integration-connect", "integration": .string(name),
        ])
        let url = try #require(answer["url"]?.string.flatMap { URLComponents(string: $0) })
        return try #require(url.queryItems?.first { $0.name == "state" }?.value)
    }

    private func visit(_ house: Gatehouse, _ query: String, _ name: String = "intune") async -> (
        status: Int, text: String
    ) {
        let answer = await house.control.answer(house.request("/.gatepost/connect/\(name)?\(query)"))
        return (answer.status, String(decoding: answer.body, as: UTF8.self))
    }

    @Test("001.16 000.8 the command names the address, who may open it, and where it ends") func link()
        async throws
    {
        let house = try Gatehouse(Self.config)
        let answer = await house.control.execute([
            "command": "integration-connect", "integration": "intune",
        ])
        let url = try #require(answer["url"]?.string)
        #expect(url.hasPrefix("http://127.0.0.1:1/\(Self.tenant)/v2.0/adminconsent?client_id=a&"))
        #expect(answer["redirect_uri"] == "https://auth.corp.example:8443/.gatepost/connect/intune")
        #expect(answer["role"]?.string?.contains("Privileged Role Administrator") == true)
        #expect(answer["text"]?.string?.contains(url) == true)
        for (name, words) in [("agents", "no provider integration"), ("nobody", "no provider integration")] {
            let refused = await house.control.execute([
                "command": "integration-connect", "integration": .string(name),
            ])
            #expect(refused["error"]?.string?.contains(words) == true)
        }
        #expect(await house.control.execute(["command": "integration-connect"])["error"] != nil)
    }

    @Test(
        "000.8 003.11 each answer of the directory has its page, and the missing role is named",
        arguments: [
            ("error=access_denied&error_description=AADSTS65004%3A+no", 403, "was declined"),
            ("error=access_denied&error_description=AADSTS90094%3A+x", 403, "Privileged Role Administrator"),
            ("error=consent_required", 403, "may not grant"),
            ("error=%3Cscript%3E", 400, "It said: &lt;script&gt;."),
            ("admin_consent=True&tenant=0badc0de-0000-4000-8000-000000000666", 403, "another directory"),
            ("admin_consent=True", 403, "another directory"), ("x=1", 400, "refused"),
        ])
    func pages(_ query: String, _ status: Int, _ words: String) async throws {
        let house = try Gatehouse(Self.config)
        let sealed = try await state(house)
        let page = await visit(house, "\(query)&state=\(sealed)")
        #expect(page.status == status && page.text.contains(words), "\(page.text)")
        #expect(!page.text.contains("<script>"))
        let again = await visit(house, "\(query)&state=\(sealed)")
        #expect(again.status == 400 && again.text.contains("used before"))
    }

    @Test("000.8 a link that is not ours, or too old, is told like one for a name that does not exist")
    func invalid() async throws {
        let house = try Gatehouse(Self.config)
        let sealed = try await state(house)
        let consent = "admin_consent=True&tenant=\(Self.tenant)"
        for (query, name) in [
            (consent, "intune"), ("\(consent)&state=x", "intune"), ("\(consent)&state=\(sealed)", "entra"),
            ("\(consent)&state=\(sealed)", "nobody"), ("\(consent)&state=\(sealed)", ""),
            ("\(consent)&state=\(sealed)&state=\(sealed)", "intune"),
        ] {
            let page = await visit(house, query, name)
            #expect(page.status == 400 && page.text.contains("This link is not valid"), "\(query)")
        }
        house.advance(900)
        let late = await visit(house, "\(consent)&state=\(sealed)")
        #expect(late.status == 400 && late.text.contains("older than 15 minutes"))
        let posted = await house.control.answer(
            house.request("/.gatepost/connect/intune", method: "POST"))
        #expect(posted.status == 405)
        let elsewhere = await house.control.answer(
            house.request("/.gatepost/connect/intune", host: "wiki.corp.example"))
        #expect(elsewhere.status == 404)
    }

    @Test("000.11 consent alone is no success: the page says what the probe says") func probed() async throws
    {
        let house = try Gatehouse(Self.config, fetcher: ToldDirectory(status: 403))
        let sealed = try await state(house)
        let page = await visit(house, "admin_consent=True&tenant=\(Self.tenant)&state=\(sealed)")
        #expect(page.status == 200)
        #expect(page.text.contains("intune is connected, but does not work yet"), "\(page.text)")
        #expect(page.text.contains("Trying it out failed: "))
        #expect(page.text.contains("DeviceManagementManagedDevices.Read.All"), "what is missing is named")
        #expect(page.text.contains("gatepost integrations reconnect intune"))
        let shown = await house.control.execute(["command": "integrations"])
        #expect(shown["integrations"]?.array?.first?["state"] == "pending")
    }

    @Test("000.7 003.12 all integrations with their state, and what connects a pending one") func list()
        async throws
    {
        let house = try Gatehouse(Self.config)
        let answer = await house.control.execute(["command": "integrations"])
        let text = try #require(answer["text"]?.string)
        #expect(text.contains("next: gatepost integrations connect intune"))
        #expect(text.contains("redirect URI https://auth.corp.example:8443/.gatepost/connect/entra"))
        let list = try #require(answer["integrations"]?.array)
        #expect(list.map { $0["integration"]?.string } == ["intune", "entra", "agents"])
        #expect(list.map { $0["state"]?.string } == ["pending", "pending", "configured"])
        #expect(list.map { $0["connectable"]?.bool } == [true, true, false])
    }

    @Test(
        "001.21 what names a device's owner at the provider is configurable: address, subject or a claim",
        arguments: ["email", "subject", "oid"])
    func owner(_ attribute: String) async throws {
        let directory = ToldDirectory(status: 200)
        let house = try Gatehouse(
            Self.config.replacingOccurrences(
                of: "intune: { provider: intune,",
                with: "intune: { provider: intune, owner-attribute: \(attribute),"), fetcher: directory)
        try await house.store.upsert(
            StoredDevice(
                id: "laptop", ownerIssuer: "https://login.corp.example", ownerSubject: Self.subject,
                ownerEmail: "ada@corp.example", platform: .linux, keyThumbprint: "t", certificateSerial: "01",
                enrolledAtSeconds: house.now, certificateNotAfterSeconds: house.now + 86_400))
        try await house.control.services.posture.load()
        let command: JSONValue = [
            "command": "integration-devices", "integration": "intune", "device": "laptop",
        ]
        if attribute == "oid" {
            let before = await house.control.execute(command)
            #expect(before["error"]?.string?.contains("has no oid") == true)
            #expect(directory.paths.isEmpty, "nobody is asked about without a name")
            let (global, _, _) = try await house.signIn(Self.subject)
            try await Sessions(store: house.store, ring: house.control.ring).change(global.id) {
                $0.claims["oid"] = .text("0f1e2d3c-4b5a-4697-8877-665544332211")
            }
        }
        let names = [
            "email": "ada%40corp.example", "subject": Self.subject,
            "oid": "0f1e2d3c-4b5a-4697-8877-665544332211",
        ]
        let name = try #require(names[attribute])
        let answer = await house.control.execute(command)
        #expect(answer["error"] == nil, "\(answer)")
        let asked = directory.paths.filter { $0.hasPrefix("/v1.0/users/") }
        #expect(asked.count == 1 && asked[0].hasPrefix("/v1.0/users/\(name)/managedDevices?"), "\(asked)")
        for (integration, device) in [("agents", "laptop"), ("intune", "none")] {
            let refused = await house.control.execute([
                "command": "integration-devices", "integration": .string(integration),
                "device": .string(device),
            ])
            #expect(refused["error"] != nil)
        }
    }

    @Test("000.7 001.12 001.17 002.16 ages, errors, throttling, permissions, account and partners are shown")
    func details() throws {
        var connection = ConnectorStatus(missingPermissions: ["A.Read"])
        connection.excessPermissions = ["B.Write"]
        connection.account = "admin@corp.example\u{1b}[2J"
        connection.accountEndsAtSeconds = 1_000_000 + 90 * 86_400
        connection.throttledUntilSeconds = 1_000_030
        let partners: [JSONValue] = [
            [
                "id": "1", "displayName": "Jamf", "partnerState": "unresponsive", "macOsOnboarded": true,
                "lastHeartbeatDateTime": "1970-01-12T11:46:40Z",
            ],
            [
                "id": "2", "displayName": "Falcon", "partnerState": "enabled", "macOsOnboarded": true,
                "lastHeartbeatDateTime": "1970-01-12T13:46:10Z",
            ], ["id": "3", "displayName": "Omnissa", "partnerState": "enabled", "iosOnboarded": true],
        ]
        connection.partners = partners.compactMap { PartnerState($0) }
        let status = IntegrationStatus(
            integration: "it", provider: "intune", state: .configured, lastSuccessSeconds: 999_940,
            lastFailure: ConnectorFailure(.throttled, "Graph: 429"), lastFailureSeconds: 999_000,
            devicesKnown: 3, oldestObservedSeconds: 900_000, medianObservedSeconds: 992_800,
            connection: connection)
        let text = IntegrationsText(
            integrations: [status], connectPrefix: "https://a/", nowSeconds: 1_000_000)
        let rows = text.text.split(separator: "\n").map {
            $0.split(separator: " ", omittingEmptySubsequences: true).joined(separator: " ")
        }
        #expect(
            rows[1]
                == "it intune configured 3 27 h ago 2 h ago 60 s ago throttled, 16 min ago 30 s -")
        for words in [
            "it: last error: Graph: 429", "it: missing permission A.Read", "it: excess permission B.Write",
            "it: reads in the name of admin@corp.example\u{fffd}[2J; its sign-in ends in 90 d",
            "it: partner Jamf, heartbeat 2 h ago: unresponsive; partner out of sync",
            "it: partner Falcon, heartbeat 30 s ago: Active", "it: partner Omnissa, heartbeat -: Active",
        ] { #expect(rows.contains { $0.contains(words) }, "\(words)") }
        let json = text.json(status)
        #expect(json["median_report_at"] == 992_800 && json["throttled_until"] == 1_000_030)
        #expect(json["excess_permissions"] == ["B.Write"] && json["last_error"] == "Graph: 429")
        #expect(json["account"]?.string?.hasPrefix("admin@") == true)
    }
}
