/// Clients that prove themselves with a key (RFC 7523) or a certificate (RFC 8705): registered over
/// `POST /lab/client-key`, strict from then on.

import JSON
import Signatures
import Synchronization

extension OpenIDProvider {
    static let assertionType = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"

    /// `POST /lab/client-key {"client": …, "pem": …}`: the client's public key or certificate. Its secret is void then.
    func registerKey(_ exchange: Exchange) throws -> Response {
        guard exchange.head.method == "POST", let value = try? JSONValue(parsing: try exchange.readBody()),
            let id = value["client"]?.string, clients.contains(where: { $0.id == id }),
            let pem = value["pem"]?.string, (try? VerificationKey(pem: Array(pem.utf8))) != nil
        else {
            return .json(["error": "POST {\"client\": id, \"pem\": public key or certificate}"], status: 400)
        }
        state.withLock { $0.clientKeys[id] = Array(pem.utf8) }
        return .json([:])
    }

    /// The client of an assertion: of its own registered key, for this provider, at most five minutes long,
    /// and never seen before.
    func client(assertion: String, type: String?, _ nowSeconds: Int64) -> Client? {
        guard type == Self.assertionType, faults.fires(.refuseAssertion) == nil,
            let token = try? JWS(compact: assertion), let claims = try? token.payloadObject,
            let id = claims["iss"]?.string, claims["sub"]?.string == id,
            let client = clients.first(where: { $0.id == id }),
            let pem = state.withLock({ $0.clientKeys[id] }),
            let key = try? VerificationKey(pem: pem, algorithm: token.algorithm), token.verify(with: key),
            isNamed(token, pem), let audience = claims["aud"]?.string,
            [issuer, "\(issuer)/token"].contains(audience), let jti = claims["jti"]?.string,
            let expiry = claims["exp"]?.integer, nowSeconds < expiry, expiry <= nowSeconds + 300
        else { return nil }
        let isNew = state.withLock { state in
            if state.usedAssertions.count >= ProviderState.entriesMax { state.usedAssertions.removeAll() }
            return state.usedAssertions.insert(jti).inserted
        }
        return isNew ? client : nil
    }

    /// The client that registered this very certificate (RFC 8705 §2.2): another one of the same name is nobody's.
    ///
    /// - Parameter certificate: SHA-256 of what was proven in the handshake.
    func client(certificate: [UInt8], id: String?) -> Client? {
        guard let id, let client = clients.first(where: { $0.id == id }),
            let pem = state.withLock({ $0.clientKeys[id] }), let registered = try? Certificate(pem: pem),
            constantTimeEqual(registered.sha256, certificate)
        else { return nil }
        return client
    }

    /// By the thumbprint of the certificate where one is registered, as Microsoft Entra wants it; else by any `kid`.
    private func isNamed(_ token: JWS, _ pem: [UInt8]) -> Bool {
        guard let certificate = try? Certificate(pem: pem) else { return token.keyID != nil }
        return token.header["x5t#S256"]?.string == Base64URL.encode(certificate.sha256)
    }
}
