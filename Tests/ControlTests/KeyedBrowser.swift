import Border
import ChildPrograms
import Foundation
import Identity
import JSON
import Signatures
import Store
import Testing

@testable import Control

/// A browser that binds sessions to a key (Device Bound Session Credentials), as far as one host sees it: it keeps a
/// cookie, a key and the challenge that it was sent last.
struct KeyedBrowser {
    let house: Gatehouse
    let host: String
    var key = SigningKey.generateP256()
    /// The cookie's value; nil: thrown away.
    var cookie: String?
    /// The name of the bound session.
    var session: String?
    var challenge: String?

    init(_ house: Gatehouse, host: String = "bank.corp.example") {
        self.house = house
        self.host = host
    }

    var address: String { "https://\(host):8443/.gatepost/dbsc/" }
    var kept: SessionCookie? { cookie.flatMap { SessionCookie(parsing: $0, ring: house.control.ring) } }
    /// What reactors know the cookie by; empty without one.
    var digest: [UInt8] { kept?.tokenDigest ?? [] }

    /// What a proof says; tests bend it.
    struct Proof {
        var header: JSONObject
        var claims: JSONObject
    }

    func proof(of challenge: String, registers: Bool) -> Proof {
        var header: JSONObject = ["typ": "dbsc+jwt"]
        if registers {
            var jwk = key.publicKey.jwk
            jwk["kid"] = nil
            header["jwk"] = .object(jwk)
        }
        return Proof(header: header, claims: ["jti": .string(challenge)])
    }

    func sign(_ proof: Proof, with other: SigningKey? = nil) -> String {
        "\"\(JWS.sign(header: proof.header, payload: proof.claims, with: other ?? key))\""
    }

    func send(_ path: String, _ fields: [(String, String)]) async -> ControlResponse {
        var all = fields.map { Field($0.0, $0.1) }
        if let cookie { all.append(Field("cookie", "__Host-gatepost=\(cookie)")) }
        return await house.control.answer(
            house.request("/.gatepost/dbsc/\(path)", host: host, method: "POST", all))
    }

    /// Does with an answer what a browser does with it.
    mutating func take(_ answer: ControlResponse) {
        for value in Self.values(answer, "Set-Cookie") where value.hasPrefix("__Host-gatepost=") {
            cookie = String(value.dropFirst(16).prefix { $0 != ";" })
        }
        if let field = Self.values(answer, "Secure-Session-Challenge").first {
            challenge = field.split(separator: "\"").first.map(String.init)
        }
        guard answer.status == 200, let body = try? JSONValue(parsing: answer.body) else { return }
        session = body["session_identifier"]?.string ?? session
    }

    mutating func register(_ challenge: String) async -> ControlResponse {
        let proof = sign(proof(of: challenge, registers: true))
        let answer = await send("register", [("secure-session-response", proof)])
        take(answer)
        return answer
    }

    /// The whole round: with the challenge at hand, and once more when the gateway wants another one signed.
    mutating func refresh() async -> ControlResponse {
        var answer = await attempt()
        take(answer)
        if answer.status == 403 {
            answer = await attempt()
            take(answer)
        }
        return answer
    }

    func attempt() async -> ControlResponse {
        var fields = [("sec-secure-session-id", "\"\(session ?? "")\"")]
        if let challenge {
            fields.append(("secure-session-response", sign(proof(of: challenge, registers: false))))
        }
        return await send("refresh", fields)
    }

    static func values(_ answer: ControlResponse, _ name: String) -> [String] {
        answer.fields.filter { $0.name == name }.map(\.value)
    }
}

extension KeyedBrowser {
    static let config =
        Gatehouse.config + """

              bank:
                host: bank.corp.example
                upstreams: [ "http://127.0.0.1:9" ]
                identity-providers: [ corp ]
                policies:
                  - { name: staff, action: allow, include: [ { email-domain: corp.example } ],
                      require: [ { key-bound: true } ] }
              notes:
                host: notes.corp.example
                upstreams: [ "http://127.0.0.1:9" ]
                identity-providers: [ corp ]
                bound-sessions: offer
                bound-lifetime: 5m
                policies:
                  - { name: staff, action: allow, include: [ { email-domain: corp.example } ] }
            """

    /// Somebody who has just signed in, with the offer that came with the cookie.
    static func signedIn(
        _ house: Gatehouse, at application: String = "bank"
    ) async throws -> (browser: KeyedBrowser, challenge: String) {
        let (_, _, cookie) = try await house.signIn(at: application)
        var browser = KeyedBrowser(house, host: "\(application).corp.example")
        browser.cookie = cookie.value
        return (browser, try #require(await offer(house, cookie, browser.host)))
    }

    /// The challenge that an answer with this cookie brings along.
    static func offer(_ house: Gatehouse, _ cookie: SessionCookie, _ host: String) async -> String? {
        let request = house.request("/.gatepost/handoff", host: host)
        let answer = Answers(request: request).redirect("/", setCookies: [cookie.setCookie])
        let field = values(
            await house.control.offeringKey(answer, request), "Secure-Session-Registration"
        ).first
        guard let field, field.hasPrefix("(ES256 RS256);path=\"/.gatepost/dbsc/register\";challenge=\"")
        else { return nil }
        return String(field.dropLast().split(separator: "\"").last ?? "")
    }

    /// Somebody whose session is bound.
    static func bound(_ house: Gatehouse, at application: String = "bank") async throws -> KeyedBrowser {
        var (browser, challenge) = try await signedIn(house, at: application)
        let answer = await browser.register(challenge)
        try #require(answer.status == 200, "\(String(decoding: answer.body, as: UTF8.self))")
        return browser
    }

    static func rsaKey(bits: Int) throws -> SigningKey {
        let file = FileManager.default.temporaryDirectory.appending(path: "key-\(UUID().uuidString).pem")
        defer { try? FileManager.default.removeItem(at: file) }
        _ = try ChildProgram(
            "/usr/bin/openssl",
            ["genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:\(bits)", "-out", file.path]
        ).wait()
        return try SigningKey(pem: Array(Data(contentsOf: file)))
    }
}
