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
    /// nil: the plain provider.
    let tenant: Tenant?
    /// The tenant's own provider, which answers below its path.
    private let below: OpenIDProvider?
    let logoutSender: LogoutSender
    let evidence = Mutex(OpenIDEvidence())
    /// Where clients are asked for their certificate (RFC 8705 §5); nil: nowhere.
    private let certificatePort: UInt16?

    /// - Parameter certificatePort: of a server of this same site whose TLS asks clients for their certificates.
    init(
        port: UInt16, clients: [Client], people: [Person] = Person.demo, clock: LabClock,
        tenant: Tenant? = nil, below: OpenIDProvider? = nil, logoutSender: LogoutSender = LogoutSender(),
        certificatePort: UInt16? = nil
    ) {
        self.certificatePort = certificatePort
        issuer = "http://127.0.0.1:\(port)\(tenant?.prefix ?? "")"
        self.tenant = tenant
        self.below = below
        self.logoutSender = logoutSender
        self.clients = clients
        self.people = people
        self.clock = clock
    }

    /// What stands before every path of this provider; empty for the plain one.
    var prefix: String { tenant?.prefix ?? "" }

    func answer(_ exchange: Exchange) throws {
        if let below, exchange.head.path.hasPrefix(below.prefix + "/") { return try below.answer(exchange) }
        let path = String(exchange.head.path.dropFirst(prefix.count))
        if path == "/lab/faults" {
            let response = try faults.answer(exchange) { fault in
                guard fault == .rotateKeys else { return false }
                state.withLock { $0.rotateKeys() }
                return true
            }
            return try exchange.send(response)
        }
        if path == "/lab/logout" { return try exchange.send(sendLogout(exchange)) }
        if path == "/lab/algorithm" { return try exchange.send(setAlgorithm(exchange)) }
        if path == "/lab/client-key" { return try exchange.send(registerKey(exchange)) }
        if path == "/lab/clock" { return try exchange.send(setClock(exchange)) }
        if faults.fires(.down) != nil { throw DroppedConnection() }
        if try misbehave(exchange) { return }
        switch path {
        case "/.well-known/openid-configuration": try exchange.send(discovery)
        case "/keys": try exchange.send(keySet)
        case "/lab/browser" where tenant != nil: try exchange.send(setBrowserDevice(exchange))
        case "/authorize": try exchange.send(authorize(exchange))
        case "/sign-in": try exchange.send(signIn(exchange))
        case "/par": try exchange.send(push(exchange))
        case "/token": try answerToken(exchange)
        case "/revoke": try exchange.send(revoke(exchange))
        case "/userinfo": try exchange.send(userinfo(exchange))
        case "/sign-out": try exchange.send(signOut(exchange))
        case "/": try exchange.send(.html(SignInPage.welcome(issuer: issuer)))
        case _ where path.hasPrefix("/graph/"): try exchange.send(memberObjects(exchange))
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

    var discovery: Response {
        let claimed = faults.fires(.discoveryIssuer) == nil ? issuer : issuer + "/elsewhere"
        var document: JSONObject = [
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
            "subject_types_supported": [tenant == nil ? "public" : "pairwise"],
            "id_token_signing_alg_values_supported": [.string(state.withLock { $0.algorithm.rawValue })],
            "token_endpoint_auth_methods_supported": [
                "client_secret_basic", "client_secret_post", "private_key_jwt",
            ],
            "token_endpoint_auth_signing_alg_values_supported": ["ES256", "RS256", "PS256"],
            "code_challenge_methods_supported": ["S256"],
            "scopes_supported": ["openid", "profile", "email", "groups", "offline_access"],
            "claims_supported": [
                "sub", "name", "email", "email_verified", "groups", "auth_time", "acr", "amr", "acrs", "sid",
            ],
            "claims_parameter_supported": true,
            "prompt_values_supported": ["none", "login", "select_account"],
            "authorization_response_iss_parameter_supported": true,
            "backchannel_logout_supported": true,
            "backchannel_logout_session_supported": true,
        ]
        if let certificatePort {
            let origin = "https://127.0.0.1:\(certificatePort)\(prefix)"
            document["token_endpoint_auth_methods_supported"] = [
                "client_secret_basic", "client_secret_post", "private_key_jwt", "self_signed_tls_client_auth",
            ]
            document["mtls_endpoint_aliases"] = [
                "token_endpoint": .string(origin + "/token"),
                "revocation_endpoint": .string(origin + "/revoke"),
            ]
        }
        if faults.fires(.noPushing) == nil {
            document["pushed_authorization_request_endpoint"] = "\(issuer)/par"
            document["require_pushed_authorization_requests"] = .bool(faults.isActive(.pushRequired))
        }
        return .json(.object(document))
    }

    var keySet: Response {
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

    /// What the provider says of a person, in the id_token and at userinfo alike.
    func claims(of person: Person, for client: Client) -> JSONObject {
        var claims: JSONObject = [
            "sub": .string(person.subject), "name": .string(person.name),
            "preferred_username": .string(person.user), "email": .string(person.email),
            "email_verified": true,
            "groups": .array(person.groups.map { .string($0) }),
        ]
        for (name, value) in tenantClaims(of: person, for: client) { claims[name] = value }
        return claims
    }
}
