import Fetch
import Foundation
import JSON

/// Why a refresh told nothing new, by what follows from it.
public enum RefreshFailure: Error, Sendable, Hashable {
    /// The provider has taken the sign-in back: the session ends. With the provider's code.
    case revoked(String)
    /// The provider wants to see the person: the session ends, and the next navigation signs in anew.
    case interaction(String)
    /// The provider does not accept us: an administrator's matter, the session goes on.
    case refusesClient(String)
    /// The provider cannot say now: the session goes on until its own end.
    case unavailable(Unavailable)
    /// An answer that cannot be believed; nothing of it was used.
    case unusable(String)
    /// The provider speaks of somebody else: the session ends.
    case otherSubject

    /// A provider that does not answer, or not with what was asked for.
    public struct Unavailable: Sendable, Hashable {
        /// For the log.
        public var what: String
        /// How long the provider wants to be left alone; 1…3,600.
        public var retryAfterSeconds: Int64?
        /// The request may have had its effect: the token may have been replaced, and the new one was not heard.
        public var mayHaveRotated: Bool
    }

    /// The stable word for logs, audit and status (docs/reasons.md).
    public var word: String {
        switch self {
        case .revoked: "sign-in-revoked"
        case .interaction: "interaction-required"
        case .refusesClient: "client-refused"
        case .unavailable: "provider-unavailable"
        case .unusable: "answer-unusable"
        case .otherSubject: "subject-changed"
        }
    }

    /// The token may have been used up without an answer that was heard.
    var mayHaveRotated: Bool {
        if case .unavailable(let unavailable) = self { return unavailable.mayHaveRotated }
        return false
    }

    /// The provider's code, or what was wrong.
    public var detail: String {
        switch self {
        case .revoked(let code), .interaction(let code), .refusesClient(let code): code
        case .unavailable(let unavailable):
            unavailable.what
                + (unavailable.mayHaveRotated ? "; the refresh token may be used up by it" : "")
        case .unusable(let what): what
        case .otherSubject: "the answer is about another subject"
        }
    }
}

extension RefreshFailure {
    /// What an answer without tokens means (RFC 6749 §5.2, and what vendors send beside it).
    ///
    /// - Parameter nowSeconds: for a `Retry-After` that is a date.
    init(_ response: FetchResponse, provider: String, nowSeconds: Int64) {
        let body = try? JSONValue(parsing: response.body)
        let error = body?["error"]?.string
        let code =
            error.flatMap { ProviderCode.of(error: $0, description: body?["error_description"]?.string) }
            ?? "status-\(response.status)"
        // 429 and 5xx come from whatever stands before the provider, whatever their body says.
        let isPassing = response.status == 429 || response.status >= 500 || response.status < 400
        if isPassing, response.status != 200 || error == nil {
            self = .unavailable(
                Unavailable(
                    what: "\(provider): token endpoint: status \(response.status)"
                        + (response.status == 200 ? ", and no token answer" : ""),
                    retryAfterSeconds: RetryAfter.seconds(
                        response.field("retry-after"), nowSeconds: nowSeconds),
                    mayHaveRotated: response.status != 429))
            return
        }
        self = Self.known(code: code) ?? Self.known(error: error, code: code, provider)
    }

    /// Entra's numbers say more than its words: `invalid_grant` stands over a password that was changed, over a second
    /// factor that is missing and over a server that is busy (learn.microsoft.com, "Microsoft Entra authentication and
    /// authorization error codes").
    private static func known(code: String) -> RefreshFailure? {
        guard code.hasPrefix("AADSTS"), let number = Int(code.dropFirst(6)) else { return nil }
        switch number {
        case 50_053, 50_055, 50_056, 50_057, 50_105, 50_132, 50_133, 50_173, 53_000...53_003, 53_005...53_011,
            70_000, 70_008, 70_043, 700_003, 700_082, 700_084:
            return .revoked(code)
        case 16_000, 50_058, 50_072, 50_074, 50_076, 50_079, 50_097, 50_125, 50_127, 50_140, 50_144, 50_158,
            53_004, 65_001, 65_004:
            return .interaction(code)
        case 70_001, 70_002, 90_002, 700_016, 700_025, 700_027, 7_000_112, 7_000_215, 7_000_218, 7_000_222:
            return .refusesClient(code)
        case 50_196, 90_012, 90_024, 90_033, 90_055:
            return .unavailable(
                Unavailable(what: "the provider says \(code)", retryAfterSeconds: nil, mayHaveRotated: false))
        case _: return nil
        }
    }

    private static func known(error: String?, code: String, _ provider: String) -> RefreshFailure {
        switch error {
        case "invalid_grant", "access_denied", "invalid_token": .revoked(code)
        case "interaction_required", "login_required", "consent_required", "account_selection_required",
            "mfa_required":
            .interaction(code)
        case "temporarily_unavailable", "server_error", "slow_down":
            .unavailable(
                Unavailable(
                    what: "\(provider) says \(code)", retryAfterSeconds: nil, mayHaveRotated: false))
        // Every other refusal is about the request, and that is ours: unknown words and empty bodies prove nothing of
        // the person.
        case _: .refusesClient(code)
        }
    }
}

/// How long a provider wants to be left alone (RFC 9110 §10.2.3).
enum RetryAfter {
    static let secondsMax: Int64 = 3_600

    /// Seconds or an IMF-fixdate, clamped to 1 s…1 h; nil for nothing, the past, and what cannot be read.
    static func seconds(_ field: String?, nowSeconds: Int64) -> Int64? {
        guard let text = field?.trimmingCharacters(in: .whitespaces), !text.isEmpty else { return nil }
        let seconds: Int64
        if text.utf8.allSatisfy({ (0x30...0x39).contains($0) }) {
            // Longer than any number: as long as may be.
            seconds = Int64(text) ?? secondsMax
        } else if let date = date(text) {
            seconds = date - nowSeconds
        } else {
            return nil
        }
        return seconds > 0 ? min(seconds, secondsMax) : nil
    }

    private static func date(_ text: String) -> Int64? {
        let reader = DateFormatter()
        reader.locale = Locale(identifier: "en_US_POSIX")
        reader.timeZone = TimeZone(secondsFromGMT: 0)
        reader.dateFormat = "EEE, dd MMM yyyy HH:mm:ss 'GMT'"
        guard let date = reader.date(from: text) else { return nil }
        return Int64(date.timeIntervalSince1970)
    }
}
