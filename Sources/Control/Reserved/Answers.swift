import Access
import Border
import Identity
import JSON
import Signatures

/// Responses of the control plane, all with the fields that keep them out of caches, frames and referrers.
struct Answers {
    var request: ControlRequest

    private static let common = [
        // Not "no-referrer": with it browsers send "Origin: null" on the forms of our own pages (Fetch standard,
        // "append a request Origin header"), and our own Origin is what proves that a form is ours.
        Field("Cache-Control", "no-store"), Field("Referrer-Policy", "same-origin"),
        Field("X-Content-Type-Options", "nosniff"), Field("X-Frame-Options", "DENY"),
        // The page that will open the agent's popup must keep its opener.
        Field("Cross-Origin-Opener-Policy", "same-origin-allow-popups"),
    ]

    /// A fresh nonce for one page.
    static func nonce() -> String { Base64URL.encode(Random.bytes(18)) }

    func redirect(_ url: String, setCookies: [String] = [], status: Int = 302) -> ControlResponse {
        response(status, [Field("Location", url)], setCookies: setCookies)
    }

    func page(_ status: Int, _ page: Layout.Page, reason: Reason? = nil, setCookies: [String] = [])
        -> ControlResponse
    {
        response(
            status,
            [
                Field("Content-Type", "text/html; charset=utf-8"),
                Field("Content-Security-Policy", page.contentSecurityPolicy),
            ], body: page.html, reason: reason, setCookies: setCookies)
    }

    func json(_ status: Int, _ value: JSONValue, reason: Reason? = nil, setCookies: [String] = [])
        -> ControlResponse
    {
        response(
            status, [Field("Content-Type", "application/json")], body: value.serialized(), reason: reason,
            setCookies: setCookies)
    }

    /// The public keys of assertions. Caches may keep them for less time than a key is announced before its use.
    func keySet(_ value: JSONValue) -> ControlResponse {
        var answer = json(200, value)
        answer.fields.removeAll { $0.name == "Cache-Control" }
        answer.fields.append(Field("Cache-Control", "public, max-age=\(Assertion.keySetSeconds)"))
        return answer
    }

    /// A failure that a person sees, with its reason and the way on.
    ///
    /// - Parameter provider: what the identity provider said, where the refusal is its own.
    func failure(
        _ status: Int, _ reason: Reason, provider: ProviderWords? = nil,
        shortfalls: [StepUp.Shortfall] = [], retryURL: String? = nil,
        isForm: Bool = false, setCookies: [String] = []
    ) -> ControlResponse {
        page(
            status,
            Pages.failure(
                reason: reason, provider: provider, shortfalls: shortfalls, requestID: request.requestID,
                retryURL: retryURL,
                isForm: isForm, nonce: Self.nonce()),
            reason: reason, setCookies: setCookies)
    }

    /// A failure that a script or an agent reads.
    ///
    /// - Parameter ageSeconds: how old what was too old is; the page says whole days.
    func refusal(_ status: Int, _ reason: Reason, ageSeconds: Int64? = nil) -> ControlResponse {
        let text = ReasonTexts.text(of: reason)
        var members = JSONObject([
            ("reason", .string(reason.rawValue)), ("error", .string(reason.rawValue)),
            ("happened", .string(text.happened)), ("remedy", .string(text.remedy)),
            ("request_id", .string(request.requestID)),
        ])
        if let ageSeconds { members["days"] = .integer(ageSeconds / 86_400) }
        return json(status, .object(members), reason: reason)
    }

    private func response(
        _ status: Int, _ fields: [Field], body: [UInt8] = [], reason: Reason? = nil, setCookies: [String] = []
    ) -> ControlResponse {
        var all = Self.common + fields + setCookies.map { Field("Set-Cookie", $0) }
        if let reason { all.append(Field("Gatepost-Reason", reason.rawValue)) }
        // RFC 9110 §15.5.2: a 401 names a way to authenticate.
        if status == 401 { all.append(Field("WWW-Authenticate", "Gatepost realm=\"gatepost\"")) }
        return ControlResponse(
            ticket: request.ticket, status: status, fields: all, body: body, reason: reason)
    }
}

/// Reads of a request that several reserved paths need.
extension ControlRequest {
    /// The values of a field, in order; names arrive lower case.
    func values(_ name: String) -> [String] { fields.filter { $0.name == name }.map(\.value) }

    /// The only value of a field, nil when it is absent or doubled.
    func value(_ name: String) -> String? {
        let found = values(name)
        return found.count == 1 ? found[0] : nil
    }

    /// Whether a browser says that it will show the answer as a document (Fetch Metadata §2.1, §2.2): a page of ours
    /// with a script then does what a redirect cannot.
    var isDocument: Bool {
        method == "GET" && value("sec-fetch-mode") == "navigate" && value("sec-fetch-dest") == "document"
    }

    /// A query parameter, decoded; nil when absent, and when the query could be read in two ways.
    func parameter(_ name: String) -> String? { FormText.parse(query)?[name] }
}
