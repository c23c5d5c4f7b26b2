import Foundation

/// An issuer of bearer tokens for jobs, and an application that takes them.
///
/// The issuer's documents are files that Python's own server shows, so it is asked over HTTP as any other is; its
/// keys and tokens are made by the `openssl` program.
struct BearerStage {
    static let page = "https://robots.corp.test/"
    private static let port = 8_484
    private static let file = "bearers.yaml"
    private let stack: Stack
    /// Another one each time: what the gateway knows of an issuer's keys it keeps over reloads.
    private let name = UUID().uuidString
    private var issuer: String { "http://127.0.0.1:\(Self.port)/\(name)" }

    /// Adds both to the running gateway, and takes them away again.
    static func with(_ stack: Stack, _ body: (BearerStage) throws -> Void) throws {
        let stage = BearerStage(stack: stack)
        try stage.startIssuer()
        defer { try? stack.child("issuer").stop() }
        try FurtherFile(name: file, text: stage.configuration(excluded: "nobody"), sign: (page, 401)).with(
            stack
        ) {
            try body(stage)
        }
    }

    private func configuration(excluded: String) -> String {
        """
        version: 1
        token-issuers:
          jobs:
            issuer: "\(issuer)"
            unsafe-allow-http: true
            audiences: robots
        applications:
          robots:
            host: robots.corp.test
            upstreams: [ "http://127.0.0.1:\(Stack.echoPort)" ]
            identity-providers: [ hr-staff ]
            policies:
              - { name: jobs, action: service, include: [ { token: { issuer: jobs, subjects: [ nightly, hourly ] } } ],
                  exclude: [ { token: { issuer: jobs, subjects: [ \(excluded) ] } } ] }

        """
    }

    // MARK: The issuer

    private func startIssuer() throws {
        let documents = stack.path("issuer/\(name)/.well-known")
        try FileManager.default.createDirectory(atPath: documents, withIntermediateDirectories: true)
        let document = ["issuer": issuer, "jwks_uri": issuer + "/keys.json"]
        try JSONSerialization.data(withJSONObject: document)
            .write(to: URL(filePath: documents + "/openid-configuration"))
        for key in ["first", "second", "foreign"] {
            try stack.run(
                "/usr/bin/openssl",
                [
                    "genpkey", "-quiet", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048", "-out",
                    self.key(key),
                ])
        }
        try publish("first")
        try stack.start(
            "issuer", "/usr/bin/python3",
            [
                "-m", "http.server", "\(Self.port)", "--bind", "127.0.0.1", "--directory",
                stack.path("issuer"),
            ])
        try poll("the issuer", seconds: 60, every: 0.1) {
            (try Client(stack).fetch(issuer + "/keys.json").status == 200).whenTrue
        }
    }

    private func key(_ name: String) -> String { stack.path("issuer-\(name).key") }

    /// From now on these keys are the issuer's, and no others.
    func publish(_ names: String...) throws {
        let keys = try names.map { name -> [String: String] in
            let line = try stack.run("/usr/bin/openssl", ["rsa", "-in", key(name), "-noout", "-modulus"])
            let digits = Array(
                line.trimmingCharacters(in: .whitespacesAndNewlines).drop { $0 != "=" }.dropFirst())
            let modulus = stride(from: 0, to: digits.count, by: 2).compactMap {
                UInt8(String(digits[$0..<min($0 + 2, digits.count)]), radix: 16)
            }
            return [
                "kty": "RSA", "use": "sig", "alg": "RS256", "kid": name, "e": "AQAB",
                "n": Self.base64URL(Data(modulus)),
            ]
        }
        try JSONSerialization.data(withJSONObject: ["keys": keys])
            .write(to: URL(filePath: stack.path("issuer/\(name)/keys.json")), options: .atomic)
    }

    private static func base64URL(_ data: Data) -> String {
        data.base64EncodedString().replacing("+", with: "-").replacing("/", with: "_").replacing(
            "=", with: "")
    }

    // MARK: Its tokens

    /// A token with which everything is right but what is said here.
    struct Token {
        var subject = "nightly"
        /// nil: the one that is configured.
        var issuer: String?
        var audience = "robots"
        /// Of now; below zero it has expired.
        var secondsLeft = 600
        /// The key whose name it has.
        var keyID = "first"
        /// The key that signs; nil: that one.
        var signer: String?
    }

    /// - Returns: what curl shows the token with, and its `exp`. No two are equal.
    func make(_ token: Token) throws -> (proof: [String], expiry: Int) {
        let expiry = Int(Date().timeIntervalSince1970) + token.secondsLeft
        let header = ["alg": "RS256", "typ": "JWT", "kid": token.keyID]
        let claims: [String: Any] = [
            "iss": token.issuer ?? issuer, "aud": token.audience, "sub": token.subject, "exp": expiry,
            "jti": UUID().uuidString,
        ]
        let parts = try [
            JSONSerialization.data(withJSONObject: header), JSONSerialization.data(withJSONObject: claims),
        ].map(Self.base64URL)
        let (text, signature) = (stack.path("token.text"), stack.path("token.signature"))
        try parts.joined(separator: ".").write(toFile: text, atomically: true, encoding: .utf8)
        try stack.run(
            "/usr/bin/openssl",
            ["dgst", "-sha256", "-sign", key(token.signer ?? token.keyID), "-out", signature, text])
        let signed = parts + [Self.base64URL(try Data(contentsOf: URL(filePath: signature)))]
        return (["-H", "Authorization: Bearer " + signed.joined(separator: ".")], expiry)
    }

    func fetch(_ proof: [String]) throws -> Answer { try Client(stack).fetch(Self.page, proof) }

    /// The member `reason` of a refusal that a program gets.
    func reason(_ answer: Answer) -> String? {
        let object = try? JSONSerialization.jsonObject(with: Data(answer.body.utf8)) as? [String: Any]
        return object?["reason"] as? String
    }

    /// Sends new ones until the event log, which tells one refusal a second, has told why.
    ///
    /// - Returns: the last answer.
    func refusal(of token: Token, because what: String) throws -> Answer {
        let before = try stack.child("gateway").output.utf8.count
        return try poll("the event log to say: \(what)", seconds: 60) {
            let answer = try fetch(try make(token).proof)
            let new = try stack.child("gateway").output.utf8.dropFirst(before)
            let isTold = String(decoding: new, as: UTF8.self).split(separator: "\n").contains {
                $0.contains("bearer-token-refused") && $0.contains(what)
            }
            return isTold || answer.status != 401 ? answer : nil
        }
    }

    /// What the gateway says of itself about the machines that it serves.
    func served() throws -> String { try stack.gatepost("service-token", "list") }

    /// The policy's author ends what this subject has.
    func exclude(_ subject: String) throws {
        try configuration(excluded: subject).write(
            toFile: stack.path(Self.file), atomically: true, encoding: .utf8)
        _ = try stack.gatepost("reload")
    }

    /// An event stream that has begun.
    func stream(_ proof: [String]) throws -> Child {
        try MachineStage(stack: stack).stream(proof)
    }
}
