import Border
import COpenSSL
import Glibc

/// What was wrong with an endpoint. Trivial, because failures of requests make them; words are made where they are
/// told.
enum UpstreamFault: Equatable {
    /// The connection could not be made (errno).
    case connect(Int32)
    case connectTimeout
    /// Its certificate does not do (X509_V_ERR_…).
    case certificate(Int)
    /// TLS failed for another reason.
    case handshake
    /// It was to speak HTTP/2, and does not.
    case notHTTP2
    /// The connection ended, or was reset, in place of an answer or in the middle of one.
    case noAnswer
    case answerTimeout
    case malformed
    /// Too many answers of 500 and above (percent).
    case errors(Int)
    /// A health check was answered so.
    case status(Int)

    var text: String {
        switch self {
        case .connect(let code): "connect: " + String(cString: strerror(code))
        case .connectTimeout: "connect: no answer in time"
        case .certificate(let code): "certificate: " + String(cString: X509_verify_cert_error_string(code))
        case .handshake: "TLS handshake failed"
        case .notHTTP2: "does not speak HTTP/2"
        case .noAnswer: "closed without a whole answer"
        case .answerTimeout: "no answer in time"
        case .malformed: "answer breaks HTTP"
        case .errors(let percent): "\(percent)% of answers are 500 or above"
        case .status(let status): "health check answered \(status)"
        }
    }
}

/// What one reactor has seen of one endpoint, and what follows from it. Times are milliseconds of the caller's clock.
struct EndpointHealth {
    private static let windowMilliseconds: UInt64 = 10_000
    private static let answersMin = 20

    /// Health checks have failed often enough.
    private(set) var isUnhealthy = false
    /// A health check has come to an end.
    private(set) var wasProbed = false
    /// Anything has to be looked at when an answer is whole.
    private(set) var isWatched = false
    private(set) var ejectedUntilMilliseconds: UInt64 = 0
    /// What the standing is for.
    private(set) var fault: UpstreamFault?
    /// Ejections one behind the other; the next one's length.
    private var ejections: UInt8 = 0
    private var lastEjectionMilliseconds: UInt64 = 0
    private var failures: Int32 = 0
    private var probes: Int32 = 0
    private var windowBeganMilliseconds: UInt64 = 0
    private var answers: Int32 = 0
    private var errors: Int32 = 0

    func isAvailable(at now: UInt64) -> Bool { !isUnhealthy && ejectedUntilMilliseconds <= now }

    func standing(_ rules: UpstreamRules, at now: UInt64) -> UpstreamNews.Standing {
        if isUnhealthy { return .unhealthy }
        if ejectedUntilMilliseconds > now { return .ejected }
        return rules.health != nil && !wasProbed ? .probing : .healthy
    }

    /// Answers are watched only where a share of errors is configured, or while something is amiss.
    mutating func adopt(_ rules: UpstreamRules) {
        isWatched = failures > 0 || rules.ejection?.errorPercent != nil
        if rules.ejection == nil { ejectedUntilMilliseconds = 0 }
        if rules.health == nil {
            isUnhealthy = false
            wasProbed = false
            probes = 0
        }
    }

    // MARK: Requests

    /// A request failed here.
    ///
    /// - Returns: whether the endpoint is to be left out; the caller looks whether another one is left.
    mutating func failed(_ fault: UpstreamFault, isConnect: Bool, _ rules: UpstreamRules) -> Bool {
        self.fault = fault
        failures = min(failures + 1, 1 << 20)
        isWatched = true
        guard let ejection = rules.ejection else { return false }
        return isConnect || Int(failures) >= ejection.failuresMax
    }

    /// A request was answered.
    ///
    /// - Returns: as `failed`: too many of the answers were errors.
    mutating func answered(_ status: Int, _ rules: UpstreamRules, at now: UInt64) -> Bool {
        failures = 0
        guard let percent = rules.ejection?.errorPercent else {
            isWatched = false
            return false
        }
        if now >= windowBeganMilliseconds + Self.windowMilliseconds {
            windowBeganMilliseconds = now
            answers = 0
            errors = 0
        }
        answers += 1
        if status >= 500 { errors += 1 }
        guard answers >= Self.answersMin, Int(errors) * 100 >= percent * Int(answers) else { return false }
        fault = .errors(Int(errors) * 100 / Int(answers))
        return true
    }

    /// Leaves the endpoint out: the first time for the configured time, then twice as long each time that it fails
    /// again before it was well for as long as it had been out.
    mutating func eject(_ rules: UpstreamRules, at now: UInt64) {
        guard let ejection = rules.ejection, ejectedUntilMilliseconds <= now else { return }
        if now >= ejectedUntilMilliseconds + lastEjectionMilliseconds { ejections = 0 }
        let longest = UInt64(max(0, ejection.millisecondsMax))
        lastEjectionMilliseconds = min(longest, UInt64(max(0, ejection.milliseconds)) << UInt64(ejections))
        ejectedUntilMilliseconds = now + lastEjectionMilliseconds
        ejections = min(ejections + 1, 20)
        // Afterwards it is on probation: the next failure counts as the last of them.
        failures = Int32(clamping: max(0, ejection.failuresMax - 1))
        isWatched = failures > 0 || ejection.errorPercent != nil
        answers = 0
        errors = 0
        windowBeganMilliseconds = ejectedUntilMilliseconds
    }

    // MARK: Health checks

    /// A health check came to an end; nil: well.
    mutating func probed(_ fault: UpstreamFault?, _ rules: HealthRules) {
        let isFirst = !wasProbed
        wasProbed = true
        guard let fault else {
            probes = isUnhealthy ? probes + 1 : 0
            guard isUnhealthy, Int(probes) >= rules.healthyAfter else { return }
            isUnhealthy = false
            probes = 0
            // It was asked and is well: what requests ran into before is over.
            ejectedUntilMilliseconds = 0
            failures = 0
            return
        }
        probes = isUnhealthy ? 0 : probes + 1
        guard !isUnhealthy, isFirst || Int(probes) >= rules.unhealthyAfter else {
            if isUnhealthy { self.fault = fault }
            return
        }
        isUnhealthy = true
        probes = 0
        self.fault = fault
    }
}
