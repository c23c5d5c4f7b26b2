import Access
import JSON

/// Decides the requests of an access log again, by the decisions of a decision log.
public struct RequestReplay {
    /// What a request was decided by, and what it would be decided by.
    struct Pair: Sendable {
        var live: Residual
        var candidate: Residual?
        var person: String?
        var device: String?
    }

    /// What was counted.
    public struct Counts: Sendable, Hashable {
        public var requests: Int64 = 0
        /// Decided here: equal requests under one decision count once.
        public var decided: Int64 = 0
        public var different: Int64 = 0
        /// Nothing was decided: reserved paths, malformed requests, clients that left.
        public var undecided: Int64 = 0
        /// The decision is not in the log that was read.
        public var unknown: Int64 = 0
        /// The access log has only the beginning of the path.
        public var cutPaths: Int64 = 0
        /// Which client certificate was shown decides, and the access log does not name it: now or by the candidate.
        public var unnamedCertificates: Int64 = 0
        public var malformed: Int64 = 0
    }

    /// Requests that would get something else by the candidate.
    public struct Change: Sendable, Hashable {
        public var word: String
        public var application: String
        public var person: String
        public var before: String
        public var after: String
    }

    /// The access log keeps so much of a path.
    static let pathBytesMax = 1_024
    static let lineBytesMax = 1 << 16

    public private(set) var counts = Counts()
    public private(set) var differences: [String] = []
    public private(set) var changes: [Change: (count: Int64, example: String)] = [:]
    private let pairs: [String: Pair]
    private var nobodys: [String: Pair] = [:]
    private let policies: [String: PolicySnapshot]
    private let candidate: PolicySnapshot?
    private var decided: [String: Outcome] = [:]

    private typealias Outcome = (before: DecidedAgain, after: DecidedAgain?)

    /// - Parameter replay: made with `keepsResiduals`.
    public init(_ replay: Replay) {
        pairs = replay.residuals
        policies = Dictionary(
            replay.policies.map { (String($0.key.prefix(32)), $0.value) }, uniquingKeysWith: { $1 })
        candidate = replay.candidatePolicy
    }

    /// Whether every request that can be decided again came to what the access log says.
    public var isEqual: Bool { counts.different == 0 && counts.malformed == 0 }

    /// - Throws: `ControlFailure` when the file cannot be read.
    public mutating func add(_ path: String) throws(ControlFailure) {
        var feed = try LineFeed(path, lineBytesMax: Self.lineBytesMax)
        var number = 0
        while let line = try feed.next() {
            number += 1
            let problem: String?
            switch line {
            // A crash may have cut the last line short; what does not begin as a line is another file.
            case .partial(let first):
                problem = (first.first ?? UInt8(ascii: "{")) == UInt8(ascii: "{") ? nil : Self.noLine
            case .tooLong: problem = "longer than \(Self.lineBytesMax) bytes"
            case .line(let bytes): problem = take(bytes)
            }
            guard let problem else { continue }
            counts.malformed += 1
            list("\(path):\(number): \(problem)")
        }
    }

    private mutating func list(_ text: String) {
        if differences.count < Replay.listedMax { differences.append(Table.printable(text)) }
    }

    private static let noLine = "is no line of an access log"

    /// - Returns: what is wrong with the line.
    mutating func take(_ bytes: [UInt8]) -> String? {
        guard let line = try? JSONValue(parsing: bytes, limits: JSONLimits(bytesMax: Self.lineBytesMax))
        else {
            return Self.noLine
        }
        // The log's own events stand among the requests.
        if line["event"] != nil { return nil }
        guard let method = line["method"]?.string, let text = line["path"]?.string,
            let path = Self.bytes(text),
            let client = line["client"]?.string, let logged = line["reason"]?.string,
            let application = line["application"]?.string
        else { return "a request lacks a member" }
        counts.requests += 1
        guard let name = line["decision"]?.string else {
            counts.undecided += 1
            return nil
        }
        guard path.count < Self.pathBytesMax else {
            counts.cutPaths += 1
            return nil
        }
        guard let pair = pair(name, application) else {
            counts.unknown += 1
            return nil
        }
        guard let address = NetworkAddress(parsing: client) else {
            return "the client has no numeric address"
        }
        let request = RequestFacts(method: RequestMethod(rawValue: method) ?? .other, client: address)
        let key = "\(name) \(application) \(method) \(client) \(text)"
        let outcome = decided[key] ?? decide(pair, request, path, key)
        let place = "\(application) \(method) \(text)"
        let word = Reason(rawValue: logged).flatMap { Self.decisive.contains($0) ? $0 : nil }
        if let word, !outcome.before.permits(word) {
            counts.different += 1
            list("\(place): logged \(word.rawValue), decided again \(outcome.before.text) by \(name)")
        } else if outcome.before.isOpen || outcome.after?.isOpen ?? false {
            counts.unnamedCertificates += 1
        }
        if let before = outcome.before.word(logged: word), let after = outcome.after?.word(logged: nil),
            after != before
        {
            note(pair, application, before, after, place)
        }
        return nil
    }

    private mutating func decide(
        _ pair: Pair, _ request: RequestFacts, _ path: [UInt8], _ key: String
    ) -> Outcome {
        counts.decided += 1
        let found = (
            before: pair.live.decidedAgain(request, path: path),
            after: pair.candidate?.decidedAgain(request, path: path)
        )
        // Bounded: what is forgotten is decided again.
        if decided.count >= 1_000_000 { decided = [:] }
        decided[key] = found
        return found
    }

    private mutating func note(
        _ pair: Pair, _ application: String, _ before: Reason, _ after: Reason, _ place: String
    ) {
        let word: ShadowFinding.Word =
            switch (Self.forwards(before), Self.forwards(after)) {
            case (true, false): .wouldBlock
            case (false, true): .wouldLetIn
            case (true, true), (false, false): .differs
            }
        let change = Change(
            word: word.rawValue, application: application, person: pair.person ?? "nobody",
            before: before.rawValue, after: after.rawValue)
        changes[change, default: (0, place)].count += 1
    }

    private static func forwards(_ reason: Reason) -> Bool {
        reason == .policyAllows || reason == .policyBypasses
    }

    private mutating func pair(_ name: String, _ application: String) -> Pair? {
        guard name.hasPrefix("policy-") else { return pairs[name] }
        let key = "\(name) \(application)"
        if let known = nobodys[key] { return known }
        guard let policy = policies[String(name.dropFirst(7))],
            let live = policy.application(named: application)
        else { return nil }
        let pair = Pair(
            live: policy.residual(of: nil, nil, for: live, atSeconds: 0),
            candidate: candidate.map { candidate in
                candidate.application(named: application).map {
                    candidate.residual(of: nil, nil, for: $0, atSeconds: 0)
                } ?? ShadowPolicy.nowhere(candidate)
            })
        nobodys[key] = pair
        return pair
    }

    /// The access log writes bytes beyond ASCII as the code point of the same number.
    private static func bytes(_ text: String) -> [UInt8]? {
        var bytes: [UInt8] = []
        for scalar in text.unicodeScalars {
            guard scalar.value < 256 else { return nil }
            bytes.append(UInt8(scalar.value))
        }
        return bytes
    }

    /// Words that a decision alone gives: whatever else a line says happened after it.
    private static let decisive: Set<Reason> = [
        .policyAllows, .policyBlocks, .policyBypasses, .noPolicyMatches, .restrictedMethod, .restrictedPath,
        .deviceRequired, .deviceUnknown, .deviceDenied, .devicePartial, .deviceOwnerMismatch,
        .deviceCertificateRequired, .deviceCertificateUnknown, .deviceCertificateConflict, .postureMissing,
        .postureRequired, .postureStale, .postureNonCompliant, .postureIndeterminate,
        .identityProviderNotAccepted,
    ]
}
