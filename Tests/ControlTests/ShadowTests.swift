import Access
import Border
import Config
import Foundation
import Identity
import JSON
import Testing

@testable import Control

@Suite("A candidate policy runs in the shadow of the live one")
struct ShadowTests {
    /// A gateway whose candidate is its own configuration with one change.
    private func house(_ change: (String) -> String) throws -> Gatehouse {
        let house = try Gatehouse()
        let path = house.folder.appending(path: "candidate.yaml").path
        try change(Gatehouse.config).write(toFile: path, atomically: true, encoding: .utf8)
        try house.rewrite {
            $0.replacing(
                "  store: sqlite:state", with: "  store: sqlite:state\n  shadow-policy: candidate.yaml")
        }
        return house
    }

    private func counts(_ house: Gatehouse, _ application: String) -> [ShadowFinding.Word: Int] {
        house.control.decisions.shadow.counts[application] ?? [:]
    }

    @Test func `the live policy decides, and what the candidate would have done is counted and logged`()
        async throws
    {
        let house = try house {
            $0.replacing(
                "include: [ { email-domain: corp.example } ] }", with: "include: [ { email: x@y.example } ] }"
            )
        }
        try await house.control.reload()
        let (_, _, cookie) = try await house.signIn()
        let record = try #require(await house.pulled(cookie.tokenDigest))
        #expect(record.residual.outcome == .forward)
        #expect(counts(house, "wiki") == [.wouldBlock: 1])
        house.control.decisions.log?.flush(milliseconds: 10_000)
        let file = try #require(house.control.decisions.log?.status.file)
        let line = try String(contentsOfFile: file, encoding: .utf8).split(separator: "\n").last
        #expect(line?.contains("\"shadow\":\"would-block\"") == true)
        #expect(line?.contains("\"shadow_reason\":\"no-policy-matches\"") == true)
        let status = await house.control.execute(["command": "status"])
        #expect(status["shadow"]?["applications"]?["wiki"]?["would_block"] == 1)
        #expect(status["text"]?.string?.contains("would-block") == true)
    }

    @Test func `every word is counted where it belongs`() async throws {
        let house = try house {
            $0.replacing(",\n          require: [ { device: compliant } ] }", with: " }")
                .replacing("name: staff", with: "name: renamed")
        }
        try await house.control.reload()
        let (_, _, wiki) = try await house.signIn()
        _ = await house.pulled(wiki.tokenDigest)
        let (_, _, vault) = try await house.signIn(at: "vault")
        _ = await house.pulled(vault.tokenDigest, "vault")
        #expect(counts(house, "wiki") == [.agrees: 1])
        #expect(counts(house, "vault") == [.wouldLetIn: 1])
        house.advance(60)
        await house.control.renew(wiki.tokenDigest, "wiki")
        #expect(counts(house, "wiki") == [.agrees: 2])
    }

    @Test(
        arguments: [
            (true, true, ShadowFinding.Word.agrees), (true, false, .wouldBlock), (false, true, .wouldLetIn),
        ])
    func `words compare who gets in`(_ live: Bool, _ candidate: Bool, _ word: ShadowFinding.Word) {
        func residual(_ isAllowed: Bool) -> Residual {
            let allow = ResidualPolicy(
                name: "a\(isAllowed)", action: .allow, anyOf: [], allOf: [], noneOf: [], restriction: nil,
                reason: .policyAllows)
            return Residual(
                policyIdentity: "", isSignedIn: true, validUntilSeconds: 1,
                policies: isAllowed ? [allow] : [],
                refusal: .noPolicyMatches, dependsOn: [])
        }
        #expect(ShadowFinding.word(live: residual(live), candidate: residual(candidate)) == word)
        var other = residual(true)
        other.policies[0].name = "b"
        #expect(ShadowFinding.word(live: residual(true), candidate: other) == .agrees)
        other.policies[0].restriction = Restriction(methods: [.get])
        #expect(ShadowFinding.word(live: residual(true), candidate: other) == .differs)
    }

    @Test func `a candidate that is bad is a problem that is told, and stops nothing`() async throws {
        let house = try house { _ in "version: 1\nnonsense: true\n" }
        try await house.control.reload()
        #expect(house.control.decisions.shadow.policy == nil)
        let status = await house.control.execute(["command": "status"])
        #expect(status["shadow"]?["problem"]?.string?.contains("nonsense") == true)
        #expect(status["text"]?.string?.contains("shadow policy not in use") == true)
        let (_, _, cookie) = try await house.signIn()
        #expect(await house.pulled(cookie.tokenDigest)?.residual.outcome == .forward)
        // Mended, it is taken at the next reload; gone, it counts no more.
        try Gatehouse.config.write(
            toFile: house.folder.appending(path: "candidate.yaml").path, atomically: true, encoding: .utf8)
        try await house.control.reload()
        #expect(house.control.decisions.shadow.policy == house.control.services.config.policy)
        try house.rewrite { $0.replacing("\n  shadow-policy: candidate.yaml", with: "") }
        try await house.control.reload()
        #expect(house.control.decisions.shadow.policy == nil)
        #expect(house.control.decisions.shadow.counts.isEmpty)
    }

    @Test func `counters are told in the log once an hour, when they have changed`() async throws {
        let house = try house { $0 }
        try await house.control.reload()
        let shadow = house.control.decisions.shadow
        #expect(shadow.report(atSeconds: house.now) == nil)
        let (_, _, cookie) = try await house.signIn()
        _ = await house.pulled(cookie.tokenDigest)
        #expect(shadow.report(atSeconds: house.now) != nil)
        _ = await house.control.renew(cookie.tokenDigest, "wiki")
        #expect(shadow.report(atSeconds: house.now + 3_600) == nil)
    }
}
