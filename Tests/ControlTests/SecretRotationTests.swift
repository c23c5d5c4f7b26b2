import Access
import Border
import Config
import Fetch
import Foundation
import Identity
import JSON
import Posture
import Store
import Synchronization
import Testing

@testable import Control

/// A provider that knows its callers by a token which a test replaces.
final class RotatedProvider: Fetcher {
    private struct State {
        var tokens: Set<String> = ["first"]
        var asked: [String] = []
        var devices = ["S-ADA"]
    }
    private let state = Mutex(State())

    init(accepting token: String = "first") { state.withLock { $0.tokens = [token] } }

    func accept(_ tokens: Set<String>) { state.withLock { $0.tokens = tokens } }
    /// The tokens that came, in order.
    var asked: [String] { state.withLock { $0.asked } }

    func fetch(_ request: FetchRequest) async throws(FetchError) -> FetchResponse {
        let authorization = request.fields.first { $0.0 == "authorization" }?.1 ?? ""
        let token = String(authorization.dropFirst(7))
        return state.withLock { state in
            state.asked.append(token)
            guard state.tokens.contains(token) else {
                return FetchResponse(status: 401, body: Array(#"{"error":"unauthorized"}"#.utf8))
            }
            let devices: [JSONValue] = state.devices.map { serial in
                [
                    "id": .string(serial), "serial": .string(serial), "auth_state": "Good",
                    "last_seen_at": "2027-01-15T07:00:00Z",
                ]
            }
            let body: JSONValue = ["data": .array(devices), "pagination": ["next_cursor": ""]]
            return FetchResponse(
                status: 200, fields: [("x-request-id", "vendor-call-1")], body: body.serialized())
        }
    }
}

@Suite("Secrets of provider integrations change without a restart and without a gap")
struct SecretRotationTests {
    private func house(_ provider: RotatedProvider) async throws -> Gatehouse {
        let house = try Gatehouse(
            Gatehouse.config.replacing(
                "integrations:\n",
                with: "integrations:\n  kolide: { provider: kolide, api-token: { file: secrets/push } }\n"
            ).replacing(
                "rules: [ { agent: agents, managed: true } ]",
                with: "rules: [ { kolide: kolide, tags: { matches-any: [ compliant ] } } ]"),
            fetcher: provider)
        try write("first", house)
        try await house.enroll("d", pinned: ["serial": "S-ADA"])
        return house
    }

    private func write(_ secret: String, _ house: Gatehouse) throws {
        let path = house.folder.appending(path: "secrets/push").path
        try Data(secret.utf8).write(to: URL(fileURLWithPath: path))
    }

    private func status(_ house: Gatehouse) async -> IntegrationStatus? {
        await house.control.services.posture.integrationStatus().first { $0.integration == "kolide" }
    }

    @Test(
        "000.21 a new secret in the file and a reload: everything read with it, no verdict lost, nobody refused"
    )
    func rotated() async throws {
        let provider = RotatedProvider()
        let house = try await house(provider)
        try await house.control.reload()
        let posture = house.control.services.posture
        #expect(await posture.reconnect(integration: "kolide")?.state == .configured)
        let (_, _, cookie) = try await house.signIn(at: "vault", device: "d")
        func isLetIn() async -> Bool {
            await house.pulled(cookie.tokenDigest, "vault")?.residual.outcome.letsIn == true
        }
        #expect(await isLetIn())
        let complete = await status(house)?.lastCompleteSyncSeconds

        // Both are good at the provider while the file is being replaced.
        house.advance(30)
        provider.accept(["first", "second"])
        try write("second", house)
        house.reactors.clear()
        let outcome = try await house.control.reload()
        #expect(outcome.changes == ["~ integration kolide: settings"])
        #expect(await isLetIn())
        provider.accept(["second"])
        house.advance(30)
        #expect(await posture.reconnect(integration: "kolide")?.state == .configured)
        #expect(provider.asked.last == "second" && provider.asked.contains("first"))
        let after = try #require(await status(house))
        #expect(after.lastCompleteSyncSeconds == house.now && after.lastCompleteSyncSeconds != complete)
        #expect(after.devicesKnown == 1 && after.failureCounts.isEmpty)
        #expect(await isLetIn())
        let (_, _, other) = try await house.signIn(at: "vault", device: "d")
        #expect(await house.pulled(other.tokenDigest, "vault")?.residual.outcome.letsIn == true)
    }

    @Test("000.21 a secret that does not work is said, and what is known counts until its own end")
    func wrong() async throws {
        let provider = RotatedProvider()
        let house = try await house(provider)
        try await house.control.reload()
        let posture = house.control.services.posture
        #expect(await posture.reconnect(integration: "kolide")?.state == .configured)
        let (_, _, cookie) = try await house.signIn(at: "vault", device: "d")
        try write("mistyped", house)
        try await house.control.reload()
        #expect(await posture.reconnect(integration: "kolide")?.state == .pending)
        #expect(await house.pulled(cookie.tokenDigest, "vault")?.residual.outcome.letsIn == true)
        let status = try #require(await status(house))
        #expect(status.lastFailure?.kind == .authFailed && status.lastFailureCall?.endpoint == "/devices")
    }

    @Test(
        "anything else about an integration still takes a restart",
        arguments: ["ttl: 10m", "max-device-age: 2h"])
    func others(_ key: String) async throws {
        let house = try await house(RotatedProvider())
        try house.rewrite { $0.replacing("provider: kolide,", with: "provider: kolide, \(key),") }
        await #expect(throws: ControlFailure.self) { try await house.control.reload() }
    }

    @Test("001.25 which call said it stands in the verdict, in the decision's line and in failures")
    func calls() async throws {
        let provider = RotatedProvider()
        let house = try await house(provider)
        try await house.control.reload()
        #expect(await house.control.services.posture.reconnect(integration: "kolide")?.state == .configured)
        let shown = await house.control.execute(["command": "verdicts", "device": "d"])
        let verdict = try #require(shown["verdicts"]?.array?.first)
        #expect(
            verdict["provenance"] == [
                "transport": "api_poll", "endpoint": "/devices", "request_id": "vendor-call-1",
            ])
        #expect(verdict["reasons"] == [])
        let (_, _, cookie) = try await house.signIn(at: "vault", device: "d")
        _ = await house.pulled(cookie.tokenDigest, "vault")
        house.control.decisions.log?.flush(milliseconds: 10_000)
        let file = try #require(house.control.decisions.log?.status.file)
        let line = try String(contentsOfFile: file, encoding: .utf8).split(separator: "\n").last
        #expect(line?.contains(#""endpoint":"/devices","request_id":"vendor-call-1""#) == true)
        provider.accept([])
        _ = await house.control.services.posture.reconnect(integration: "kolide")
        let events = IntegrationEvents()
        let members = events.news([try #require(await status(house))]).flatMap { $0 }
        #expect(members.contains { $0.0 == "endpoint" && $0.1 == "/devices" })
        // Another time of the same answer is the same input: no line of its own.
        let text = IntegrationsText(
            integrations: [try #require(await status(house))], connectPrefix: "", nowSeconds: house.now)
        #expect(text.text.contains("notices within") && text.text.contains("15 min"))
    }

    @Test("machine words say why a verdict is no good one")
    func reasons() {
        func words(_ change: (inout Verdict) -> Void) -> [String] {
            var verdict = Verdict(
                id: "v", integration: "i", provider: "p", nativeID: "n", state: .compliant,
                observedAtSeconds: 1_000, fetchedAtSeconds: 1_000, expiresAtSeconds: 2_000,
                matchKey: "serial", matchStrength: .strong)
            change(&verdict)
            return verdict.reasons(atSeconds: 1_500).map(\.rawValue)
        }
        #expect(words { _ in } == [])
        #expect(words { $0.state = .grace } == ["in_grace"])
        #expect(words { $0.state = .notFound } == ["device_missing"])
        #expect(words { $0.state = .ambiguous } == ["provider_conflict"])
        #expect(words { $0.expiresAtSeconds = 1_500 } == ["integration_down"])
        #expect(words { $0.expiresAtSeconds = 1_000 } == ["stale_device"])
        #expect(words { $0.observedAtSeconds = 1_801 } == ["stale_device"])
        #expect(
            words {
                $0.state = .noncompliant
                $0.rawState = "Contained"
                $0.risk = .high
                $0.checks = [Verdict.Check(id: "c", title: "t", state: .fail)]
            } == ["policy_failed", "contained", "risk_above_threshold"])
        #expect(
            words {
                $0.state = .noncompliant
                $0.rawState = "compromised"
            } == ["compromised"])
        #expect(words { $0.rawState = "UNCOMPROMISED" } == [])
    }
}
