/// What the demo application shows a person.

enum EchoPage {
    static func render(_ head: RequestHead, bodyBytes: Int64, nowSeconds: Int64) -> String {
        let isIdentity = { (name: String) in name.hasPrefix("gatepost-") }
        let identity = head.fields.filter { isIdentity($0.name) }
        let others = head.fields.filter { !isIdentity($0.name) }
        let host = head.field("host") ?? ""
        let person = head.fields.first { isIdentity($0.name) && $0.name.hasSuffix("email") }?.value
        let greeting = person.map { "You are in, <strong>\(Style.escape($0))</strong>." } ?? "You are in."
        let body = """
            <h1>\(Style.escape(title(host)))</h1>
            <p>\(greeting) <span class="soft">This page comes from the protected application, through the
            gateway. It shows exactly what the application received.</span></p>
            <h2>Request</h2>
            <table>
            \(row("Method", head.method))
            \(row("Path", head.target))
            \(row("Body", "\(bodyBytes) bytes"))
            \(row("Received", Timestamp.rfc3339(nowSeconds)))
            </table>
            <h2>Who you are, as the gateway says it</h2>
            \(identity.isEmpty ? "<p class=\"soft\">No identity field arrived.</p>" : table(identity))
            <h2>Other fields</h2>
            \(table(others))
            <p class="foot soft">Also here: <a href="/sse">server-sent events</a>,
            <a href="/bytes/1048576">1 MiB</a>, a WebSocket echo at <code>/ws</code>, uploads at
            <code>/upload</code>.</p>
            """
        return Style.page(title: title(host), body: body)
    }

    /// "wiki.localhost:8443" → "Wiki".
    private static func title(_ host: String) -> String {
        let label = host.prefix { $0 != "." && $0 != ":" }
        guard let first = label.first, first.isLetter else { return "Demo application" }
        return first.uppercased() + label.dropFirst()
    }

    private static func table(_ fields: [(name: String, value: String)]) -> String {
        "<table>\n" + fields.map { row($0.name, $0.value) }.joined(separator: "\n") + "\n</table>"
    }

    private static func row(_ name: String, _ value: String) -> String {
        "<tr><th scope=\"row\">\(Style.escape(name))</th><td>\(Style.escape(value))</td></tr>"
    }
}
