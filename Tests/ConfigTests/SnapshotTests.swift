import Access
import Config
import Foundation
import Testing

@Suite("A good configuration")
struct SnapshotTests {
    let folder: ConfigFolder

    init() throws { folder = try ConfigFolder() }

    @Test func `every section arrives with its defaults and its secrets`() throws {
        try folder.write("gatepost.yaml", Sample.text)
        let snapshot = try folder.load()
        #expect(snapshot.warnings == [])
        #expect(snapshot.gateway.publicPort == 8443)
        #expect(snapshot.gateway.storeFolder == "\(folder.path)/state")
        #expect(snapshot.gateway.adminSocket == "\(folder.path)/state/gatepost.sock")
        #expect(snapshot.gateway.keysFolder == "\(folder.path)/state/keys")
        #expect(snapshot.gateway.workers == nil && snapshot.gateway.accessLog)
        #expect(snapshot.gateway.limits == LimitSettings())
        #expect(snapshot.identityProviders[0].authentication.secret.text == "s3cret")
        #expect(snapshot.identityProviders[0].scopes == ["openid", "profile", "email"])
        #expect(snapshot.applications[0].agent == "agents")
        #expect(snapshot.applications[0].sessionSecondsMax == 28_800)
        #expect(snapshot.applications.map(\.name) == snapshot.policy.applications.map(\.name))
        #expect(
            snapshot.policy.devicePolicies[0].rules == [
                .agentManaged(integration: "agents", lastSeenSecondsMax: 259_200)
            ])
        guard case .endpointAgent(let agent) = snapshot.integrations[0].kind else {
            throw POSIXError(.EINVAL)
        }
        #expect(agent.port == 17_472 && agent.ageSecondsMax == 900 && agent.authority?.keyPEM == nil)
    }

    @Test func `a secret shows itself in no text`() throws {
        try folder.write("gatepost.yaml", Sample.text)
        let snapshot = try folder.load()
        var dumped = ""
        dump(snapshot, to: &dumped)
        #expect(!dumped.contains("s3cret"))
        #expect(!"\(snapshot)".contains("s3cret"))
        #expect(!String(reflecting: snapshot).contains("s3cret"))
    }

    @Test func `the policy's identity changes with the policy and with nothing else`() throws {
        func text(_ yaml: String) throws -> [UInt8] {
            try folder.write("gatepost.yaml", yaml)
            return try folder.load().policyText
        }
        let first = try text(Sample.text)
        #expect(try text("# a comment\n" + Sample.text) == first)
        #expect(try text(Sample.replacing("127.0.0.1:8080", "127.0.0.1:8081")) == first)
        #expect(
            try text(Sample.replacing("email-domain: corp.example", "email-domain: corp2.example")) != first)
        #expect(try text(Sample.replacing("priority: 10", "priority: 11")) != first)
        #expect(try text(Sample.replacing("max-last-seen: 3d", "max-last-seen: 4d")) != first)
    }

    @Test func `a folder is read as one configuration`() throws {
        let parts = Sample.text.split(separator: "applications:\n")
        try folder.write("10-gateway.yaml", String(parts[0]))
        try folder.write("20-wiki.yaml", "version: 1\napplications:\n" + parts[1])
        let other = parts[1].replacing("wiki", with: "blog")
        try folder.write("30-blog.yaml", "version: 1\napplications:\n" + other)
        #expect(try folder.load("").applications.map(\.name) == ["wiki", "blog"])
        try folder.write("40-again.yaml", "version: 1\napplications:\n" + other)
        let error = #expect(throws: ConfigFailure.self) { try folder.load("") }
        let first = try #require(error?.problems.first)
        #expect(first.problem == "stands in \(folder.path)/30-blog.yaml:3 already")
        #expect(first.key == "applications.blog")
    }

    @Test func `a policy that an earlier one covers is a warning, not a problem`() throws {
        let block =
            "\n      - { name: no, action: block, include: [ { email: eve@corp.example } ], "
            + "require: [ { device: compliant } ] }\n"
        try folder.write("gatepost.yaml", Sample.text.trimmingCharacters(in: .newlines) + block)
        let warnings = try folder.load().warnings
        #expect(warnings.count == 1)
        #expect(warnings[0].problem == "block no is never reached: allow staff matches first")
        #expect(warnings[0].remedy == "move the block before staff")
        let narrower = block.replacing(", require: [ { device: compliant } ]", with: "")
        try folder.write("gatepost.yaml", Sample.text.trimmingCharacters(in: .newlines) + narrower)
        #expect(try folder.load().warnings == [])
    }

    @Test(arguments: [
        "client-certificates.yaml", "gatepost.yaml", "grpc.yaml", "machines.yaml", "minimal.yaml",
    ])
    func `the sample in conf is good, without a warning`(_ name: String) throws {
        let snapshot = try ConfigSnapshot.load(
            path: "\(Repository.root)/conf/\(name)", environment: [:], readsFiles: false,
            identify: { _ in "" })
        #expect(snapshot.warnings == [])
    }

    @Test func `every file in conf is tried by a test`() throws {
        let names = try FileManager.default.contentsOfDirectory(atPath: "\(Repository.root)/conf")
        #expect(
            names.filter { $0.hasSuffix(".yaml") }.sorted()
                == [
                    "client-certificates.yaml", "gatepost.yaml", "grpc.yaml", "machines.yaml", "minimal.yaml",
                ])
    }
}
