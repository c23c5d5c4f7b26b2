/// One guarantee of PROTOCOL.md, and how an agent is asked to break it.
struct ConformanceCheck: Sendable {
    /// Short and stable, such as `origin-suffix`.
    let name: String
    /// The section of PROTOCOL.md.
    let section: String
    /// What must hold.
    let guarantee: String
    /// Waits for the agent's own deadlines.
    var isSlow = false
    /// Throws when the guarantee does not hold.
    let run: @Sendable (ConformanceSubject) throws(ConformanceFailure) -> Void

    init(
        _ name: String, _ section: String, _ guarantee: String, isSlow: Bool = false,
        _ run: @escaping @Sendable (ConformanceSubject) throws(ConformanceFailure) -> Void
    ) {
        self.name = name
        self.section = section
        self.guarantee = guarantee
        self.isSlow = isSlow
        self.run = run
    }

    /// All of them, in the order of the document; what takes renewals comes late.
    static let all: [ConformanceCheck] = [
        hosts, origins, requests, bodies, crossOrigin, challenges, challengeTimes, signatures,
        answers,
        privacy,
        statements, transports, visits, limits, overTime, last,
    ].flatMap { $0 }
}

/// Why a guarantee does not hold, or cannot be judged.
struct ConformanceFailure: Error {
    var what: String
    /// The agent does not offer what is optional: no fault.
    var isNotOffered = false
    /// This machine or run cannot judge it.
    var isNotJudged = false

    init(_ what: String) { self.what = what }

    static func notOffered(_ what: String) -> ConformanceFailure {
        var failure = ConformanceFailure(what)
        failure.isNotOffered = true
        return failure
    }

    static func notJudged(_ what: String) -> ConformanceFailure {
        var failure = ConformanceFailure(what)
        failure.isNotJudged = true
        return failure
    }
}

/// What one check found.
struct ConformanceResult: Sendable {
    enum Outcome: String, Sendable {
        case passed, failed, notOffered = "not-offered", notJudged = "not-judged"
    }

    var check: ConformanceCheck
    var outcome: Outcome
    var detail: String
    var milliseconds: Int64
}

/// Runs checks one after another: they share the agent's rate.
struct ConformanceRun: Sendable {
    let subject: ConformanceSubject
    var checks = ConformanceCheck.all
    /// Called after each, for a person who watches.
    var progress: @Sendable (ConformanceResult) -> Void = { _ in }

    func results() -> [ConformanceResult] {
        checks.map { check in
            let began = subject.clock.nowMilliseconds()
            var result = ConformanceResult(check: check, outcome: .passed, detail: "", milliseconds: 0)
            do throws(ConformanceFailure) {
                try check.run(subject)
            } catch {
                result.outcome = error.isNotOffered ? .notOffered : error.isNotJudged ? .notJudged : .failed
                result.detail = error.what
            }
            result.milliseconds = subject.clock.nowMilliseconds() - began
            progress(result)
            return result
        }
    }
}
