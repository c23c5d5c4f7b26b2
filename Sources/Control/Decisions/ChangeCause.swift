import Border

/// Why sessions are decided anew. The word stands in logs; what follows it is no part of the word.
enum ChangeCause: Sendable, Hashable {
    /// What is known of this device changed: a provider's answer or silence, a signal, its enrolment, its end.
    case device(String)
    /// An identity provider's signal, or its answer to a refresh, changed what is known of the person.
    case claims
    /// The person proved a device.
    case deviceCheck
    /// The person's device has not proved itself in time again.
    case proofExpired
    /// The person came back from a stronger sign-in.
    case stepUp
    /// The browser registered or proved the key that the session is bound to.
    case key
    /// Another configuration is in force, of this revision.
    case reload(UInt64)
    /// A record nears its end: what it was made of may have aged.
    case renewal
    /// A reactor asked for a token that it does not know, or whose record has ended.
    case request
    /// A change that was held may have its effect: an administrator released it, or its time was over.
    case release

    /// For logs.
    var word: String {
        switch self {
        case .device: "device"
        case .claims: "claims"
        case .deviceCheck: "device-check"
        case .proofExpired: "device-check-expired"
        case .stepUp: "step-up"
        case .key: "key"
        case .reload: "reload"
        case .renewal: "renewal"
        case .request: "request"
        case .release: "release"
        }
    }
}

/// One session that was decided anew: what it had, what it gets, and why it was looked at.
struct Redecided: Sendable {
    var cause: ChangeCause
    var session: String
    /// What reactors were given last; nil: nothing since the start.
    var old: SessionRecord?
    /// What they are given now; nil: the session ends.
    var new: SessionRecord?
    /// The ids of the verdicts that the device had when it was decided on before, sorted.
    var oldVerdicts: [String]
    /// The ids of the verdicts that it has now, sorted.
    var newVerdicts: [String]
    /// The id of the change that is held; `new` then grants no more than `old` did. nil: nothing is held.
    var heldBy: String?
}
