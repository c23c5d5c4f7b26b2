/// The page of a form that waited for a sign-in.
extension Pages {
    /// - Parameters:
    ///   - url: absolute, on the page's own host; where the form was sent to.
    ///   - entries: what was in it. It is not shown: it may be long, and somebody may look over a shoulder.
    static func sendForm(
        application: String, url: String, entries: [(name: String, value: String)], requestID: String,
        nonce: String
    ) -> Layout.Page {
        let fields = entries.map { entry in
            """
            <input type="hidden" name="\(Layout.escape(entry.name))" value="\(Layout.escape(entry.value))">
            """
        }
        let main = """
            <h1>Send your form now?</h1>
            <p>Your session at \(Layout.escape(application)) had ended when you sent a form. You are signed in again, \
            and nothing has been sent yet.</p>
            <p class="soft">It goes to <code>\(Layout.escape(url))</code>. This page works once.</p>
            <form method="post" action="\(Layout.escape(url))" accept-charset="utf-8">\(fields.joined())\
            <button type="submit">Send</button></form>
            <a class="button quiet" href="/">Do not send it</a>
            """
        return Layout().page(
            title: "Send your form now?", nonce: nonce,
            main: main + footer(reason: nil, requestID: requestID))
    }
}
