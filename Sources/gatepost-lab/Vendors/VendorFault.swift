/// How every vendor's emulator misbehaves when told to (`POST /<vendor>/lab/faults {"name": …}`).
enum VendorFault: String, CaseIterable, Sendable {
    // Throttling: with seconds, with an HTTP date, with a point in time in seconds or milliseconds, without a
    // hint.
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
    /// The connection ends behind the fields of an answer that promised a body.
    case headersOnly = "headers-only"
    case hugePage = "huge-page"
    /// Any status (`status`), with the vendor's error document.
    case fail
    /// Any bytes with 200 (`body`, `contentType`).
    case rawBody = "raw-body"
    /// 200 with the vendor's own way of saying that something went wrong.
    case errorInside = "error-in-200"
    /// The token answer says that the account is elsewhere.
    case wrongCloud = "wrong-cloud"

    // The certificate, where the emulator is served over TLS.
    case untrustedCertificate = "tls-bad-cert"
    case expiredCertificate = "tls-expired"
    case wrongHost = "tls-wrong-host"

    // Credentials.
    case revokedSecret = "revoked-secret"
    case expireTokens = "expire-tokens"
    case missingScope = "missing-scope"

    // Devices.
    case unknownEnum = "unknown-enum"
    case nullFields = "null-fields"
    case futureSeen = "future-last-seen"
    case staleSeen = "stale-last-seen"
    case duplicateSerial = "duplicate-serial"
    case deviceMissing = "device-missing"
}

extension VendorFault {
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
