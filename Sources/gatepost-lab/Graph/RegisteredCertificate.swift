import JSON
import Signatures

/// A certificate that is registered with an application at Entra.
struct RegisteredCertificate {
    var certificate: Certificate

    /// The `jti` of a client assertion (RFC 7523 §3) as Entra holds it: signed by this certificate's key, for this
    /// endpoint, for ten minutes at most; nil: it is none.
    func acceptedID(
        of text: String, type: String?, clientID: String, endpoint: String, nowSeconds now: Int64
    ) -> String? {
        guard type == "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
            let token = try? JWS(compact: text), let claims = try? token.payloadObject,
            token.verify(with: certificate.publicKey),
            token.header["x5t#S256"]?.string == Base64URL.encode(certificate.sha256),
            claims["iss"]?.string == clientID, claims["sub"]?.string == clientID,
            claims["aud"]?.string == endpoint, (claims["nbf"]?.integer ?? 0) <= now + 300,
            (now...now + 600).contains(claims["exp"]?.integer ?? 0)
        else { return nil }
        return claims["jti"]?.string
    }
}
