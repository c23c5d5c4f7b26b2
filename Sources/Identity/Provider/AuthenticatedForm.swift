import Access
import Fetch
import Signatures

/// Forms that we send to a provider as the client that is registered there: to the token endpoint, and to
/// others that want the same proof (RFC 9126 §2, RFC 7009 §2.1).
struct AuthenticatedForm {
    let registration: IdentityProviderRegistration
    let metadata: ProviderMetadata
    let nowSeconds: Int64

    static let answerBytesMax = 128 << 10

    /// The request that sends `form` with our proof; an assertion in it is good for this one request.
    ///
    /// - Parameter endpoint: as the discovery document has it.
    func request(
        _ form: [(String, String)], to endpoint: String, timeoutMilliseconds: Int = 10_000
    ) throws(IdentityError) -> FetchRequest {
        var request = FetchRequest(
            method: "POST", url: metadata.address(of: endpoint, for: registration),
            fields: [
                ("Accept", "application/json"), ("Content-Type", "application/x-www-form-urlencoded"),
            ], timeoutMilliseconds: timeoutMilliseconds, bodyBytesMax: Self.answerBytesMax,
            allowsPlainHTTP: registration.allowsPlainHTTP, authoritiesPEM: registration.authoritiesPEM)
        // A pushed request names the client by itself, and no name may be there twice.
        let proof = try proof(for: &request).filter { own in !form.contains { $0.0 == own.0 } }
        request.body = Array(FormText.encode(form + proof).utf8)
        return request
    }

    /// Adds the proof to the request and returns the parameters that belong to it.
    private func proof(for request: inout FetchRequest) throws(IdentityError) -> [(String, String)] {
        let id = ("client_id", registration.clientID)
        switch try way() {
        case .announced: return [id]
        case .secretInField:
            // Both halves are form-encoded before they are joined (RFC 6749 §2.3.1): a ":" in an id splits it.
            let pair =
                FormText.encode(registration.clientID) + ":" + FormText.encode(registration.clientSecret)
            request.fields.append(("Authorization", "Basic " + Base64.encode(Array(pair.utf8))))
            return []
        case .secretInBody: return [id, ("client_secret", registration.clientSecret)]
        case .assertion(let key):
            request.isSentOnce = true
            let assertion = try key.assertion(
                clientID: registration.clientID, audience: try audience(of: key, to: request.url),
                announced: metadata.assertionAlgorithms, nowSeconds: nowSeconds)
            return [
                id, ("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"),
                ("client_assertion", assertion),
            ]
        case .certificate(let certificate):
            request.clientCertificatePEM = certificate.chainPEM
            request.clientKeyPEM = certificate.keyPEM
            return [id]
        }
    }

    /// `.announced` only for a public client.
    private func way() throws(IdentityError) -> ClientProof {
        guard registration.proof == .announced else { return registration.proof }
        switch metadata.clientAuthentication(of: registration) {
        case .basic: return .secretInField
        case .post: return .secretInBody
        case ProviderMetadata.ClientAuthentication.none?: return .announced
        case nil:
            throw IdentityError(
                .providerMalformed, "\(registration.name) takes no client secret in any way known")
        }
    }

    /// A hostile provider may announce somebody else's token endpoint and collect assertions for it at an
    /// endpoint of its own. With the issuer as the audience such a one is void elsewhere; with the token
    /// endpoint it is, when everything is on the issuer's own origin.
    private func audience(of key: AssertionKey, to url: String) throws(IdentityError) -> String {
        switch key.audience {
        case .issuer: return registration.issuer
        case .tokenEndpoint:
            let own = EndpointCheck.origin(of: registration.issuer)
            guard EndpointCheck.origin(of: metadata.tokenEndpoint) == own,
                EndpointCheck.origin(of: url) == own
            else {
                throw IdentityError(
                    .providerMalformed,
                    "\(registration.name): the token endpoint is not on the issuer's host, so an assertion for "
                        + "it may be meant for somebody else; use assertion-audience: issuer")
            }
            return metadata.tokenEndpoint
        }
    }
}

extension EndpointCheck {
    /// Scheme, host and port as they are written, in lower case.
    static func origin(of url: String) -> String {
        let scheme = url.hasPrefix("https://") ? "https://" : "http://"
        let authority = url.dropFirst(scheme.utf8.count).prefix { $0 != "/" && $0 != "?" }
        return scheme + authority.lowercased()
    }
}

extension ProviderMetadata {
    /// Where an endpoint is asked: with a client certificate at its alias for mutual TLS (RFC 8705 §5), where
    /// it has one.
    func address(of endpoint: String, for registration: IdentityProviderRegistration) -> String {
        guard case .certificate = registration.proof else { return endpoint }
        return mutualTLSAliases[endpoint] ?? endpoint
    }
}
