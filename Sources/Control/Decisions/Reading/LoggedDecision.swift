public import Access
public import Border
import Foundation
import JSON

/// One decision as a decision log has it: the words, and what names its inputs.
public struct LoggedDecision: Sendable {
    /// Its name, as in the access log.
    public var id: DecisionID
    /// When it was made, or confirmed.
    public var atSeconds: Int64
    public var application: String
    /// Why it was made anew.
    public var cause: String
    /// `forward`, `partly`, `refuse` or `sign-in`.
    public var outcome: String
    public var reason: String
    public var session: String
    /// The person's pseudonym; of a client without a person `service` and its name.
    public var person: String
    /// nil: none was shown.
    public var device: String?
    /// The identity of the policy that decided.
    public var policy: String
    /// What the shadow policy would have done; nil: there was none.
    public var shadow: String?

    var identityProvider: String
    var createdAtSeconds: Int64
    var expiresAtSeconds: Int64
    var personFacts: String
    var deviceFacts: String?
    var verdicts: [VerdictReference]
    var result: String
    var validUntilSeconds: Int64
    var openResult: String?
    var openUntilSeconds: Int64?
    /// nil: a person.
    var service: ServiceFacts?
    /// nil: the session was bound to no key.
    var keyProvenAtSeconds: Int64?

    /// A verdict's content by its digest, with the times that are not part of it.
    struct VerdictReference: Sendable {
        var digest: String
        var id: String
        var observedAtSeconds: Int64
        var assessedAtSeconds: Int64?
        var fetchedAtSeconds: Int64
        var expiresAtSeconds: Int64
        var graceUntilSeconds: Int64?

        /// - Parameter digest: of the decision's own verdict, where a confirmation names only times.
        init?(_ value: JSONValue, digest: String? = nil) {
            guard let id = value["id"]?.string, let digest = digest ?? value["digest"]?.string,
                let observed = value["observed_at"]?.integer, let fetched = value["fetched_at"]?.integer,
                let expires = value["expires_at"]?.integer
            else { return nil }
            self.id = id
            self.digest = digest
            observedAtSeconds = observed
            fetchedAtSeconds = fetched
            expiresAtSeconds = expires
            assessedAtSeconds = value["assessed_at"]?.integer
            graceUntilSeconds = value["grace_until"]?.integer
        }
    }
}

extension LoggedDecision {
    /// What one confirmation can stand for; a number beyond is damage.
    static let renewals: ClosedRange<Int64> = 1...1_000_000

    /// Reads a line of kind `decision`; nil when a member is missing or of another kind.
    init?(_ line: JSONValue) {
        func text(_ name: String) -> String? { line[name]?.string }
        func number(_ name: String) -> Int64? { line[name]?.integer }
        guard let id = text("id").flatMap(DecisionID.init), let at = number("at"),
            let application = text("application"), let cause = text("cause"), let outcome = text("outcome"),
            let reason = text("reason"), let session = text("session"), let policy = text("policy"),
            let client = Client(line),
            let result = text("result"), let until = number("valid_until")
        else { return nil }
        let device = text("device")
        let deviceFacts = text("device_facts")
        guard (device == nil) == (deviceFacts == nil) else { return nil }
        var verdicts: [VerdictReference] = []
        for value in line["verdicts"]?.array ?? [] {
            guard let verdict = VerdictReference(value) else { return nil }
            verdicts.append(verdict)
        }
        self.init(
            id: id, atSeconds: at, application: application, cause: cause, outcome: outcome, reason: reason,
            session: session, person: client.person, device: device, policy: policy, shadow: text("shadow"),
            identityProvider: client.provider, createdAtSeconds: client.createdAtSeconds,
            expiresAtSeconds: client.expiresAtSeconds, personFacts: client.facts, deviceFacts: deviceFacts,
            verdicts: verdicts, result: result, validUntilSeconds: until, openResult: text("open_result"),
            openUntilSeconds: number("open_until"), service: client.service,
            keyProvenAtSeconds: number("key_proven_at"))
    }

    /// Who the decision is about: a person with a session, or a service, never both.
    private struct Client {
        var person: String
        var provider = ""
        var createdAtSeconds: Int64 = 0
        var expiresAtSeconds: Int64
        var facts = ""
        var service: ServiceFacts?

        init?(_ line: JSONValue) {
            guard let expires = line["expires_at"]?.integer else { return nil }
            expiresAtSeconds = expires
            if let name = line["service"]?.string {
                guard let id = line["service_id"]?.string, line["person"] == nil else { return nil }
                person = "service \(name)"
                var token: TokenFacts?
                if let value = line["token"] {
                    guard let read = TokenFacts(logged: value) else { return nil }
                    token = read
                }
                service = ServiceFacts(id: id, name: name, expiresAtSeconds: expires, token: token)
                return
            }
            guard let person = line["person"]?.string, let provider = line["identity_provider"]?.string,
                let created = line["created_at"]?.integer, let facts = line["person_facts"]?.string
            else { return nil }
            self.person = person
            self.provider = provider
            createdAtSeconds = created
            self.facts = facts
        }
    }
}

/// What a line of kind `confirmed` says beside whom it is about and how often.
struct LoggedConfirmation: Sendable {
    var atSeconds: Int64
    var validUntilSeconds: Int64
    var openUntilSeconds: Int64?
    /// Only their times; what they say is the decision's.
    var verdicts: [LoggedDecision.VerdictReference] = []

    /// nil when a member is missing or of another kind.
    init?(_ line: JSONValue) {
        guard let at = line["at"]?.integer, let until = line["valid_until"]?.integer else { return nil }
        atSeconds = at
        validUntilSeconds = until
        openUntilSeconds = line["open_until"]?.integer
        for mark in line["verdicts"]?.array ?? [] {
            guard let verdict = LoggedDecision.VerdictReference(mark, digest: "") else { return nil }
            verdicts.append(verdict)
        }
    }
}

/// The inputs of one decision, whole again.
public struct DecisionInputs: Sendable {
    /// nil: a client without a person.
    public var session: SessionFacts?
    public var service: ServiceFacts?
    public var device: DeviceFacts?
    public var policy: PolicySnapshot
    public var atSeconds: Int64
}

/// Why a decision cannot be decided again.
public enum MissingInput: Error, Sendable, Hashable {
    /// The person's line was erased, as people may ask for.
    case erased
    /// A line that the decision names is not in its file.
    case missing(String)
}
