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
    case noGroups = "no-groups"
    case unverifiedEmail = "unverified-email"
    case noIDToken = "no-id-token"

    // Odd, but seen at real providers and to be accepted.
    case audienceList = "aud-list"
    case noKeyID = "no-kid"
    case floatingAuthTime = "float-auth-time"

    // Pushed requests.
    case noPushing = "no-par"
    case pushRequired = "par-required"
    case pushRefused = "par-refused"
    case pushUnavailable = "par-unavailable"
    case pushWithoutName = "par-without-name"
    case pushShortLived = "par-short-lived"

    // Clients with a key.
    case refuseAssertion = "assertion-refused"

    // Userinfo, access tokens and Graph. Signed userinfo, hidden groups and demands are no lies.
    case signedUserinfo = "userinfo-signed"
    case userinfoBadSignature = "userinfo-bad-signature"
    case userinfoWrongIssuer = "userinfo-wrong-iss"
    case userinfoWrongAudience = "userinfo-wrong-aud"
    case userinfoWrongSubject = "userinfo-wrong-sub"
    case accessTokenWrongAudience = "access-token-wrong-aud"
    case accessTokenBadSignature = "access-token-bad-signature"
    case groupOverage = "group-overage"
    case graphDown = "graph-down"
    case userinfoDemands = "userinfo-demands-claims"
    case graphDemands = "graph-demands-claims"
    case demandAgain = "demand-again"

    // Keys.
    case rotateKeys = "rotate-keys"
    case keySetDown = "jwks-down"

    // The authorization response.
    case ignoreContexts = "acr-ignored"
    case oldAuthTime = "old-auth-time"
    case noAuthTime = "no-auth-time"
    case accessDenied = "access-denied"
    /// Of a tenant: its device rule refuses whatever the device is.
    case blockedByPolicy = "blocked-by-policy"
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
}
