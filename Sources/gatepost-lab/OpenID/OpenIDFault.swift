/// How the provider misbehaves when told to (`POST /lab/faults {"name": …}`).

enum OpenIDFault: String, CaseIterable, Sendable {
    // The id_token is wrong in one way; everything else is right.
    case wrongNonce = "wrong-nonce"
    case noNonce = "no-nonce"
    case wrongAudience = "wrong-aud"
    case emptyAudience = "empty-aud"
    case wrongIssuer = "wrong-iss"
    case wrongParty = "wrong-azp"
    case expired = "expired"
    case issuedInFuture = "future-iat"
    case unsigned = "unsigned"
    case symmetric = "hs256-public-key"
    case badSignature = "bad-signature"
    case unknownKey = "unknown-kid"
    case noEmail = "no-email"
    case unverifiedEmail = "unverified-email"
    case noIDToken = "no-id-token"

    // Odd, but seen at real providers and to be accepted.
    case audienceList = "aud-list"
    case noKeyID = "no-kid"
    case floatingAuthTime = "float-auth-time"

    // Keys.
    case rotateKeys = "rotate-keys"
    case keySetDown = "jwks-down"

    // The authorization response.
    case ignoreContexts = "acr-ignored"
    case oldAuthTime = "old-auth-time"
    case noAuthTime = "no-auth-time"
    case accessDenied = "access-denied"
    case stateStripped = "state-stripped"
    case wrongState = "wrong-state"
    case wrongIssuerParameter = "wrong-iss-parameter"
    case noIssuerParameter = "no-iss-parameter"

    // Discovery, the token endpoint, everything.
    case discoveryIssuer = "discovery-wrong-issuer"
    case ignoreProof = "pkce-ignored"
    case htmlError = "html-error"
    case emptyRefusal = "empty-400"
    case malformedJSON = "malformed-json"
    case serverError = "server-error"
    case hugeAnswer = "huge-answer"
    case slow = "slow"
    case down = "down"

    // Refreshing.
    case noRefreshToken = "no-refresh-token"
    case keepsRefreshToken = "no-rotation"
    case refreshWithoutIDToken = "refresh-without-id-token"
    case refreshNonce = "refresh-wrong-nonce"
    case refreshSubject = "refresh-wrong-sub"
    case refreshAudience = "refresh-wrong-aud"
    case refreshProofNow = "refresh-auth-time-now"
    case refreshRevoked = "refresh-invalid-grant"
    case refreshPassword = "refresh-aadsts50173"
    case refreshDevice = "refresh-aadsts53000"
    case refreshInteraction = "refresh-interaction-required"
    case refreshClient = "refresh-invalid-client"
    case refreshThrottled = "refresh-throttle"
    case refreshOutage = "refresh-outage"
    case refreshAnswerLost = "refresh-answer-lost"
    case revocationDown = "revocation-down"
}
