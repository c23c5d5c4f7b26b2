/// An answer with a known length. Streams are written by `Exchange.beginStream`.

import JSON

struct Response {
    var status: Int
    var fields: [(String, String)] = []
    var body: [UInt8] = []

    static func json(_ value: JSONValue, status: Int = 200, fields: [(String, String)] = []) -> Response {
        let type = [("Content-Type", "application/json"), ("Cache-Control", "no-store")]
        return Response(status: status, fields: type + fields, body: value.serialized())
    }

    static func text(_ text: String, status: Int = 200) -> Response {
        Response(
            status: status, fields: [("Content-Type", "text/plain; charset=utf-8")], body: Array(text.utf8))
    }

    static func html(_ text: String, status: Int = 200, fields: [(String, String)] = []) -> Response {
        let type = [
            ("Content-Type", "text/html; charset=utf-8"), ("Cache-Control", "no-store"),
            ("Referrer-Policy", "no-referrer"), ("X-Content-Type-Options", "nosniff"),
        ]
        return Response(status: status, fields: type + fields, body: Array(text.utf8))
    }

    /// 303, so that a form post never travels on (RFC 9700 4.12).
    static func redirect(to location: String, fields: [(String, String)] = []) -> Response {
        Response(status: 303, fields: [("Location", location), ("Cache-Control", "no-store")] + fields)
    }

    static let reasons: [Int: String] = [
        100: "Continue", 101: "Switching Protocols", 200: "OK", 201: "Created", 204: "No Content",
        303: "See Other", 400: "Bad Request", 401: "Unauthorized", 403: "Forbidden", 404: "Not Found",
        405: "Method Not Allowed", 413: "Content Too Large", 426: "Upgrade Required",
        429: "Too Many Requests",
        431: "Request Header Fields Too Large", 500: "Internal Server Error", 502: "Bad Gateway",
        503: "Service Unavailable", 505: "HTTP Version Not Supported",
    ]

    static func head(status: Int, fields: [(String, String)]) -> [UInt8] {
        var text = "HTTP/1.1 \(status) \(reasons[status] ?? "Status")\r\n"
        for (name, value) in fields { text += "\(name): \(value)\r\n" }
        return Array((text + "\r\n").utf8)
    }
}
