import JSON
import Signatures

/// The page that a popup shows: it hands the answer to the page that opened it, and to that page's origin only.
struct PopupPage: Sendable {
    private let answerText: String
    private let origin: String
    private let isAnswered: Bool

    /// - Parameter origin: signed by the gateway; lower-case host, digits and punctuation only (`Enrolment.isOrigin`).
    init(_ outcome: Result<JSONValue, AttestRefusal>, origin: String, nowSeconds: Int64) {
        self.origin = origin
        let message: JSONValue
        switch outcome {
        case .success(let answer):
            message = answer
            isAnswered = true
        case .failure(let refusal):
            message = ["error": .string(refusal.rawValue), "now": .integer(nowSeconds)]
            isAnswered = false
        }
        // Base64url, words and digits: the bytes of an attribute, whatever they are in.
        answerText = Base64URL.encode(message.serialized())
    }

    /// Script and style are constants, named by their digests: nothing else runs, and nothing is fetched.
    var answer: AttestAnswer {
        let policy = """
            default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; \
            script-src 'sha256-\(Self.digest(Self.script))'; style-src 'sha256-\(Self.digest(Self.style))'
            """
        return AttestAnswer(
            status: 200,
            fields: [
                ("Content-Type", "text/html; charset=utf-8"), ("Content-Security-Policy", policy),
                ("Referrer-Policy", "no-referrer"), ("X-Content-Type-Options", "nosniff"),
                ("X-Frame-Options", "DENY"),
            ], body: Array(html.utf8))
    }

    private var html: String {
        let said = isAnswered ? "This device has answered." : "This device did not answer."
        return """
            <!doctype html>
            <html lang="en"><head><meta charset="utf-8">
            <meta name="viewport" content="width=device-width, initial-scale=1">
            <meta name="color-scheme" content="light dark">
            <title>Gatepost agent</title><style>\(Self.style)</style></head>
            <body><main id="answer" data-origin="\(origin)" data-answer="\(answerText)" role="status">
            <h1>\(said)</h1><p>You can close this window and go on in the one before it.</p>
            </main><script>\(Self.script)</script></body></html>
            """
    }

    private static func digest(_ text: String) -> String { Base64.encode(Digest.sha256(Array(text.utf8))) }

    private static let script = """
        (() => {
          const {origin, answer} = document.getElementById('answer').dataset;
          const bytes = atob(answer.replace(/-/g, '+').replace(/_/g, '/'));
          if (window.opener) window.opener.postMessage(JSON.parse(bytes), origin);
        })();
        """

    private static let style = """
        body{margin:0;min-height:100vh;display:grid;place-items:center;padding:24px;background:#f6f7f5;color:#1c2420;\
        font:16px/1.55 system-ui,sans-serif}
        main{max-width:24rem}h1{font-size:1.2rem;margin:0 0 8px}p{margin:0;color:#5a665f}
        @media (prefers-color-scheme:dark){body{background:#121614;color:#e7ece9}p{color:#9aa8a0}}
        """
}
