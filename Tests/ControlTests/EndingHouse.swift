import Access
import Border
import Config
import Fetch
import Foundation
import Identity
import JSON
import Signatures
import Store
import Testing

@testable import Control

/// Something that ends sessions, as somebody does it from outside.
enum EndingKind: String, CaseIterable, CustomTestStringConvertible {
    case signOut, signOutEverywhere, backchannelBySID, backchannelBySubject, frontchannel
    case bySession, byPerson, byDevice, byProvider, byApplication, bySubject, byApplicationSession
    case expiry, providerRemoved, providerReplaced

    var testDescription: String { rawValue }

    /// The sign-in goes as well, not only its session at one application.
    var endsSignIn: Bool { self != .byApplication && self != .byApplicationSession }
    /// Bob at another provider is not meant.
    var sparesBob: Bool { self != .byApplication }
    /// No person, no provider and no time of theirs is a machine's.
    var sparesMachine: Bool { self != .byApplication }
}

/// Ada on her device at `corp` with a session that her provider calls s-1, and Bob at another provider.
final class EndingHouse: Sendable {
    let house: Gatehouse
    let ada: (global: StoredSession, globalCookie: SessionCookie, session: StoredSession)
    let adaCookie: SessionCookie
    let bob: StoredSession
    let key = SigningKey.generateP256()

    /// One line of the configuration's identity providers.
    static func provider(_ name: String, _ issuer: String, _ client: String) -> String {
        "  \(name): { issuer: \"\(issuer)\", client-id: \(client), client-secret: { file: secrets/corp } }\n"
    }
    static let corp = provider("corp", "https://login.corp.example", "gatepost")
    static let partner = provider("partner", "https://partner.example", "gp")

    static let config = Gatehouse.config
        .replacingOccurrences(of: "integrations:", with: partner + "integrations:")
        .replacingOccurrences(
            of: "identity-providers: [ corp ]", with: "identity-providers: [ corp, partner ]"
        ).replacingOccurrences(
            of: "    fields: { X-Remote-User: email }\n    policies:\n",
            with: """
                    fields: { X-Remote-User: email }
                    policies:
                      - { name: robots, action: service, include: [ { service: [ robot ] } ] }

                """)

    /// A machine at the wiki that a reactor was given a record of.
    func robot() async throws -> Machine {
        house.control.machines.take(try await house.store.serviceTokens())
        let made = await house.control.execute(
            ["command": "service-token-create", "name": "robot", "expires": 600])
        let digest = MachineRegistry.digest(of: try #require(made["token"]?.string, "\(made)"))
        let wire = MachineRegistry.wire(digest, host: "wiki.corp.example")
        await house.control.pullService(Ticket(reactor: 0, slot: 7, generation: 7), wire, "wiki")
        return try #require(house.control.machines.active(wire))
    }

    init() async throws {
        let outside = Outside()
        let house = try Gatehouse(Self.config, fetcher: outside)
        self.house = house
        let issuer = "https://login.corp.example"
        outside.answer(
            issuer + "/.well-known/openid-configuration",
            """
            {"issuer":"\(issuer)","authorization_endpoint":"\(issuer)/a","token_endpoint":"\(issuer)/t",\
            "jwks_uri":"\(issuer)/k","end_session_endpoint":"\(issuer)/out","response_types_supported":["code"]}
            """)
        var jwk = key.publicKey.jwk
        jwk["kid"] = "k1"
        outside.answer(issuer + "/k", JSONValue.object(["keys": [.object(jwk)]]).serializedText())
        let sessions = Sessions(store: house.store, ring: house.control.ring)
        func signIn(
            _ name: String, _ provider: String, _ issuer: String, sid: String
        ) async throws -> (StoredSession, SessionCookie, StoredSession, SessionCookie) {
            let person = PersonFacts(
                issuer: issuer, subject: name, email: "\(name)@corp.example",
                claims: ["sid": .text(sid)], authenticatedAtSeconds: house.now)
            let (made, cookie) = try await sessions.createGlobal(
                person: person, provider: provider, host: "auth.corp.example", idToken: nil,
                nowSeconds: house.now, lifetimeSeconds: 3_600)
            let global = try #require(
                try await sessions.change(made.id) { $0.deviceID = "device-of-\(name)" })
            let wiki = IdentityApplication(
                name: "wiki", host: "wiki.corp.example", identityProviders: [provider])
            let (session, own) = try await sessions.createApplication(
                wiki, under: global, nowSeconds: house.now)
            return (global, cookie, session, own)
        }
        let (global, globalCookie, session, cookie) = try await signIn("ada", "corp", issuer, sid: "s-1")
        ada = (global, globalCookie, session)
        adaCookie = cookie
        let (_, _, other, otherCookie) = try await signIn(
            "bob", "partner", "https://partner.example", sid: "s-1")
        bob = other
        _ = try #require(await house.pulled(cookie.tokenDigest))
        _ = try #require(await house.pulled(otherCookie.tokenDigest))
        // As in a gateway that runs: the provider's keys are known.
        _ = await backchannel(sid: "nobody's", jti: "warm")
        house.reactors.clear()
    }

    private static func pair(_ cookie: SessionCookie) -> Field {
        Field("cookie", String(cookie.setCookie.prefix { $0 != ";" }))
    }

    func token(sid: String?, subject: String? = nil, jti: String = "t-1") -> String {
        var claims: JSONObject = [
            "iss": "https://login.corp.example", "aud": "gatepost", "iat": .integer(house.now),
            "jti": .string(jti),
            "events": ["http://schemas.openid.net/event/backchannel-logout": .object([:])],
        ]
        claims["sid"] = sid.map { .string($0) }
        claims["sub"] = subject.map { .string($0) }
        return JWS.sign(header: ["typ": "logout+jwt", "kid": "k1"], payload: claims, with: key)
    }

    private func backchannelRequest(sid: String?, subject: String?, jti: String) -> ControlRequest {
        house.request(
            "/.gatepost/backchannel-logout/corp", method: "POST",
            [Field("content-type", "application/x-www-form-urlencoded")],
            body: "logout_token=" + token(sid: sid, subject: subject, jti: jti))
    }

    private func signOutRequest(everywhere: Bool) -> ControlRequest {
        house.request(
            "/.gatepost/sign-out" + (everywhere ? "?everywhere=yes" : ""), host: "wiki.corp.example",
            method: "POST",
            [Field("origin", "https://wiki.corp.example:8443"), Self.pair(adaCookie)])
    }

    private func frontchannelRequest(_ query: String) -> ControlRequest {
        house.request("/.gatepost/frontchannel-logout/corp?\(query)", [Self.pair(ada.globalCookie)])
    }

    /// What a browser or a provider sends for this ending; nil: it comes by no request.
    func request(_ kind: EndingKind) -> ControlRequest? {
        switch kind {
        case .signOut: signOutRequest(everywhere: false)
        case .signOutEverywhere: signOutRequest(everywhere: true)
        case .backchannelBySID: backchannelRequest(sid: "s-1", subject: nil, jti: "t-1")
        case .backchannelBySubject: backchannelRequest(sid: nil, subject: "ada", jti: "t-1")
        case .frontchannel: frontchannelRequest("iss=https%3A%2F%2Flogin.corp.example&sid=s-1")
        case .bySession, .byPerson, .byDevice, .byProvider, .byApplication, .bySubject,
            .byApplicationSession, .expiry, .providerRemoved, .providerReplaced:
            nil
        }
    }

    @discardableResult
    func backchannel(sid: String?, subject: String? = nil, jti: String = "t-1") async -> ControlResponse {
        await house.control.answer(backchannelRequest(sid: sid, subject: subject, jti: jti))
    }

    func signOut(everywhere: Bool = false) async -> ControlResponse {
        await house.control.answer(signOutRequest(everywhere: everywhere))
    }

    func frontchannel(_ query: String) async -> ControlResponse {
        await house.control.answer(frontchannelRequest(query))
    }

    /// - Returns: status or error words for the failure's message.
    func perform(_ kind: EndingKind) async throws -> String {
        func command(_ members: JSONValue) async -> String {
            var members = members.object ?? [:]
            members["command"] = "session-end"
            return await house.control.execute(.object(members)).serializedText()
        }
        if let request = request(kind) { return "\(await house.control.answer(request).status)" }
        switch kind {
        case .signOut, .signOutEverywhere, .backchannelBySID, .backchannelBySubject, .frontchannel:
            return "no request"
        case .bySession: return await command(["session": .string(ada.global.id)])
        case .byPerson: return await command(["person": "Ada@corp.example"])
        case .byDevice: return await command(["device": "device-of-ada"])
        case .byProvider: return await command(["provider": "corp"])
        case .byApplication: return await command(["application": "wiki"])
        case .byApplicationSession: return await command(["session": .string(ada.session.id)])
        case .bySubject: return await command(["provider": "corp", "subject": "ada"])
        case .expiry:
            for session in [ada.session, ada.global] {
                let ending = session.ending(atSeconds: house.now + 10)
                #expect(try await house.store.replace(session, with: ending))
            }
            house.advance(10)
            await house.control.keepUp()
            return "kept up"
        case .providerRemoved:
            try house.rewrite {
                $0.replacingOccurrences(
                    of: Self.corp,
                    with: ""
                ).replacingOccurrences(of: "[ corp, partner ]", with: "[ partner ]")
            }
            try await house.control.reload()
            return "reloaded"
        case .providerReplaced:
            // Another directory under the name that applications accept.
            try house.rewrite {
                $0.replacingOccurrences(
                    of: Self.corp, with: Self.provider("corp", "https://other.corp.example", "gatepost"))
            }
            try await house.control.reload()
            return "reloaded"
        }
    }
}

extension StoredSession {
    fileprivate func ending(atSeconds: Int64) -> StoredSession {
        var session = self
        session.expiresAtSeconds = atSeconds
        return session
    }
}
