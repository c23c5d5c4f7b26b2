import Access
import Fetch
import Signatures
import Testing

@testable import gatepost_lab

/// A fault of the provider, and what the person and the log are told.
struct FaultRow: Sendable, CustomTestStringConvertible {
    enum Cause: Sendable {
        /// Stands in the log's sentence.
        case says(String)
        /// The exchange itself was broken off.
        case fetch(FetchError.Kind)
    }

    var fault: OpenIDFault
    var reason: Reason
    var cause: Cause
    /// An honest sign-in of somebody else comes first.
    var isWarm = false
    /// How long an answer is waited for; nil: as long as the product does.
    var patienceMilliseconds: Int?
    /// Whether the code is sent to the token endpoint at all.
    var reachesToken: Bool

    var testDescription: String { fault.rawValue }
}

enum FaultTable {
    /// What is wrong with the id_token or its key: the provider spoke, and is not believed.
    private static func token(_ fault: OpenIDFault, _ what: String, warm: Bool = false) -> FaultRow {
        FaultRow(
            fault: fault, reason: .identityProviderRefused, cause: .says(what), isWarm: warm,
            reachesToken: true)
    }

    /// What is no usable answer: as good as none.
    private static func broken(
        _ fault: OpenIDFault, _ what: String, reachesToken: Bool = true
    ) -> FaultRow {
        FaultRow(
            fault: fault, reason: .identityProviderUnavailable, cause: .says(what), reachesToken: reachesToken
        )
    }

    private static func broken(
        _ fault: OpenIDFault, _ kind: FetchError.Kind, reachesToken: Bool = true, patience: Int? = nil
    ) -> FaultRow {
        FaultRow(
            fault: fault, reason: .identityProviderUnavailable, cause: .fetch(kind),
            patienceMilliseconds: patience, reachesToken: reachesToken)
    }

    private static func answer(
        _ fault: OpenIDFault, _ reason: Reason, _ what: String, warm: Bool = false
    ) -> FaultRow {
        FaultRow(fault: fault, reason: reason, cause: .says(what), isWarm: warm, reachesToken: false)
    }

    static let claims: [FaultRow] = [
        token(.wrongNonce, "nonce is not the one sent"), token(.noNonce, "nonce is not the one sent"),
        token(.emptyNonce, "nonce is not the one sent"),
        token(.replayedToken, "nonce is not the one sent", warm: true),
        token(.wrongIssuer, "iss is not the issuer"), token(.noIssuer, "iss is not the issuer"),
        token(.issuerList, "iss is not the issuer"),
        token(.wrongAudience, "aud does not name this client"),
        token(.emptyAudience, "aud does not name this client"), token(.noAudience, "aud is missing"),
        token(.numberInAudience, "aud is missing, or no text or list of texts"),
        token(.severalAudiences, "several audiences and no azp"),
        token(.wrongParty, "azp is another client"), token(.partyList, "azp is another client"),
        token(.noSubject, "sub is not 1 to 255"), token(.emptySubject, "sub is not 1 to 255"),
        token(.longSubject, "sub is not 1 to 255"), token(.exoticSubject, "sub is not 1 to 255"),
        token(.expired, "exp is missing or past"), token(.noExpiry, "exp is missing or past"),
        token(.issuedInFuture, "iat is missing or in the future"),
        token(.noIssueTime, "iat is missing or in the future"), token(.issuedLongAgo, "iat is too old"),
        token(.notYetValid, "nbf is in the future"), token(.futureAuthTime, "auth_time is no time"),
        token(.wrongAccessHash, "at_hash is another token's"),
        token(.wrongCodeHash, "c_hash is another code's"), token(.doubledClaim, "token: payload"),
        token(.subjectNumber, "sub is not 1 to 255"), token(.subjectList, "sub is not 1 to 255"),
        token(.nonceNumber, "nonce is not the one sent"), token(.nonceList, "nonce is not the one sent"),
        token(.issueTimeText, "iat is missing or in the future"),
        token(.issueTimeList, "iat is missing or in the future"),
        token(.expiryText, "exp is missing or past"), token(.expiryList, "exp is missing or past"),
        token(.notBeforeText, "nbf is in the future"), token(.notBeforeList, "nbf is in the future"),
        token(.accessHashNumber, "at_hash is another token's"),
        token(.accessHashList, "at_hash is another token's"),
        token(.codeHashNumber, "c_hash is another code's"),
        token(.codeHashList, "c_hash is another code's"),
    ]

    static let signatures: [FaultRow] = [
        token(.unsigned, "the signature is empty"), token(.unsignedWithBytes, "alg \"none\" is not accepted"),
        token(.twoParts, "exactly three parts"), token(.symmetric, "alg \"HS256\" is not accepted"),
        token(.symmetricSecret, "alg \"HS256\" is not accepted"),
        token(.symmetricKey, "alg \"HS256\" is not accepted"), token(.badSignature, "signature is wrong"),
        token(.ownKey, "signature is wrong"), token(.unknownKey, "no key of staff fits"),
        token(.unknownCritical, "crit names an extension"), token(.emptyCritical, "crit names an extension"),
        token(.unencoded, "b64 is not supported"), token(.unencodedCritical, "crit names an extension"),
        token(.doubledHeader, "token: header"),
    ]

    /// Taken beside the lab's usual ES256.
    static let furtherAlgorithms: [SignatureAlgorithm] = [.rs256, .ps256, .eddsa]

    static let keys: [FaultRow] = [
        token(.weakKey, "no key of staff fits"), token(.smallOrderKey, "no key of staff fits"),
        token(.offCurve, "no key of staff fits"), token(.encryptionKey, "no key of staff fits"),
        token(.derivingKey, "no key of staff fits"), token(.publishedPrivateKey, "no key of staff fits"),
        token(.otherAlgorithm, "no key of staff fits"), token(.keySetEmpty, "no key of staff fits"),
        token(.severalKeysNoID, "without kid, and 2 keys fit"),
        broken(.keySetDown, "/keys: status 503"), broken(.keySetMoved, "/keys: status 302"),
        broken(.keySetPage, "key set: JSON"), broken(.keySetDoubled, "key set: JSON"),
        broken(.keySetLong, "more than 64 keys"), broken(.keySetHuge, .tooLarge),
        broken(.keySetCut, .malformed), broken(.keySetSlow, .timedOut, patience: 2_000),
    ]

    static let discovery: [FaultRow] = [
        broken(.discoveryIssuer, "issuer is not the configured one", reachesToken: false),
        broken(.discoveryNoIssuer, "issuer is not the configured one", reachesToken: false),
        broken(.discoveryNoAuthorization, "authorization_endpoint is missing", reachesToken: false),
        broken(.discoveryNoToken, "token_endpoint is missing", reachesToken: false),
        broken(.discoveryNoKeys, "jwks_uri is missing", reachesToken: false),
        broken(.discoveryNoCode, "response type code is not offered", reachesToken: false),
        broken(.discoveryPlain, "token_endpoint is not an https URL", reachesToken: false),
        broken(.discoveryScript, "authorization_endpoint is not an https URL", reachesToken: false),
        broken(.discoveryNamed, "jwks_uri is not an https URL", reachesToken: false),
        broken(.discoveryMoved, "status 302", reachesToken: false),
        broken(.discoveryDown, "status 503", reachesToken: false),
        broken(.discoveryDoubled, "discovery document: JSON", reachesToken: false),
        broken(.discoveryPage, "discovery document: JSON", reachesToken: false),
        broken(.discoveryHuge, .tooLarge, reachesToken: false),
        broken(.discoveryCut, .malformed, reachesToken: false),
        broken(.discoverySlow, .timedOut, reachesToken: false, patience: 2_000),
        broken(.down, .unreachable, reachesToken: false),
    ]

    static let tokenEndpoint: [FaultRow] = [
        token(.tokenNoClient, "token endpoint: status 401"),
        token(.tokenNoGrant, "token endpoint: status 400"),
        token(.tokenOddRefusal, "token endpoint: status 403"),
        token(.tokenMissing, "token endpoint: status 404"),
        token(.emptyRefusal, "token endpoint: status 400"), token(.noIDToken, "without an id_token"),
        token(.tokenNumber, "without an id_token"), token(.tokenErrorInside, "without an id_token"),
        broken(.tokenThrottled, "token endpoint: status 429"),
        broken(.serverError, "token endpoint: status 500"),
        broken(.tokenBadGateway, "token endpoint: status 502"),
        broken(.tokenUnavailable, "token endpoint: status 503"),
        broken(.tokenNothing, "token endpoint: status 204"),
        broken(.tokenMoved, "token endpoint: status 301"),
        broken(.tokenFound, "token endpoint: status 302"),
        broken(.tokenSeeOther, "token endpoint: status 303"),
        broken(.tokenTemporary, "token endpoint: status 307"),
        broken(.tokenPermanent, "token endpoint: status 308"),
        broken(.htmlError, "token answer"), broken(.malformedJSON, "token answer: JSON"),
        broken(.tokenEmpty, "token answer: JSON"), broken(.tokenList, "token answer: JSON"),
        broken(.tokenDoubled, "token answer: JSON"), broken(.tokenWrongContent, "content type"),
        broken(.tokenOtherType, "token_type"), broken(.tokenNoType, "token_type"),
        broken(.tokenSplit, "access token with bytes"), broken(.tokenNoText, "access token"),
        broken(.hugeAnswer, .tooLarge), broken(.tokenHuge, .tooLarge), broken(.tokenCut, .malformed),
        broken(.tokenHangUp, .unreachable), broken(.tokenSlow, .timedOut, patience: 2_000),
        broken(.slow, .timedOut, patience: 2_000),
    ]

    static let answers: [FaultRow] = [
        answer(.stateStripped, .loginStateLost, "state is missing or not ours"),
        answer(.wrongState, .loginStateLost, "state is missing or not ours"),
        answer(.doubledState, .requestMalformed, "query of the callback"),
        answer(.noCode, .identityProviderUnavailable, "neither code nor error"),
        answer(.emptyCode, .identityProviderUnavailable, "neither code nor error"),
        answer(.doubledCode, .requestMalformed, "query of the callback"),
        answer(.wrongIssuerParameter, .identityProviderRefused, "iss of the answer"),
        answer(.noIssuerParameter, .identityProviderRefused, "the answer has no iss"),
        answer(.doubledIssuerParameter, .requestMalformed, "query of the callback"),
        answer(.accessDenied, .identityProviderRefused, "answered an error"),
        answer(.errorBesideCode, .identityProviderRefused, "answered an error"),
        answer(.interactionRequired, .identityProviderRefused, "answered an error"),
        answer(.wickedWords, .identityProviderRefused, "answered an error"),
        answer(.passingError, .identityProviderUnavailable, "answered an error"),
        token(.replayedCode, "token endpoint: status 400", warm: true),
        token(.foreignCode, "token endpoint: status 400"),
    ]

    /// Of requests that are pushed (RFC 9126), with the client's secret in them.
    static let pushes: [FaultRow] = [
        broken(.pushMoved, "pushed request: status 307", reachesToken: false),
        broken(.pushHuge, .tooLarge, reachesToken: false),
        broken(.pushDoubled, "the answer is no JSON object", reachesToken: false),
        broken(.pushSlow, .timedOut, reachesToken: false, patience: 2_000),
    ]

    static let all = claims + signatures + keys + discovery + tokenEndpoint + answers + pushes

    /// Odd, but seen at real providers: the person gets in.
    static let tolerated: [OpenIDFault] = [
        .audienceList, .noKeyID, .floatingAuthTime, .zeroAuthTime, .noAuthTime, .oldAuthTime, .codeHash,
        .pairwiseSubject, .duplicateKeyID, .foreignKeys, .silentIssuer, .lowerCaseType, .ignoreContexts,
        .noEmail, .unverifiedEmail, .ignoreProof,
    ]

    /// Has a test of its own.
    static let elsewhere: [OpenIDFault] =
        [
            .rotateKeys, .withdrawnKey, .staleKeySet, .authorizeBroken, .authorizeJSON, .authorizePage,
        ] + OpenIDProvider.userinfoFaults + furtherWays + refreshes + signOuts

    /// Of what a client may prove, push and ask beside the code flow; `OpenIDRelyingPartyTests` of ProviderTests and
    /// `OpenIDClientTests` of LabTests serve them, `TwoRegistrationTests` the tenant's rule on devices.
    private static let furtherWays: [OpenIDFault] = [
        .noPushing, .pushRequired, .pushRefused, .pushUnavailable, .pushWithoutName, .pushShortLived,
        .refuseAssertion, .signedUserinfo, .userinfoBadSignature, .userinfoWrongIssuer,
        .userinfoWrongAudience, .userinfoWrongSubject, .accessTokenWrongAudience, .accessTokenBadSignature,
        .groupOverage, .noGroups, .graphDown, .userinfoDemands, .graphDemands, .demandAgain,
        .blockedByPolicy,
    ]

    /// Of refreshes, which no browser sees: `OpenIDRefreshTests` of LabTests serve them, and `RefreshFailureTests`,
    /// `RefreshTests` and `RefreshRaceTests` of IdentityTests hold what follows from each.
    private static let refreshes: [OpenIDFault] = [
        .noRefreshToken, .keepsRefreshToken, .refreshWithoutIDToken, .refreshNonce, .refreshSubject,
        .refreshAudience, .refreshProofNow, .refreshRevoked, .refreshPassword, .refreshDevice,
        .refreshInteraction, .refreshClient, .refreshThrottled, .refreshOutage, .refreshAnswerLost,
        .revocationDown, .revocationMoved, .revocationHuge, .revocationSlow,
    ]

    /// Of signing out at the provider: `SignOutAnswerTests`.
    private static let signOuts: [OpenIDFault] = [
        .endSessionBroken, .logoutStateDropped, .logoutStateOther,
    ]
}
