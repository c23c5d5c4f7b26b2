import Foundation
import Synchronization
import Testing

/// Two registrations of one tenant at the lab, the second behind a device rule, and an application for each
/// way of accepting them. One more file in the folder of the configuration.
enum TenantStage {
    static func issuer(_ stack: Stack) throws -> String { try stack.labValue("tenantIssuer") }

    static func enter(_ stack: Stack) throws {
        for client in ["entra", "entra-managed"] {
            let made = FileManager.default.createFile(
                atPath: stack.path("secrets/\(client)"),
                contents: Data("gatepost-\(client)-demo-secret".utf8),
                attributes: [.posixPermissions: 0o600])
            guard made else { throw Failure(description: "secrets/\(client) cannot be written") }
        }
        // Another suite gives Intune's device a directory id of its own.
        let device = try stack.labValue("directoryDevice")
        try stack.lab(
            .graph, "/lab/devices/\(ProviderCase.intuneDevice)", "{\"azureADDeviceId\":\"\(device)\"}")
        try configuration(stack).write(toFile: file(stack), atomically: true, encoding: .utf8)
        try stack.child("gateway").stop()
        try stack.startGateway()
    }

    /// Everything as it was for the next suite.
    static func leave(_ stack: Stack) throws {
        try? FileManager.default.removeItem(atPath: file(stack))
        _ = try stack.gatepost("session", "revoke", "--user", "alice@corp.example")
        try stack.child("gateway").stop()
        try stack.startGateway()
    }

    private static func file(_ stack: Stack) -> String { stack.path("tenant.yaml") }

    private static func configuration(_ stack: Stack) throws -> String {
        let issuer = try issuer(stack)
        func application(_ name: String, _ providers: String, _ keys: String = "") -> String {
            """
              \(name):
                host: \(name).corp.test
                upstreams: [ "http://127.0.0.1:\(Stack.echoPort)" ]
                identity-providers: [ \(providers) ]
                fields: { X-Remote-User: email }
                \(keys)
            """
        }
        let staff = "{ name: staff, action: allow, include: [ { email-domain: corp.example } ] }"
        return """
            version: 1
            identity-providers:
              entra:
                issuer: "\(issuer)"
                client-id: gatepost-entra
                client-secret: { file: secrets/entra }
                display-name: Corp
                email-domains: [ corp.example ]
                unsafe-allow-http: true
              entra-managed:
                issuer: "\(issuer)"
                client-id: gatepost-entra-managed
                client-secret: { file: secrets/entra-managed }
                display-name: Corp (managed devices)
                email-domains: [ corp.example, managed.example ]
                unsafe-allow-http: true
            device-policies:
              - { name: any-agent, platform: linux, priority: 90, result: compliant,
                  rules: [ { agent: agents, managed: true } ] }
            applications:
            \(application("intranet", "entra", "policies: [ \(staff) ]"))
            \(application("ledger", "entra-managed", "policies: [ \(staff) ]"))
            \(application("portal", "entra, entra-managed, hr-staff", """
                policies:
                      # Whoever came by the guarded registration was let in there on a managed device.
                      - { name: managed, action: allow, include: [ { email-domain: corp.example } ],
                          require: [ { identity-provider: [ entra-managed ] } ] }
                      - { name: reading, action: allow, include: [ { email-domain: corp.example } ],
                          restrict: { methods: [ GET, HEAD ] } }
                """))
            \(application("clinic", "entra", """
                agent: agents
                    device-owner: any
                    policies:
                      - { name: domain, action: allow, include: [ { email-domain: corp.example } ],
                          require: [ { device: compliant } ] }
                      - { name: partners, action: allow, include: [ { email-domain: partner.example } ],
                          require: [ { device: compliant }, { path: { prefixes: [ /waiting ] } } ] }
                """))
            \(application("safe", "entra, entra-managed", """
                remembered-provider: use
                    agent: agents
                    policies:
                      - { name: device, action: allow, include: [ { email-domain: corp.example } ],
                          require: [ { device: compliant } ] }
                """))

            """
    }
}

/// Sets the stage before a suite's first test, and clears it after the last.
struct TenantTrait: SuiteTrait, TestScoping {
    func provideScope(
        for test: Test, testCase: Test.Case?, performing body: @Sendable () async throws -> Void
    ) async throws {
        let stack = try Stack.current()
        try TenantStage.enter(stack)
        let result: Result<Void, any Error>
        do { result = .success(try await body()) } catch { result = .failure(error) }
        try TenantStage.leave(stack)
        try result.get()
    }
}

extension Trait where Self == TenantTrait {
    static var twoRegistrations: Self { Self() }
}

extension Chromium {
    /// What a browser with the organisation's single sign-on would prove; nil: it shows no device.
    func show(device: String?, _ stack: Stack) throws {
        try open("\(TenantStage.issuer(stack))/lab/browser?device=\(device ?? "")")
        try wait(for: "the lab's word about the browser") { try text.contains("This browser is on device") }
    }

    func signInAtTenant(_ user: String, _ stack: Stack) throws {
        let issuer = try TenantStage.issuer(stack)
        try wait(for: "the tenant's sign-in") { try url.hasPrefix(issuer) }
        try type(user, into: "#user")
        try type("\(user)-demo", into: "#password")
        try click("button[type=submit]")
    }
}
