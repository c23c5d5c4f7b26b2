import Access

/// One failed check on the block page, in plain words.
struct FailedCheck {
    var title: String
    var remedy: String?
    /// What repairs it on the person's platform.
    var links: [ShownLink] = []
}

/// Why an identity provider refused, as it said itself; not escaped.
struct ProviderWords {
    var code: String?
    var sentence: String
    /// The person's, where the browser tells.
    var platform: Platform?
}

/// The pages of the gateway. Every text from outside is escaped here and nowhere else.
enum Pages {
    /// The page of a refused navigation: names the failed checks and continues by itself once they pass.
    ///
    /// - Parameters:
    ///   - watches: true when the page may ask `/.gatepost/events` whether the way is open again.
    ///   - isForm: a form was sent, and refused; what was in it is lost.
    ///   - hasChoice: the application accepts several providers, so another account may be let in.
    ///   - certificate: what the browser showed, where a certificate may stand for the device.
    static func blocked(
        application: String, reason: Reason, checks: [FailedCheck], requestID: String,
        isSignedIn: Bool = false, hasChoice: Bool = false, certificate: ShownCertificate? = nil,
        watches: Bool, isForm: Bool = false, nonce: String
    ) -> Layout.Page {
        let text = certificate?.text(of: reason) ?? ReasonTexts.text(of: reason)
        // With a device that may only read, the application itself is open.
        let verb = isForm ? "send this to" : "open"
        var main = """
            <h1>You can’t \(verb) \(Layout.escape(application)) right now</h1>
            <p>\(Layout.escape(text.happened))</p>
            """
        if let certificate, ShownCertificate.concerns(reason) { main += certificate.line }
        if isForm { main += formLine }
        if isSignedIn {
            main +=
                "<p class=\"soft\">You are signed in: this gateway refused, not your identity provider.</p>"
        }
        if checks.isEmpty {
            main += "<p class=\"remedy\">\(Layout.escape(text.remedy))</p>"
        } else {
            main += "<ul class=\"checks\">" + checks.map(item).joined() + "</ul>"
        }
        if watches {
            main += """
                <p class="status" role="status" aria-live="polite"><span class="spinner" aria-hidden="true"></span>
                <span id="status" data-reason="\(reason.rawValue)">\
                This page continues by itself as soon as the check passes.</span></p>
                <noscript><p><a class="button" href="">Check again</a></p></noscript>
                """
        }
        if isForm { main += "<a class=\"button\" href=\"/\">Open \(Layout.escape(application))</a>" }
        if hasChoice { main += anotherAccountLine }
        main += signOutLine + footer(reason: reason, requestID: requestID)
        return Layout().page(
            title: "Access to \(application) is blocked", nonce: nonce, main: main,
            script: watches ? Scripts.watchUntilOpen : nil)
    }

    /// The remedy in plain words first; the rule's own words below it are for whoever is asked for help.
    private static func item(_ check: FailedCheck) -> String {
        let rule = "<span class=\"soft\">Check: \(Layout.escape(check.title))</span>"
        guard let remedy = check.remedy else { return "<li>\(rule)</li>" }
        return "<li><p>\(Layout.escape(remedy))</p>\(list(check.links))\(rule)</li>"
    }

    /// Ways to repair a device. Only schemes that an administrator has listed become links.
    static func list(_ links: [ShownLink]) -> String {
        links.map { link in
            let (text, url) = (Layout.escape(link.text), Layout.escape(link.url))
            return link.isLink
                ? "<p><a href=\"\(url)\" rel=\"noreferrer noopener\">\(text)</a></p>"
                : "<p>\(text): <code>\(url)</code></p>"
        }.joined()
    }

    /// Any other failure that a person sees: a sentence, a remedy, the way on when there is one.
    static func failure(
        reason: Reason, provider: ProviderWords? = nil, shortfalls: [StepUp.Shortfall] = [],
        requestID: String, retryURL: String?, isForm: Bool = false, nonce: String
    ) -> Layout.Page {
        let text = ReasonTexts.text(of: reason)
        let happened =
            reason == .identityProviderRefused && provider != nil
            ? "Your identity provider refused the sign-in" : text.happened
        var main = "<h1>\(Layout.escape(happened))</h1>" + (provider.map(quote) ?? "")
        if !shortfalls.isEmpty {
            main += "<ul class=\"checks\">" + shortfalls.map(item).joined() + "</ul>"
        }
        if let help = provider.flatMap(ProviderHelp.init) { main += help.section }
        if isForm { main += formLine }
        main += "<p class=\"soft\">\(Layout.escape(text.remedy))</p>"
        if let retryURL {
            let asksToSignIn = reason == .signInRequired || (reason == .authenticationInsufficient && isForm)
            let word = asksToSignIn ? "Sign in" : "Try again"
            main += "<a class=\"button\" href=\"\(Layout.escape(retryURL))\">\(word)</a>"
        }
        main += footer(reason: reason, requestID: requestID)
        return Layout().page(title: happened, nonce: nonce, main: main)
    }

    private static func item(_ shortfall: StepUp.Shortfall) -> String {
        """
        <li><p>The application asks: \(Layout.escape(shortfall.asked))</p>\
        <span class="soft">Your provider answered: \(Layout.escape(shortfall.came))</span></li>
        """
    }

    /// A page that is left at once: to the identity provider or back from it.
    static func passage(
        to url: String, script: String, _ requestID: String, nonce: String
    ) -> Layout.Page {
        let main = """
            <h1>Signing in</h1>
            <p class="soft">This page goes on by itself.</p>
            <a class="button quiet" id="go" href="\(Layout.escape(url))">Continue</a>
            """
        return Layout(withoutScript: url).page(
            title: "Signing in", nonce: nonce, main: main + footer(reason: nil, requestID: requestID),
            script: script)
    }

    /// What the provider said stands apart: nobody should take it for the gateway's word, or look for it here.
    private static func quote(_ provider: ProviderWords) -> String {
        let sentence = provider.sentence
        let code = provider.code.flatMap { sentence.contains($0) ? nil : $0 }.map {
            " <code>\(Layout.escape($0))</code>"
        }
        return """
            <p>It was not this gateway. The provider says:</p>
            <blockquote class="remedy">\(Layout.escape(sentence))\(code ?? "")</blockquote>
            """
    }

    private static let formLine = "<p>What you sent was not delivered.</p>"

    private static let signOutLine = """
        <a class="button quiet" href="/.gatepost/sign-out">Sign out</a>
        """

    /// - Parameter isReasonLater: the page's script shows the reason, once there is one.
    static func footer(reason: Reason?, requestID: String, isReasonLater: Bool = false) -> String {
        let later = "<span id=\"reason\" hidden>Reason <code id=\"word\"></code> · </span>"
        let word = reason.map { "Reason <code>\($0.rawValue)</code> · " } ?? (isReasonLater ? later : "")
        return "<footer>\(word)Request <code>\(Layout.escape(requestID))</code> · Gatepost</footer>"
    }
}
