/// What a session that is bound to a key of the browser has beside other sessions. The key itself is a `SessionKey`.
public struct SessionBinding: Sendable, Codable, Hashable {
    /// When the browser last proved that it has the key.
    public var provenAtSeconds: Int64
    /// From this second on the current secret finds nothing: the session sleeps until the key is proven again.
    public var secretUntilSeconds: Int64

    /// Takes the members as they are.
    public init(provenAtSeconds: Int64, secretUntilSeconds: Int64) {
        self.provenAtSeconds = provenAtSeconds
        self.secretUntilSeconds = secretUntilSeconds
    }

    /// From columns that a session without a key leaves empty.
    init?(provenAtSeconds: Int64?, secretUntilSeconds: Int64?) {
        guard let provenAtSeconds, let secretUntilSeconds else { return nil }
        self.init(provenAtSeconds: provenAtSeconds, secretUntilSeconds: secretUntilSeconds)
    }
}

/// The public key that a session is bound to.
public struct SessionKey: Sendable, Codable, Hashable {
    /// The session's id.
    public var sessionID: String
    /// The public key as a JWK (RFC 7517), one JSON object.
    public var jwk: String
    /// When the browser registered it.
    public var registeredAtSeconds: Int64

    /// Makes a row; nothing is checked here.
    public init(sessionID: String, jwk: String, registeredAtSeconds: Int64) {
        self.sessionID = sessionID
        self.jwk = jwk
        self.registeredAtSeconds = registeredAtSeconds
    }
}
