import Foundation

/// Canaille, a real OpenID Provider of other people's making, and who can sign in there.
enum Provider {
    static let issuer = "https://\(PrivateNetwork.providerHost)"

    /// The Python environment that scripts/bootstrap makes.
    static func python() throws -> String {
        let named = ProcessInfo.processInfo.environment["GATEPOST_CANAILLE"]
        let folder = named ?? Programs.root.appending(path: ".build/canaille-0.3.6").path
        guard FileManager.default.isExecutableFile(atPath: folder + "/bin/python") else {
            throw Failure(description: "Canaille is not installed in \(folder); next: scripts/bootstrap test")
        }
        return folder + "/bin/python"
    }

    static func arguments(of stack: Stack, keepAliveSeconds: Int) -> [String] {
        [
            Programs.root.appending(path: "scripts/lib/real-provider.py").path, stack.path("canaille.json"),
            "\(PrivateNetwork.providerAddress):443", stack.path("certs/server.pem"),
            stack.path("certs/server.key"), "\(keepAliveSeconds)",
        ]
    }

    static func environment(of stack: Stack) -> [String: String] {
        ["CANAILLE_CONFIG": stack.path("canaille.toml"), "PYTHONDONTWRITEBYTECODE": "1"]
    }

    /// Writes its configuration, with a new signing key.
    static func writeFiles(of stack: Stack) throws {
        let key = stack.path("canaille.key")
        try stack.run(
            "/usr/bin/openssl",
            ["genpkey", "-quiet", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048", "-out", key])
        let toml = """
            SECRET_KEY = "of no use outside the test"
            # Without its own name it takes no assertions of clients.
            SERVER_NAME = "\(PrivateNetwork.providerHost)"
            PREFERRED_URL_SCHEME = "https"
            [CANAILLE]
            NAME = "Corp"
            DATABASE = "sql"
            JAVASCRIPT = false
            HTMX = false
            CAPTCHA_ENABLED = false
            [CANAILLE_SQL]
            DATABASE_URI = "sqlite:///\(stack.path("canaille.sqlite"))"
            [CANAILLE_OIDC]
            TRUSTED_DOMAINS = ["\(PrivateNetwork.authHost)"]
            ACTIVE_JWKS = ['''
            \(try String(contentsOfFile: key, encoding: .utf8))''']
            """
        let people = [
            ("alice", "Alice Archer", "alice@corp.example", ["staff"]),
            ("bob", "Bob Baker", "bob@corp.example", ["staff"]),
            ("carol", "Carol Cooper", "carol@partner.example", ["partners"]),
        ].map { user, name, email, groups -> [String: Any] in
            ["user": user, "name": name, "email": email, "password": "\(user)-demo", "groups": groups]
        }
        let origin = "https://\(PrivateNetwork.authHost)"
        let client: [String: Any] = [
            "id": "gatepost", "secret": "gatepost-demo-secret", "name": "Gatepost", "uri": origin,
            "redirect": origin + "/.gatepost/callback/staff", "signed_out": origin + "/.gatepost/signed-out",
            "auth_method": "client_secret_basic", "algorithm": "RS256",
        ]
        var keyed = client
        keyed["secret"] = nil
        keyed.merge(try KeyedClientStage.client(stack)) { $1 }
        try toml.write(toFile: stack.path("canaille.toml"), atomically: true, encoding: .utf8)
        try JSONSerialization.data(withJSONObject: ["people": people, "clients": [client, keyed]])
            .write(to: stack.folder.appending(path: "canaille.json"))
    }
}
