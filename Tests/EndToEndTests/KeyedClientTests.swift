import Foundation
import Testing

/// A second client of Canaille, without a secret: it signs its own assertions, and keeps what it is given.
enum KeyedClientStage {
    static let host = "archive.corp.test"
    private static let id = "gatepost-keyed"
    private static let keyID = "archive-1"

    /// What Canaille knows of it, beside what it knows of the other one. The key is new with every stack.
    static func client(_ stack: Stack) throws -> [String: Any] {
        let (key, publicKey) = (stack.path("keyed.key"), stack.path("canaille-keyed.pem"))
        try stack.run(
            "/usr/bin/openssl",
            ["genpkey", "-quiet", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048", "-out", key])
        try stack.run("/usr/bin/openssl", ["pkey", "-in", key, "-pubout", "-out", publicKey])
        return [
            "id": id, "public_key": publicKey, "key_id": keyID, "auth_method": "private_key_jwt",
            "redirect": "https://\(PrivateNetwork.authHost)/.gatepost/callback/keyed",
        ]
    }

    /// Adds its provider and an application to the running gateway, and takes them away again.
    static func with(_ stack: Stack, _ body: () throws -> Void) throws {
        try FurtherFile(name: "keyed.yaml", text: configuration, sign: ("https://\(host)/", 401)).with(
            stack, body)
    }

    private static let configuration = """
        version: 1
        identity-providers:
          keyed:
            issuer: "\(Provider.issuer)"
            authorities: certs/dev-ca.pem
            client-id: \(id)
            client-authentication: private_key_jwt
            client-key: { file: keyed.key }
            client-key-id: \(keyID)
            assertion-audience: token-endpoint
            scopes: [ openid, profile, email, groups ]
            refresh: 1m
        applications:
          archive:
            host: \(host)
            upstreams: [ "http://127.0.0.1:\(Stack.echoPort)" ]
            identity-providers: [ keyed ]
            policies:
              - { name: staff, action: allow, include: [ { group: staff } ] }

        """

    /// When the sign-in was refreshed last, in seconds since 1970; nil: there is none to refresh.
    static func refreshedAt(_ stack: Stack) throws -> Int? {
        let list = try stack.gatepost("session", "list", "--json")
        let json = list.split(separator: "\n").last { $0.hasPrefix("[") || $0.hasPrefix("{") } ?? ""
        let value = try JSONSerialization.jsonObject(with: Data(json.utf8))
        let rows = (value as? [[String: Any]]) ?? ((value as? [String: Any])?["sessions"] as? [[String: Any]])
        return (rows ?? []).filter { $0["identity_provider"] as? String == "keyed" }
            .compactMap { ($0["refresh"] as? [String: Any])?["last"] as? Int }.max()
    }
}

extension EndToEnd {
    @Suite("A client with a key of its own at Canaille")
    struct KeyedClientTests {
        @Test(
            "private_key_jwt signs people in at a provider that others made, and a minute later refreshes them",
            .timeLimit(.minutes(5)))
        func refreshed() throws {
            let stack = try Stack.current()
            try KeyedClientStage.with(stack) {
                let browser = try Chromium(stack)
                try browser.enter("archive", as: "alice")
                let first = try #require(try KeyedClientStage.refreshedAt(stack), "no refresh token is kept")
                // Not more often than once a minute, and only while somebody is there.
                try poll("Canaille to refresh the sign-in", seconds: 100, every: 2) {
                    try browser.open("https://\(KeyedClientStage.host)/")
                    return (try KeyedClientStage.refreshedAt(stack) ?? 0 > first).whenTrue
                }
                try browser.waitForApplication("archive")
                let log = try stack.child("gateway").output
                #expect(!log.contains("sign-in-refresh-failing"))
            }
        }
    }
}
