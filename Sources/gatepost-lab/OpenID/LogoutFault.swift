/// What can be wrong with a logout token and with the request that brings it (`POST /lab/logout {"fault":
/// …}`).

enum LogoutFault: String, CaseIterable, Sendable {
    // Wrong in one way; to be refused.
    case wrongAudience = "wrong-aud"
    case emptyAudience = "empty-aud"
    case noAudience = "no-aud"
    case mixedAudience = "aud-with-number"
    case wrongIssuer = "wrong-iss"
    case noIssuer = "no-iss"
    case unsigned = "unsigned"
    case symmetricPublicKey = "hs256-public-key"
    case symmetricSecret = "hs256-client-secret"
    case badSignature = "bad-signature"
    case noSignature = "no-signature"
    case unknownKey = "unknown-kid"
    case withdrawnKey = "withdrawn-key"
    case criticalHeader = "crit"
    case unencoded = "b64-false"
    case noEvents = "no-events"
    case eventsText = "events-text"
    case eventsList = "events-list"
    case otherEvent = "other-event"
    case eventNotObject = "event-not-object"
    case nonce = "nonce"
    case nullNonce = "null-nonce"
    case nobody = "no-sub-no-sid"
    case numericSubject = "sub-number"
    case emptySID = "empty-sid"
    case nullSID = "null-sid"
    case noTokenID = "no-jti"
    case emptyTokenID = "empty-jti"
    case numericTokenID = "jti-number"
    case expired = "expired"
    case expiryText = "exp-text"
    case noIssuedAt = "no-iat"
    case issuedInFuture = "future-iat"
    case issuedLongAgo = "old-iat"
    case notYet = "future-nbf"
    case accessTokenType = "typ-at-jwt"
    case securityEventType = "typ-secevent"
    case numericType = "typ-number"
    case doubledClaim = "doubled-claim"
    case listPayload = "payload-list"
    case huge = "huge"
    case twoTokens = "two-tokens"
    case noToken = "no-token"
    case emptyToken = "empty-token"
    case encryptedForm = "five-parts"
    case jsonBody = "json-body"
    case multipart = "multipart-type"
    case noContentType = "no-content-type"
    case brokenEscape = "broken-escape"
    case notUTF8 = "not-utf8"

    // Odd, but seen at real providers or allowed; to be accepted.
    case plainType = "typ-jwt"
    case noType = "no-typ"
    case upperType = "typ-upper-case"
    case mediaType = "typ-application"
    case noExpiry = "no-exp"
    case plainTypeNoExpiry = "typ-jwt-no-exp"
    case floatingTimes = "float-times"
    case audienceList = "aud-list"
    case severalAudiences = "aud-several"
    case noKeyID = "no-kid"
    case filledEvent = "event-with-members"
    case furtherEvents = "further-events"
    case furtherClaims = "further-claims"
    case charset = "content-type-charset"
    case furtherParameters = "further-parameters"

    /// Whether a relying party has to take the token nevertheless.
    var isTolerable: Bool {
        switch self {
        case .plainType, .noType, .upperType, .mediaType, .noExpiry, .plainTypeNoExpiry, .floatingTimes,
            .audienceList,
            .severalAudiences, .noKeyID, .filledEvent, .furtherEvents, .furtherClaims, .charset,
            .furtherParameters:
            true
        case .wrongAudience, .emptyAudience, .noAudience, .mixedAudience, .wrongIssuer, .noIssuer, .unsigned,
            .symmetricPublicKey, .symmetricSecret, .badSignature, .noSignature, .unknownKey, .withdrawnKey,
            .criticalHeader, .unencoded, .noEvents, .eventsText, .eventsList, .otherEvent, .eventNotObject,
            .nonce, .nullNonce, .nobody, .numericSubject, .emptySID, .nullSID, .noTokenID, .emptyTokenID,
            .numericTokenID, .expired, .expiryText, .noIssuedAt, .issuedInFuture, .issuedLongAgo, .notYet,
            .accessTokenType, .securityEventType, .numericType, .doubledClaim, .listPayload, .huge,
            .twoTokens,
            .noToken, .emptyToken, .encryptedForm, .jsonBody, .multipart, .noContentType, .brokenEscape,
            .notUTF8:
            false
        }
    }
}
