import Access
import Foundation
import Testing

@testable import Config

@Suite("The administrators' pages of providers")
struct ProviderPageTests {
    static let pages = ["crowdstrike", "defender", "tanium", "workspace-one", "shared-signals"]

    @Test("the example of each page is a good configuration, without a warning", arguments: pages)
    func example(_ name: String) throws {
        let snapshot = try Self.load(name) { $0 }
        #expect(snapshot.warnings == [])
        guard case .provider(let settings) = try #require(snapshot.integrations.last).kind else {
            Issue.record("no provider")
            return
        }
        #expect(settings.provider == name && !snapshot.policy.devicePolicies.isEmpty)
    }

    @Test("each page names every failure class and every qualifier of its rules", arguments: pages)
    func complete(_ name: String) throws {
        let text = try Self.text(name)
        for word in [
            "auth_failed", "forbidden", "throttled", "unavailable", "timeout", "tls_error",
            "malformed_response",
            "paging_loop", "config_error", "## Set up", "## Limits", "## What a person sees",
        ] { #expect(text.contains(word), "\(name): \(word)") }
        for qualifier in try #require(ProviderKind.named(name)).qualifiers {
            #expect(text.contains("| `\(qualifier.spec.name)` |"), "\(name): \(qualifier.spec.name)")
        }
    }

    struct Mistake: Sendable, CustomTestStringConvertible {
        var page: String
        var old: String
        var new: String
        var problem: String
        var testDescription: String { "\(page): \(new)" }
    }

    static let mistakes: [Mistake] = [
        Mistake(
            page: "shared-signals", old: "    push-authorization: { file: secrets/signals-push }\n", new: "",
            problem: "push needs push-authorization"),
        Mistake(
            page: "shared-signals", old: "delivery: push", new: "delivery: poll",
            problem: "has no effect with delivery: poll"),
        Mistake(
            page: "shared-signals", old: "client-id: gatepost", new: "api-token: { file: secrets/x }",
            problem: "has no effect with api-token"),
        Mistake(
            page: "shared-signals", old: "    client-id: gatepost\n", new: "", problem: "has no credentials"),
        Mistake(
            page: "shared-signals", old: "delivery: push", new: "delivery: push\n    refresh: 30m",
            problem: "has no effect here"),
        Mistake(
            page: "shared-signals", old: "delivery: push", new: "delivery: push\n    confirmed-by: [intune]",
            problem: "no integration is named intune"),
        Mistake(
            page: "shared-signals", old: "delivery: push", new: "delivery: push\n    confirmed-by: [agents]",
            problem: "cannot be asked"),
        Mistake(
            page: "shared-signals", old: "issuer: https://", new: "issuer: http://",
            problem: "integrations.signals.issuer"),
        Mistake(
            page: "crowdstrike", old: "cloud: eu-1", new: "cloud: eu-2", problem: "\"eu-2\" is not known"),
        Mistake(
            page: "crowdstrike", old: "client-secret: { file: secrets/falcon }",
            new: "client-secret: hunter2",
            problem: "integrations.falcon.client-secret"),
        Mistake(
            page: "crowdstrike", old: ">= 65", new: ">= 101", problem: "use a whole number from 1 to 100"),
        Mistake(page: "crowdstrike", old: ">= 65", new: "65", problem: "does not begin with a comparison"),
        Mistake(
            page: "crowdstrike", old: "platform: windows", new: "platform: linux",
            problem: "crowdstrike knows nothing of platform linux"),
        Mistake(
            page: "crowdstrike", old: "cloud: eu-1", new: "cloud: eu-1\n    refresh: 1m",
            problem: "integrations.falcon.refresh: is below 5m"),
        Mistake(
            page: "crowdstrike", old: "cloud: eu-1", new: "cloud: eu-1\n    base-url: http://10.0.0.1",
            problem: "integrations.falcon.base-url"),
        Mistake(page: "defender", old: "tenant: 9b", new: "tenant: common #", problem: "is no single tenant"),
        Mistake(page: "defender", old: ">= high", new: ">= severe", problem: "\"severe\" is no risk"),
        Mistake(
            page: "defender", old: "api-url:", new: "max-device-age: 25h\n    api-url:",
            problem: "max-device-age: is below 26h"),
        Mistake(page: "tanium", old: "<= 500", new: "<= 1001", problem: "use a whole number from 1 to 1000"),
        Mistake(
            page: "tanium", old: "    api-token: { file: secrets/tanium }\n", new: "",
            problem: "integrations.tanium"),
        Mistake(page: "tanium", old: "tanium.com", new: "tanium.com/", problem: "ends with a slash"),
        Mistake(
            page: "workspace-one", old: "    region: emea\n", new: "", problem: "add region or token-url"),
        Mistake(
            page: "workspace-one", old: "    client-secret: { file: secrets/workspace-one }\n", new: "",
            problem: "needs client-secret"),
        Mistake(
            page: "workspace-one", old: "client-id: a1b2c3d4e5f6", new: "username: reader",
            problem: "needs tenant-code"),
        Mistake(
            page: "workspace-one", old: "region: emea", new: "region: emea\n    username: reader",
            problem: "is set beside client-id"),
        Mistake(
            page: "workspace-one", old: "    client-id: a1b2c3d4e5f6\n", new: "",
            problem: "has no credentials"),
        Mistake(page: "workspace-one", old: ": UTC", new: ": Bielefeld", problem: "is no time zone"),
        Mistake(page: "workspace-one", old: "managed: true", new: "score: \"> 5\"", problem: "score"),
    ]

    @Test("000.25 what cannot work is refused, with the key and what to do", arguments: mistakes)
    func refused(_ mistake: Mistake) throws {
        #expect(try Self.text(mistake.page).contains(mistake.old))
        do throws(ConfigFailure) {
            _ = try Self.load(mistake.page) { $0.replacing(mistake.old, with: mistake.new) }
            Issue.record("accepted")
        } catch {
            let problems = error.problems.map(\.description)
            #expect(problems.contains { $0.contains(mistake.problem) }, "\(problems)")
        }
    }

    @Test("26 hours are the shortest age that Defender's daily reports allow") func boundary() throws {
        let snapshot = try Self.load("defender") {
            $0.replacing("api-url:", with: "max-device-age: 26h\n    api-url:")
        }
        #expect(snapshot.integrations.count == 2)
    }

    private static func text(_ name: String) throws(ConfigFailure) -> String {
        (try? String(contentsOfFile: "\(Repository.root)/docs/providers/\(name).md", encoding: .utf8)) ?? ""
    }

    /// The sample with the integration and device policies of a page, beside the agent that proves which
    /// device it is.
    private static func load(_ name: String, _ change: (String) -> String) throws(ConfigFailure)
        -> ConfigSnapshot
    {
        let page = try text(name)
        let block = page.components(separatedBy: "```yaml\n").dropFirst().first?.components(
            separatedBy: "```"
        ).first
        let from = Sample.text.range(of: "integrations:")?.lowerBound ?? Sample.text.startIndex
        let end = Sample.text.range(of: "applications:")?.lowerBound ?? Sample.text.endIndex
        let agents =
            "integrations:\n  agents: { provider: endpoint-agent, enrollment-ca: { certificate: chain.pem } }\n"
        let sections = (block ?? "").replacing("integrations:\n", with: agents)
        let all = Sample.text[..<from] + change(sections) + Sample.text[end...]
        let path = NSTemporaryDirectory() + "page-\(UUID().uuidString).yaml"
        _ = FileManager.default.createFile(atPath: path, contents: Data(all.utf8))
        defer { try? FileManager.default.removeItem(atPath: path) }
        return try ConfigSnapshot.load(path: path, environment: [:], readsFiles: false, identify: { _ in "" })
    }
}
