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
    /// The fault cannot occur there; the reading is complete.
    case inapplicable

    var description: String {
        switch self {
        case .complete: "complete"
        case .failed(let kind): "`\(kind.rawValue)`"
        case .unproven: "unproven"
        case .outdated: "outdated"
        case .worthless: "worthless"
        case .ambiguous: "ambiguous"
        case .gone: "gone"
        case .inapplicable: "n/a"
        }
    }

    var isComplete: Bool {
        switch self {
        case .complete, .outdated, .worthless, .ambiguous, .gone, .inapplicable: true
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
        case .crossHostNext: .inapplicable
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
        // One vendor alone has clouds that tokens tell apart.
        case .wrongCloud: .inapplicable
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
        "jamf error-in-200": .inapplicable, "kolide error-in-200": .inapplicable,
        "kandji error-in-200": .inapplicable, "google error-in-200": .inapplicable,
        "fleet error-in-200": .inapplicable, "crowdstrike wrong-cloud": .failed(.configError),
        "defender cross-host-next": .failed(.malformedResponse),
        // An API token that ended cannot be renewed.
        "tanium expire-tokens": .failed(.authFailed),
        // Theirs has no end.
        "sentinelone expire-tokens": .inapplicable, "kolide expire-tokens": .inapplicable,
        "kandji expire-tokens": .inapplicable, "fleet expire-tokens": .inapplicable,
        "custom expire-tokens": .inapplicable,
        // A service of one's own is asked about devices that are named to it: it has no lists, no times of its devices,
        // and no errors but statuses; who is not known to it is forbidden, too.
        "custom loop": .inapplicable, "custom two-cycle": .inapplicable, "custom same-ids": .inapplicable,
        "custom empty-page": .inapplicable, "custom partial-page": .inapplicable,
        "custom error-in-200": .inapplicable,
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
        // These concern questions about single devices, and the directory.
        case .firstBranchOnly, .wrappedSingle, .missingSettingScope: .inapplicable
        case .syncStateNotFound, .resyncRequired, .replay, .throttleUnits: .inapplicable
        // What an administrator may leave out; Intune asks for it when the integration is connected.
        case .missingPartnerScope: .inapplicable
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

    /// Entra reads what changed since the last time, which every device has done here.
    static func entra(_ fault: GraphFault) -> FaultOutcome {
        switch fault {
        // What is left out of a list of changes has not changed.
        case .partialPage, .deviceMissing: .complete
        case .replay, .missingPartnerScope: .complete
        // The directory has no time of a device's report that counts, and tells devices apart by its own id.
        case .futureSync, .staleSync, .duplicateSerial: .inapplicable
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
