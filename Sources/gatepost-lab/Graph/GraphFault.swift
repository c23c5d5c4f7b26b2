/// How the Microsoft Graph emulator misbehaves when told to (`POST /lab/faults {"name": …}`).

enum GraphFault: String, CaseIterable, Sendable {
    // Throttling: with seconds, with an HTTP date, with a point in time, with no hint at all.
    case throttle
    case throttleDate = "throttle-http-date"
    case throttleEpoch = "throttle-epoch-seconds"
    case throttleEpochMilliseconds = "throttle-epoch-milliseconds"
    case throttleSilent = "throttle-no-hint"

    // Paging.
    case loop
    case twoCycle = "two-cycle"
    case sameIDs = "same-ids"
    case emptyPage = "empty-page"
    case partialPage = "partial-page"
    case crossHostNext = "cross-host-next"
    case firstBranchOnly = "filter-first-branch"

    // The directory's delta function, and its resource units.
    case syncStateNotFound = "sync-state-not-found"
    case resyncRequired = "resync-required"
    case replay
    case throttleUnits = "throttle-resource-units"

    // Answers.
    case malformed
    case truncated
    case htmlAnswer = "html-200"
    case wrongType = "wrong-content-type"
    case serverError = "server-error"
    case badGateway = "bad-gateway"
    case unavailable
    case gatewayTimeout = "gateway-timeout"
    case slow
    case drip
    case down
    case halfBody = "half-body"
    case headersOnly = "headers-only"
    case hugePage = "huge-page"
    /// Any status (`status`), with Graph's error document.
    case fail
    /// Any bytes with 200 (`body`, `contentType`).
    case rawBody = "raw-body"

    // The certificate, where the emulator is served over TLS.
    case untrustedCertificate = "tls-bad-cert"
    case expiredCertificate = "tls-expired"
    case wrongHost = "tls-wrong-host"

    // Credentials.
    case revokedSecret = "revoked-secret"
    case expiredSecret = "expired-secret"
    case expireTokens = "expire-tokens"
    case missingScope = "missing-scope"
    case otherTenant = "other-tenant"
    case claimsChallenge = "claims-challenge"
    case missingPartnerScope = "missing-partner-scope"
    case missingSettingScope = "missing-setting-scope"

    // Devices.
    case unknownEnum = "unknown-enum"
    case nullFields = "null-fields"
    case futureSync = "future-last-sync"
    case staleSync = "stale-last-sync"
    case duplicateSerial = "duplicate-serial"
    case deviceMissing = "device-missing"
    case wrappedSingle = "wrapped-single"
}

extension GraphFault {
    /// What it does to the certificate; nil: nothing.
    var certificate: CertificateFault? {
        switch self {
        case .untrustedCertificate: .untrusted
        case .expiredCertificate: .expired
        case .wrongHost: .wrongHost
        case _: nil
        }
    }
}
