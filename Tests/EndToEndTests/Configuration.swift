import Foundation

/// What the gateway of the suite is told.
enum Configuration {
    static func write(to stack: Stack) throws {
        let secrets = stack.folder.appending(path: "secrets")
        try FileManager.default.createDirectory(
            at: secrets, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
        for (name, secret) in [
            ("staff", "gatepost-demo-secret"), ("hr-staff", "gatepost-hr-demo-secret"),
            ("intune", "intune-demo-secret"),
        ] {
            let path = secrets.appending(path: name).path
            guard
                FileManager.default.createFile(
                    atPath: path, contents: Data(secret.utf8), attributes: [.posixPermissions: 0o600])
            else { throw Failure(description: "\(path) cannot be written") }
        }
        let tenant = try labValue("tenant", stack)
        let client = try labValue("graphClient", stack)
        let text =
            gateway + identityProviders + integrations(tenant: tenant, client: client) + devicePolicies
            + applications
        try text.write(toFile: stack.path("gatepost.yaml"), atomically: true, encoding: .utf8)
    }

    private static func labValue(_ name: String, _ stack: Stack) throws -> String {
        let data = try Data(contentsOf: stack.folder.appending(path: "lab.json"))
        guard let value = (try JSONSerialization.jsonObject(with: data) as? [String: Any])?[name] as? String
        else {
            throw Failure(description: "lab.json has no \(name)")
        }
        return value
    }

    private static let gateway = """
        version: 1
        gateway:
          auth-host: \(PrivateNetwork.authHost)
          listeners:
            - address: "\(PrivateNetwork.gatewayAddress):443"
              certificates: [ { chain: certs/server.pem, key: certs/server.key } ]
          store: sqlite:state

        """

    private static let identityProviders = """
        identity-providers:
          staff:
            issuer: "\(Provider.issuer)"
            client-id: gatepost
            client-secret: { file: secrets/staff }
            display-name: Corp staff
            scopes: [ openid, profile, email, groups ]
            authorities: certs/dev-ca.pem
          hr-staff:
            issuer: "http://127.0.0.1:\(Stack.openidPort)"
            client-id: gatepost-hr
            client-secret: { file: secrets/hr-staff }
            display-name: Corp people team
            unsafe-allow-http: true

        """

    private static func integrations(tenant: String, client: String) -> String {
        """
        integrations:
          intune:
            provider: intune
            tenant: \(tenant)
            client-id: \(client)
            client-secret: { file: secrets/intune }
            login-url: "http://127.0.0.1:\(Stack.graphPort)"
            graph-url: "http://127.0.0.1:\(Stack.graphPort)"
            unsafe-allow-http: true
            refresh: 1s
          agents:
            provider: endpoint-agent
            port: \(Stack.agentPort)
            enrollment-ca: { certificate: certs/device-ca.pem, key: { file: certs/device-ca.key } }

        """
    }

    private static let devicePolicies = """
        device-policies:
          - name: healthy-linux
            platform: linux
            priority: 10
            result: compliant
            rules:
              - { intune: intune, tags: { matches-any: [ compliant ] } }
              - { agent: agents, managed: true }
          - name: broken-linux
            platform: linux
            priority: 20
            result: denied
            rules:
              - { intune: intune, tags: { matches-any: [ noncompliant ] } }
            message: "Intune reports that this device breaks a compliance rule. Put it right and wait."

        """

    /// wiki: one provider, a healthy device of one's own. people: only the other provider, no device. desk:
    /// both providers, so people choose. vault: anybody's device, so that only domain and agent count.
    private static let applications = """
        applications:
          wiki:
            host: wiki.corp.test
            upstreams: [ "http://127.0.0.1:\(Stack.echoPort)" ]
            identity-providers: [ staff ]
            fields: { X-Remote-User: email }
            policies:
              - name: staff
                action: allow
                include: [ { email-domain: corp.example } ]
                require: [ { device: compliant } ]
          people:
            host: people.corp.test
            upstreams: [ "http://127.0.0.1:\(Stack.echoPort)" ]
            identity-providers: [ hr-staff ]
            fields: { X-Remote-User: email }
            policies:
              - { name: team, action: allow, include: [ { group: staff } ] }
          desk:
            host: desk.corp.test
            upstreams: [ "http://127.0.0.1:\(Stack.echoPort)" ]
            identity-providers: [ staff, hr-staff ]
            policies:
              - { name: staff, action: allow, include: [ { email-domain: corp.example } ] }
          vault:
            host: vault.corp.test
            upstreams: [ "http://127.0.0.1:\(Stack.echoPort)" ]
            identity-providers: [ staff ]
            device-owner: any
            policies:
              - name: domain
                action: allow
                include: [ { email-domain: corp.example } ]
                require: [ { device: compliant } ]

        """
}
