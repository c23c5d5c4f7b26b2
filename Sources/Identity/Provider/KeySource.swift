import Access
import JSON

/// Where the signing keys of an issuer are found.
public enum KeySource: Sendable, Hashable {
    /// The discovery document of a provider that signs people in.
    case metadata
    /// The discovery document of an issuer that signs nobody in: of it only `jwks_uri` is needed.
    case issuerMetadata
    /// A key set at a configured address.
    case url(String)

    /// `jwks_uri` of a discovery document, whatever else it lacks: issuers of machines' tokens have no
    /// authorization endpoint.
    static func jwksURL(
        parsing bytes: [UInt8], for registration: IdentityProviderRegistration
    ) throws(IdentityError) -> String {
        let document: JSONValue
        do throws(JSONError) {
            document = try JSONValue(parsing: bytes)
        } catch {
            throw IdentityError(.providerMalformed, "discovery document: \(error)")
        }
        // As for sign-ins (Discovery §4.3): another issuer's document names another issuer's keys.
        guard let issuer = document["issuer"]?.string, ExactText.isEqual(issuer, registration.issuer) else {
            throw IdentityError(.providerMalformed, "discovery document: issuer is not the configured one")
        }
        guard let url = document["jwks_uri"]?.string,
            EndpointCheck.isAcceptable(url, allowsPlainHTTP: registration.allowsPlainHTTP)
        else { throw IdentityError(.providerMalformed, "discovery document: jwks_uri is not an https URL") }
        return url
    }
}
