import HTTP

/// One request as the gate sees it: copied out of the head, nothing interpreted yet.
struct AttestRequest: Sendable {
    var method: String
    var path: String
    /// As it was sent, without the question mark; nil when there is none.
    var query: String?
    var hasQuery: Bool { query != nil }
    /// Host field as it was sent, lower case, with its port when it had one.
    var host: String
    var port: UInt16?
    /// The only Origin field's value; nil when there is none or more than one.
    var origin: String?
    /// Also when it is doubled.
    var hasOrigin = false
    /// Sec-Fetch-Mode and Sec-Fetch-Dest (Fetch Metadata §2); nil when the browser sends none, empty when it is
    /// doubled.
    var fetchMode: String?
    var fetchDestination: String?
    var contentType: String?
    var bodyLength: Int64?
    var requestedMethod: String?
    var requestedHeaders: String?
    var asksForPrivateNetwork = false
}

/// What the agent answers. The connection closes after each: the agent has no use for more than one.
struct AttestAnswer: Sendable, Hashable {
    var status: Int
    var fields: [(String, String)]
    var body: [UInt8]
    /// For the agent's log only; the page reads it in the body.
    var refusal: AttestRefusal?

    /// The one refusal for everybody who is not an enrolled gateway's page: same bytes for every path and
    /// method, no version, no hint.
    static let silent = AttestAnswer(status: 403, fields: [], body: [])
    static let misdirected = AttestAnswer(status: 421, fields: [], body: [])

    static func == (left: AttestAnswer, right: AttestAnswer) -> Bool {
        left.status == right.status && left.body == right.body
            && left.fields.elementsEqual(right.fields) { $0.0 == $1.0 && $0.1 == $1.1 }
    }

    func hash(into hasher: inout Hasher) {
        hasher.combine(status)
        hasher.combine(body)
    }

    /// The whole message.
    var serialized: [UInt8] {
        var text = "HTTP/1.1 \(status) \(Self.phrase(status))\r\n"
        for (name, value) in fields { text += "\(name): \(value)\r\n" }
        text += "Cache-Control: no-store\r\nContent-Length: \(body.count)\r\nConnection: close\r\n\r\n"
        return Array(text.utf8) + body
    }

    private static func phrase(_ status: Int) -> String {
        switch status {
        case 200: "OK"
        case 204: "No Content"
        case 303: "See Other"
        case 400: "Bad Request"
        case 401: "Unauthorized"
        case 403: "Forbidden"
        case 409: "Conflict"
        case 413: "Content Too Large"
        case 421: "Misdirected Request"
        case 429: "Too Many Requests"
        case 503: "Service Unavailable"
        default: "Error"
        }
    }
}
