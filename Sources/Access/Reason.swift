/// The stable words that say why something was decided.
///
/// The same word stands in the access log, on the refusal page, in the metric label, in explain records and
/// in the tests. Every word is described in `docs/reasons.md`; renaming one is a breaking change.
public enum Reason: String, CaseIterable, Sendable, Codable {
    // What a request itself did wrong.
    case requestMalformed = "request-malformed"
    case requestTooLarge = "request-too-large"
    case requestTimeout = "request-timeout"
    case routeNotFound = "route-not-found"
    case methodNotAllowed = "method-not-allowed"
    case originNotAllowed = "origin-not-allowed"

    // Who somebody is.
    case signInRequired = "sign-in-required"
    case identityProviderNotAccepted = "identity-provider-not-accepted"
    case identityProviderUnavailable = "identity-provider-unavailable"
    case identityProviderRefused = "identity-provider-refused"
    case loginStateLost = "login-state-lost"
    case formNotKept = "form-not-kept"
    case cookieAmbiguous = "cookie-ambiguous"
    case sessionEnded = "session-ended"
    case authenticationInsufficient = "authentication-insufficient"
    case keyRequired = "key-required"
    case serviceUnknown = "service-unknown"
    case bearerTokenInvalid = "bearer-token-invalid"

    // What policy says.
    case policyAllows = "policy-allows"
    case policyBlocks = "policy-blocks"
    case policyBypasses = "policy-bypasses"
    case noPolicyMatches = "no-policy-matches"
    case restrictedMethod = "restricted-method"
    case restrictedPath = "restricted-path"
    case restrictedUpload = "restricted-upload"
    case restrictedDownload = "restricted-download"

    // What is known of the device.
    case deviceRequired = "device-required"
    case deviceUnknown = "device-unknown"
    case deviceDenied = "device-denied"
    case devicePartial = "device-partial"
    case deviceOwnerMismatch = "device-owner-mismatch"
    case postureMissing = "posture-missing"
    case postureRequired = "posture-required"
    case postureStale = "posture-stale"
    case postureNonCompliant = "posture-non-compliant"
    case postureIndeterminate = "posture-indeterminate"
    case changeHeld = "change-held"

    // What the exchange with the local agent came to.
    case agentNotRunning = "agent-not-running"
    case permissionDenied = "permission-denied"
    case browserUnsupported = "browser-unsupported"
    case gatewayNotTrusted = "gateway-not-trusted"
    case challengeExpired = "challenge-expired"
    case challengeReplayed = "challenge-replayed"
    case clockSkew = "clock-skew"
    case rateLimited = "rate-limited"
    case wrongUser = "wrong-user"
    case signatureInvalid = "signature-invalid"
    case nonceUnknown = "nonce-unknown"
    case nonceUsed = "nonce-used"
    case nonceExpired = "nonce-expired"
    case sessionMismatch = "session-mismatch"
    case audienceMismatch = "audience-mismatch"
    case certificateUntrusted = "certificate-untrusted"
    case certificateExpired = "certificate-expired"
    case certificateRevoked = "certificate-revoked"
    case statementInvalid = "statement-invalid"
    case agentOutdated = "agent-outdated"
    case deviceNotManaged = "device-not-managed"
    case lastSeenStale = "last-seen-stale"
    case enrollmentTokenInvalid = "enrollment-token-invalid"
    case attestationInvalid = "attestation-invalid"

    // What went wrong on our side or behind us.
    case upstreamUnavailable = "upstream-unavailable"
    case upstreamTimeout = "upstream-timeout"
    case upstreamMalformed = "upstream-malformed"
    case controlPlaneUnavailable = "control-plane-unavailable"
    case storeUnavailable = "store-unavailable"
    case overloaded = "overloaded"
    case shuttingDown = "shutting-down"
}
