import Access
import JSON

/// What we use of a provider's discovery document (OpenID Connect Discovery 1.0 §3).
public struct ProviderMetadata: Sendable, Hashable {
    /// How we prove at the token endpoint which client we are.
    public enum ClientAuthentication: Sendable { case basic, post, none }

    /// Equal to the configured issuer, byte for byte; of one with tenants the text that stands for all of them.
    public var issuer: String
    /// Where people are sent.
    public var authorizationEndpoint: String
    /// Where codes are exchanged.
    public var tokenEndpoint: String
    /// Where the keys are.
    public var jwksURL: String
    /// Further claims about the person.
    public var userinfoEndpoint: String?
    /// RP-initiated sign-out.
    public var endSessionEndpoint: String?
    /// Where tokens are given back (RFC 7009).
    public var revocationEndpoint: String?
    /// RFC 9207: every authorization answer carries `iss`.
    public var announcesIssuerParameter: Bool
    /// nil: the default of the specification, client_secret_basic.
    public var tokenAuthenticationMethods: [String]?
    /// What client assertions may be signed with; nil: not said.
    public var assertionAlgorithms: [String]?
    /// RFC 9126: where authorization requests are pushed to; nil: not offered.
    public var pushedAuthorizationEndpoint: String?
    /// RFC 9126: the provider takes no other ones.
    public var requiresPushedAuthorization: Bool
    /// RFC 8705 §5: from an endpoint's URL to the one where it takes client certificates.
    public var mutualTLSAliases: [String: String]

    /// Reads and checks a discovery document of `registration`.
    ///
    /// - Throws: `IdentityError(.providerMalformed)` when the issuer differs by a byte, an endpoint is missing or not
    ///   https, or the code flow is not offered.
    public init(
        parsing bytes: [UInt8], for registration: IdentityProviderRegistration
    ) throws(IdentityError) {
        let document: JSONValue
        do throws(JSONError) {
            document = try JSONValue(parsing: bytes)
        } catch {
            throw IdentityError(.providerMalformed, "discovery document: \(error)")
        }
        // A different issuer here is somebody else's document (Discovery §4.3): its keys would sign for that one.
        guard let issuer = document["issuer"]?.string, registration.isDocumented(as: issuer) else {
            throw IdentityError(.providerMalformed, "discovery document: issuer is not the configured one")
        }
        guard document["response_types_supported"]?.array?.contains("code") == true else {
            throw IdentityError(.providerMalformed, "discovery document: response type code is not offered")
        }
        let reader = DiscoveryReader(document: document, registration: registration)
        self.issuer = issuer
        authorizationEndpoint = try reader.required("authorization_endpoint")
        tokenEndpoint = try reader.required("token_endpoint")
        jwksURL = try reader.required("jwks_uri")
        userinfoEndpoint = try reader.endpoint("userinfo_endpoint")
        endSessionEndpoint = try reader.endpoint("end_session_endpoint")
        revocationEndpoint = try reader.endpoint("revocation_endpoint")
        announcesIssuerParameter = document["authorization_response_iss_parameter_supported"]?.bool == true
        tokenAuthenticationMethods = document["token_endpoint_auth_methods_supported"]?.array?.compactMap(
            \.string)
        assertionAlgorithms = document["token_endpoint_auth_signing_alg_values_supported"]?.array?.compactMap(
            \.string)
        pushedAuthorizationEndpoint = try reader.endpoint("pushed_authorization_request_endpoint")
        requiresPushedAuthorization = document["require_pushed_authorization_requests"]?.bool == true
        mutualTLSAliases = try reader.aliases()
    }

    /// client_secret_basic, unless the provider says that it only takes the secret in the body; nil when it takes
    /// neither.
    func clientAuthentication(of registration: IdentityProviderRegistration) -> ClientAuthentication? {
        if registration.clientSecret.isEmpty { return ClientAuthentication.none }
        guard let methods = tokenAuthenticationMethods, !methods.contains("client_secret_basic") else {
            return .basic
        }
        return methods.contains("client_secret_post") ? .post : nil
    }

    /// `{issuer}/.well-known/openid-configuration` (Discovery §4: a terminating slash is removed first).
    static func discoveryURL(of issuer: String) -> String {
        (issuer.hasSuffix("/") ? String(issuer.dropLast()) : issuer) + "/.well-known/openid-configuration"
    }
}

/// The URLs of a discovery document, each checked.
private struct DiscoveryReader {
    let document: JSONValue
    let registration: IdentityProviderRegistration

    func endpoint(_ name: String) throws(IdentityError) -> String? { try url(document[name], name) }

    func required(_ name: String) throws(IdentityError) -> String {
        guard let url = try endpoint(name) else {
            throw IdentityError(.providerMalformed, "discovery document: \(name) is missing")
        }
        return url
    }

    /// Of the endpoints that we send requests of our own to.
    func aliases() throws(IdentityError) -> [String: String] {
        let names = [
            "token_endpoint", "pushed_authorization_request_endpoint", "userinfo_endpoint",
            "revocation_endpoint",
        ]
        var found: [String: String] = [:]
        for name in names {
            guard let own = try endpoint(name) else { continue }
            found[own] = try url(document["mtls_endpoint_aliases"]?[name], "mtls_endpoint_aliases.\(name)")
        }
        return found
    }

    private func url(_ value: JSONValue?, _ name: String) throws(IdentityError) -> String? {
        guard let value, !value.isNull else { return nil }
        guard let url = value.string,
            EndpointCheck.isAcceptable(url, allowsPlainHTTP: registration.allowsPlainHTTP)
        else {
            throw IdentityError(.providerMalformed, "discovery document: \(name) is not an https URL")
        }
        return url
    }
}

/// Which URLs of a provider we use or send people to.
enum EndpointCheck {
    static func isAcceptable(_ url: String, allowsPlainHTTP: Bool) -> Bool {
        guard url.utf8.count <= 2048, url.utf8.allSatisfy({ (0x21...0x7e).contains($0) }),
            !url.contains("#"), !url.contains("\\")
        else { return false }
        let plain = "http://"
        let secure = "https://"
        let isPlain = url.hasPrefix(plain)
        guard isPlain || url.hasPrefix(secure) else { return false }
        let rest = url.dropFirst(isPlain ? plain.count : secure.count)
        let authority = rest.prefix { $0 != "/" && $0 != "?" }
        guard !authority.isEmpty, !authority.contains("@") else { return false }
        return !isPlain || (allowsPlainHTTP && isLoopback(authority))
    }

    private static func isLoopback(_ authority: Substring) -> Bool {
        let host: Substring
        if authority.hasPrefix("[") {
            guard let end = authority.firstIndex(of: "]") else { return false }
            host = authority[...end]
        } else {
            host = authority.prefix { $0 != ":" }
        }
        if host == "[::1]" || host == "localhost" { return true }
        let parts = host.split(separator: ".", omittingEmptySubsequences: false)
        return parts.count == 4 && parts[0] == "127" && parts.allSatisfy { UInt8($0) != nil }
    }
}
