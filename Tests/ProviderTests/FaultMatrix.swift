@testable import Posture
@testable import gatepost_lab

/// What is documented to happen when a provider misbehaves during a synchronisation.
enum FaultOutcome: Sendable, Equatable, CustomStringConvertible {
    /// Everything as if nothing had happened.
    case complete
    /// Broken off with this class of failure.
    case failed(ConnectorFailure.Kind)
    /// Read to its end without a failure, but absence is not proven.
    case unproven
    /// Complete, but nothing in it is newer than what was known.
    case outdated
    /// Complete, and what came says nothing that could let a device in.
    case worthless
    /// Complete, and the device's key names two records.
    case ambiguous
    /// Complete, and the device is known to be gone.
    case gone

    var description: String {
        switch self {
        case .complete: "complete"
        case .failed(let kind): "`\(kind.rawValue)`"
        case .unproven: "unproven"
        case .outdated: "outdated"
        case .worthless: "worthless"
        case .ambiguous: "ambiguous"
        case .gone: "gone"
        }
    }

    var isComplete: Bool {
        switch self {
        case .complete, .outdated, .worthless, .ambiguous, .gone: true
        case .failed, .unproven: false
        }
    }
}

/// The documented outcome of every fault at every vendor.
enum FaultMatrix {
    static func outcome(of fault: VendorFault, at vendor: String) -> FaultOutcome {
        exceptions["\(vendor) \(fault.rawValue)"] ?? outcome(of: fault)
    }

    private static func outcome(of fault: VendorFault) -> FaultOutcome {
        switch fault {
        case .throttle, .throttleDate, .throttleEpoch, .throttleEpochMilliseconds, .throttleSilent:
            .failed(.throttled)
        case .loop, .twoCycle, .sameIDs: .failed(.pagingLoop)
        case .emptyPage: .complete
        case .partialPage: .unproven
        // Lists that are read by cursor or page number have no links.
        case .crossHostNext: .complete
        case .malformed, .truncated, .htmlAnswer, .hugePage, .errorInside: .failed(.malformedResponse)
        // The document counts, not what it is called.
        case .wrongType: .complete
        case .serverError, .badGateway, .unavailable, .gatewayTimeout, .down: .failed(.unavailable)
        case .halfBody, .headersOnly, .rawBody: .failed(.malformedResponse)
        // With 500, which it is when nothing else is asked for.
        case .fail: .failed(.unavailable)
        case .untrustedCertificate, .expiredCertificate, .wrongHost: .failed(.tlsError)
        case .slow, .drip: .failed(.timeout)
        case .revokedSecret: .failed(.authFailed)
        case .expireTokens: .complete
        case .missingScope: .failed(.forbidden)
        // Heard at the next token.
        case .wrongCloud: .complete
        case .unknownEnum, .nullFields, .futureSeen: .worthless
        // A provider that answers from the past does not turn time back: what is known stays until its own
        // end.
        case .staleSeen: .outdated
        case .duplicateSerial: .ambiguous
        case .deviceMissing: .gone
        }
    }

    private static let exceptions: [String: FaultOutcome] = [
        // A page is a number here: what was left out of it is on no other.
        "workspace-one empty-page": .unproven, "jamf empty-page": .unproven, "kandji empty-page": .unproven,
        "fleet empty-page": .unproven,
        // Vendors whose errors have a status of their own.
        "jamf error-in-200": .complete, "kolide error-in-200": .complete, "kandji error-in-200": .complete,
        "google error-in-200": .complete, "fleet error-in-200": .complete,
        "defender cross-host-next": .failed(.malformedResponse),
        // An API token that ended cannot be renewed.
        "tanium expire-tokens": .failed(.authFailed),
        // A service of one's own is asked about devices that are named to it: it has no lists, no times of its devices,
        // and no errors but statuses; who is not known to it is forbidden, too.
        "custom loop": .complete, "custom two-cycle": .complete, "custom same-ids": .complete,
        "custom partial-page": .complete, "custom error-in-200": .complete,
        "custom revoked-secret": .failed(.forbidden), "custom future-last-seen": .complete,
        "custom stale-last-seen": .complete, "custom duplicate-serial": .complete,
        "custom null-fields": .gone,
    ]

    static func outcome(of fault: GraphFault) -> FaultOutcome {
        switch fault {
        case .throttle, .throttleDate, .throttleEpoch, .throttleEpochMilliseconds, .throttleSilent:
            .failed(.throttled)
        case .loop, .twoCycle, .sameIDs: .failed(.pagingLoop)
        case .emptyPage: .complete
        case .partialPage: .unproven
        case .crossHostNext, .malformed, .truncated, .htmlAnswer, .halfBody, .headersOnly, .hugePage,
            .rawBody:
            .failed(.malformedResponse)
        case .untrustedCertificate, .expiredCertificate, .wrongHost: .failed(.tlsError)
        // These two concern questions about single devices.
        case .firstBranchOnly, .wrappedSingle: .complete
        // These concern the directory, and what an administrator may leave out.
        case .syncStateNotFound, .resyncRequired, .replay, .throttleUnits, .missingPartnerScope,
            .missingSettingScope:
            .complete
        case .wrongType: .complete
        case .serverError, .badGateway, .unavailable, .gatewayTimeout, .fail, .down: .failed(.unavailable)
        case .slow, .drip: .failed(.timeout)
        case .revokedSecret, .expiredSecret, .claimsChallenge, .otherTenant: .failed(.authFailed)
        case .expireTokens: .complete
        case .missingScope: .failed(.forbidden)
        case .unknownEnum, .nullFields, .futureSync: .worthless
        case .staleSync: .outdated
        case .duplicateSerial: .ambiguous
        case .deviceMissing: .gone
        }
    }

    /// Entra reads what changed since the last time: of a record that did not change it hears nothing, spoiled or not.
    static func entra(_ fault: GraphFault) -> FaultOutcome {
        switch fault {
        case .partialPage, .crossHostNext, .unknownEnum, .nullFields, .futureSync, .staleSync,
            .duplicateSerial, .deviceMissing:
            .complete
        // Read anew from the beginning, which the same fault spoils.
        case .syncStateNotFound, .resyncRequired: .failed(.malformedResponse)
        case .throttleUnits: .failed(.throttled)
        case _: outcome(of: fault)
        }
    }

    /// What a clock that is wrong at the provider comes to, by seconds that it is ahead.
    static let clocks: [(seconds: Int64, name: String)] = [
        (600, "clock +10 min"), (-600, "clock -10 min"), (172_800, "clock +2 d"),
    ]
    static func outcome(ofClock seconds: Int64, at vendor: String) -> FaultOutcome {
        clockExceptions["\(vendor) \(seconds)"]
            ?? (seconds > 86_400 ? .worthless : seconds < 0 ? .outdated : .complete)
    }
    private static let clockExceptions: [String: FaultOutcome] = [
        // No times of its devices.
        "custom 172800": .complete, "custom -600": .complete,
        // Tokens have ended there, and what would get new ones has, too.
        "google 172800": .failed(.authFailed),
    ]
}
