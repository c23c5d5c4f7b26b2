/// The frame of every page: one visual language, light and dark, no external resource, everything under one nonce.
struct Layout {
    /// A page as bytes and the policy that it is sent with.
    struct Page {
        var html: [UInt8]
        var contentSecurityPolicy: String
    }

    /// What the page may reach beside itself: the local agent's addresses on the device-check page.
    var connectSources: [String] = []
    /// Where its pictures may come from: nowhere, or the same agent, which shows by one that it is there.
    var imageSources: [String] = []
    /// Where its forms may lead beside its own host.
    var formSources: [String] = []

    /// Where the page leads by itself in a browser without scripts.
    var withoutScript: String?

    /// - Parameters:
    ///   - nonce: fresh for every answer, base64url.
    ///   - main: HTML whose every outside text went through `escape`.
    func page(title: String, nonce: String, main: String, script: String? = nil) -> Page {
        var html = """
            <!doctype html>
            <html lang="en">
            <head>
            <meta charset="utf-8">
            <meta name="viewport" content="width=device-width, initial-scale=1">
            <meta name="color-scheme" content="light dark">
            <meta name="robots" content="noindex">
            <title>\(Self.escape(title))</title>
            <style nonce="\(nonce)">\(Style.sheet)</style>\(refresh)
            </head>
            <body>
            <main>
            \(Self.mark)
            \(main)
            </main>
            """
        if let script { html += "<script nonce=\"\(nonce)\">\(script)</script>" }
        html += "</body></html>"
        return Page(
            html: Array(html.utf8), contentSecurityPolicy: policy(nonce: nonce, hasScript: script != nil))
    }

    private var refresh: String {
        guard let url = withoutScript else { return "" }
        return "<noscript><meta http-equiv=\"refresh\" content=\"0;url=\(Self.escape(url))\"></noscript>"
    }

    private func policy(nonce: String, hasScript: Bool) -> String {
        var parts = [
            "default-src 'none'", "base-uri 'none'", "frame-ancestors 'none'", "style-src 'nonce-\(nonce)'",
        ]
        parts.append((["form-action 'self'"] + formSources).joined(separator: " "))
        if !imageSources.isEmpty { parts.append((["img-src"] + imageSources).joined(separator: " ")) }
        if hasScript {
            parts.append("script-src 'nonce-\(nonce)'")
            parts.append((["connect-src 'self'"] + connectSources).joined(separator: " "))
        }
        return parts.joined(separator: "; ")
    }

    /// Text → HTML text or attribute value in double quotes.
    static func escape(_ text: String) -> String {
        var escaped = ""
        escaped.reserveCapacity(text.utf8.count)
        // By scalars: a mark that combines with "<" makes one character of the two, and it is still a "<".
        for scalar in text.unicodeScalars {
            switch scalar {
            case "&": escaped += "&amp;"
            case "<": escaped += "&lt;"
            case ">": escaped += "&gt;"
            case "\"": escaped += "&quot;"
            case "'": escaped += "&#39;"
            case _: escaped.unicodeScalars.append(scalar)
            }
        }
        return escaped
    }

    /// Two posts and the bar between them.
    static let mark = """
        <svg class="mark" viewBox="0 0 32 32" aria-hidden="true" focusable="false">\
        <path d="M7 4v24M25 4v24" stroke-width="4"/><path d="M7 16h18" stroke-width="3"/></svg>
        """
}
