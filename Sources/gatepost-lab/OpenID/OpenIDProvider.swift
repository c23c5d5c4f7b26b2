/// An OpenID Provider that is strict where the specifications are, and lies only when told to.

import JSON
import Signatures
import Synchronization

final class OpenIDProvider: Site {
    let name = "openid"
    let issuer: String
    let clients: [Client]
    let people: [Person]
    let clock: LabClock
    let faults = FaultSwitch<OpenIDFault>()
    let state = Mutex(ProviderState())

    init(port: UInt16, clients: [Client], people: [Person] = Person.demo, clock: LabClock) {
        issuer = "http://127.0.0.1:\(port)"
        self.clients = clients
        self.people = people
        self.clock = clock
    }

    func answer(_ exchange: Exchange) throws {
        let path = exchange.head.path
        if path == "/lab/faults" {
            let response = try faults.answer(exchange) { fault in
                guard fault == .rotateKeys else { return false }
                state.withLock { $0.rotateKeys() }
                return true
            }
            return try exchange.send(response)
        }
        if path == "/lab/clock" { return try exchange.send(setClock(exchange)) }
        if faults.fires(.down) != nil { throw DroppedConnection() }
        switch path {
        case "/.well-known/openid-configuration": try exchange.send(discovery)
        case "/keys": try exchange.send(keySet)
        case "/authorize": try exchange.send(authorize(exchange))
        case "/sign-in": try exchange.send(signIn(exchange))
        case "/token": try answerToken(exchange)
        case "/revoke": try exchange.send(revoke(exchange))
        case "/userinfo": try exchange.send(userinfo(exchange))
        case "/sign-out": try exchange.send(signOut(exchange))
        case "/": try exchange.send(.html(SignInPage.welcome(issuer: issuer)))
        default: try exchange.send(.text("There is nothing here.\n", status: 404))
        }
    }

    private func setClock(_ exchange: Exchange) throws -> Response {
        guard exchange.head.method == "POST",
            let seconds = (try? JSONValue(parsing: try exchange.readBody()))?["offsetSeconds"]?.integer
        else { return .json(["error": "POST {\"offsetSeconds\": n}"], status: 400) }
        clock.setOffset(seconds: seconds)
        return .json(["now": .string(Timestamp.rfc3339(clock.nowSeconds))])
    }

    private var discovery: Response {
        let claimed = faults.fires(.discoveryIssuer) == nil ? issuer : issuer + "/elsewhere"
        return .json([
            "issuer": .string(claimed),
            "authorization_endpoint": "\(issuer)/authorize",
            "token_endpoint": "\(issuer)/token",
            "userinfo_endpoint": "\(issuer)/userinfo",
            "jwks_uri": "\(issuer)/keys",
            "end_session_endpoint": "\(issuer)/sign-out",
            "revocation_endpoint": "\(issuer)/revoke",
            "response_types_supported": ["code"],
            "response_modes_supported": ["query"],
            "grant_types_supported": ["authorization_code", "refresh_token"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["ES256"],
            "token_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post"],
            "code_challenge_methods_supported": ["S256"],
            "scopes_supported": ["openid", "profile", "email", "groups", "offline_access"],
            "claims_supported": [
                "sub", "name", "email", "email_verified", "groups", "auth_time", "acr", "amr", "acrs",
            ],
            "claims_parameter_supported": true,
            "prompt_values_supported": ["none", "login", "select_account"],
            "authorization_response_iss_parameter_supported": true,
        ])
    }

    private var keySet: Response {
        if faults.fires(.keySetDown) != nil { return .text("The key set is away.\n", status: 503) }
        let keys = state.withLock { $0.keys }
        return .json([
            "keys": .array(
                keys.map { key in
                    var object = key.publicKey.jwk
                    object["kid"] = .string(key.publicKey.thumbprint)
                    object["use"] = "sig"
                    object["alg"] = .string(key.publicKey.algorithm.rawValue)
                    return .object(object)
                })
        ])
    }

    private func userinfo(_ exchange: Exchange) -> Response {
        let refused = [("WWW-Authenticate", "Bearer error=\"invalid_token\"")]
        guard let value = exchange.head.field("authorization"), value.hasPrefix("Bearer "),
            let grant = state.withLock({
                $0.grant(accessToken: String(value.dropFirst(7)), nowSeconds: exchange.nowSeconds)
            })
        else { return .json(["error": "invalid_token"], status: 401, fields: refused) }
        return .json(.object(claims(of: grant.person)))
    }

    /// What the provider says of a person, in the id_token and at userinfo alike.
    func claims(of person: Person) -> JSONObject {
        [
            "sub": .string(person.subject), "name": .string(person.name),
            "preferred_username": .string(person.user), "email": .string(person.email),
            "email_verified": true,
            "groups": .array(person.groups.map { .string($0) }),
        ]
    }
}
