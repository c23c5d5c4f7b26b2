import Access
import Identity

/// The pages before and after signing out.
extension Pages {
    /// The question before signing out; the answer is a POST with our own Origin.
    ///
    /// - Parameter hasWayBack: whether there is an application at this host.
    static func confirmSignOut(requestID: String, nonce: String, hasWayBack: Bool) -> Layout.Page {
        let main = """
            <h1>Sign out?</h1>
            <p class="soft">This ends your sessions in this browser, in every application behind this gateway.</p>
            <form method="post" action="/.gatepost/sign-out">
            <button type="submit">Sign out</button>
            <button class="quiet" type="submit" formaction="/.gatepost/sign-out?everywhere=yes" \
            aria-describedby="everywhere">Sign out everywhere</button>
            <p class="soft" id="everywhere">Everywhere: on all your devices and in all your browsers.</p>
            </form>
            \(hasWayBack ? "<a class=\"button quiet\" href=\"/\">Stay signed in</a>" : "")
            """
        return Layout(formSources: ["https:", "http://127.0.0.1:*"]).page(
            title: "Sign out", nonce: nonce, main: main + footer(reason: nil, requestID: requestID))
    }

    /// After it, here or when the provider sends the browser back.
    static func signedOut(_ page: SignedOutPage, requestID: String, nonce: String) -> Layout.Page {
        let extent =
            page.isEverywhere
            ? "Your sessions have ended on all your devices." : "Your sessions in this browser have ended."
        var main = """
            <h1>You are signed out</h1>
            <p class="soft">\(extent) You can close this window.</p>
            """
        if !page.others.isEmpty {
            let names = page.others.map { "<strong>\(Layout.escape($0))</strong>" }.joined(separator: ", ")
            main += """
                <p class="remedy">You had also signed in with \(names). Your sessions from there have ended here, \
                but it may still know you in this browser: sign out there, too, if others use it.</p>
                """
        }
        if let url = page.againURL {
            main += "<a class=\"button\" href=\"\(Layout.escape(url))\">Sign in again</a>"
        }
        return Layout().page(
            title: "Signed out", nonce: nonce, main: main + footer(reason: nil, requestID: requestID))
    }
}
