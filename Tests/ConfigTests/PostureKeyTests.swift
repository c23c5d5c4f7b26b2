import Access
import Testing

@testable import Config

@Suite("What an application asks of the handshake is configured")
struct PostureKeyTests {
    let folder: ConfigFolder
    init() throws { folder = try ConfigFolder() }

    /// One application, with or without a policy about devices, under an agent integration with an age of its own.
    private func text(_ posture: String, agentAge: String = "", asksForDevice: Bool = true) -> String {
        let require = asksForDevice ? ", require: [ { device: compliant } ]" : ""
        return """
            version: 1
            gateway:
              auth-host: auth.corp.example
              listeners: [ { address: "127.0.0.1:8443", certificates: [ { chain: chain.pem, key: key.pem } ] } ]
              store: sqlite:state
            identity-providers:
              corp: { issuer: "https://login.corp.example", client-id: gatepost, client-secret: { file: secret } }
            integrations:
              agents: { provider: endpoint-agent, enrollment-ca: { certificate: chain.pem }\(agentAge) }
            device-policies:
              - { name: any, platform: linux, priority: 1, result: compliant,
                  rules: [ { agent: agents, managed: true } ] }
            applications:
              wiki:
                host: wiki.corp.example
                upstreams: [ "http://10.0.4.7:8080" ]
                identity-providers: [ corp ]
                \(posture)
                policies:
                  - { name: staff, action: allow, include: [ everyone: true ]\(require) }
            """
    }

    private func demand(_ posture: String, agentAge: String = "") throws -> PostureDemand? {
        try folder.write("gatepost.yaml", text(posture, agentAge: agentAge))
        return try folder.load().policy.applications[0].posture
    }

    @Test("004.6 every key reaches the policy")
    func read() throws {
        let all =
            "posture: { max-age: 5m, modes: [x5c], transports: [popup, fetch], minimum-version: \"1.2\" }"
        #expect(
            try demand(all)
                == PostureDemand(
                    modes: [.x5c], transports: [.popup, .fetch], ageSecondsMax: 300, minimumVersion: "1.2"))
    }

    @Test("15 minutes are the standard, and never more than the integration's max-age")
    func standard() throws {
        #expect(try demand("posture: { modes: [x5c] }")?.ageSecondsMax == 900)
        #expect(try demand("posture: { modes: [x5c] }", agentAge: ", max-age: 5m")?.ageSecondsMax == 300)
        #expect(try demand("posture: { modes: [x5c] }", agentAge: ", max-age: 2h")?.ageSecondsMax == 900)
        #expect(try demand("posture: { max-age: 2h }", agentAge: ", max-age: 2h")?.ageSecondsMax == 7_200)
        let standard = try demand("posture: { max-age: 1m }")
        #expect(standard?.modes == [.x5c, .statement] && standard?.transports == HandshakeTransport.allCases)
    }

    @Test("without the key nothing of its own is asked")
    func none() throws { #expect(try demand("tags: [internal]") == nil) }

    @Test(
        "what has no effect or is unsafe is refused with the key named",
        arguments: [
            ("posture: { max-age: 901s }", "max-age", "beyond the 900s"),
            ("posture: { max-age: 59s }", "max-age", ""), ("posture: { modes: [static] }", "modes", "static"),
            ("posture: { modes: [x5c, static] }", "modes", "static"),
            ("posture: { modes: [] }", "modes", "empty"), ("posture: { modes: [tpm] }", "modes", "tpm"),
            ("posture: { transports: [carrier-pigeon] }", "transports", "carrier-pigeon"),
            ("posture: { transports: [fetch, fetch] }", "transports", "twice"),
            ("posture: { minimum-version: \"1.x\" }", "minimum-version", "1.x"),
            ("posture: { max-ages: 5m }", "max-ages", "max-age"),
        ])
    func refused(_ posture: String, _ key: String, _ word: String) throws {
        let problems = try folder.problems(text(posture))
        #expect(problems.contains { $0.contains("posture.\(key)") && $0.contains(word) }, "\(problems)")
    }

    @Test("it has no effect where no policy asks for a device")
    func ineffective() throws {
        let problems = try folder.problems(text("posture: { max-age: 5m }", asksForDevice: false))
        #expect(problems.contains { $0.contains("no policy asks for a device") }, "\(problems)")
    }
}
