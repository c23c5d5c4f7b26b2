import Identity

/// Several identity providers: the person chooses. Whole without a script; what was typed is never told back.
extension Pages {
    /// - Parameter origin: of the application's host, where the form's redirects may end.
    static func chooser(
        _ chooser: ProviderChooser, origin: String, requestID: String, nonce: String
    ) -> Layout.Page {
        let name = Layout.escape(chooser.application)
        let isNarrowed = chooser.othersURL != nil
        let lead =
            isNarrowed
            ? "Your organisation has several ways to sign in." : "Choose the account to continue with."
        var main = "<h1>Sign in to \(name)</h1><p class=\"soft\">\(lead)</p>"
        // A reload of the configuration may have taken the form away meanwhile.
        if chooser.addressForm == nil { main += alert(chooser.problem) }
        let remembered = chooser.choices.filter(\.isRemembered)
        let others = chooser.choices.filter { !$0.isRemembered }
        // After a mistake the cursor waits in the field; else on what was used last, so that Enter goes on.
        let isCorrecting = chooser.problem != nil && chooser.addressForm != nil
        if !remembered.isEmpty {
            main += "<nav aria-label=\"The account used last\">"
            main += remembered.map { link($0, isMain: true, hasFocus: !isCorrecting) }.joined() + "</nav>"
            main += "<h2 id=\"others\">Use another account</h2><nav aria-labelledby=\"others\">"
        } else {
            main += "<nav aria-label=\"Accounts\">"
        }
        main += others.map { link($0, isMain: false, hasFocus: false) }.joined()
        if let url = chooser.othersURL {
            main += "<a class=\"button quiet\" href=\"\(Layout.escape(url))\">Show all accounts</a>"
        }
        main += "</nav>"
        if let sealed = chooser.addressForm {
            main += form(sealed, chooser.problem, isMain: remembered.isEmpty)
        }
        return Layout(formSources: [origin]).page(
            title: "Sign in to \(chooser.application)", nonce: nonce,
            main: main + footer(reason: nil, requestID: requestID), script: Scripts.passFragmentOn)
    }

    private static func words(of problem: ProviderChooser.Problem) -> String {
        switch problem {
        case .noAddress: "That is not an email address. Write it like name@example.com."
        case .unknownDomain: "No account here belongs to that address. Check it, or choose from the list."
        }
    }

    private static func link(_ choice: ProviderChoice, isMain: Bool, hasFocus: Bool) -> String {
        let initial = choice.displayName.first.map { Layout.escape(String($0).uppercased()) } ?? ""
        let note = choice.isRemembered ? "<small>Used last in this browser</small>" : ""
        return """
            <a class="button choice\(isMain ? "" : " quiet")" href="\(Layout.escape(choice.url))"\
            \(hasFocus ? " autofocus" : "")><b aria-hidden="true">\(initial)</b>\
            <span>\(Layout.escape(choice.displayName))\(note)</span></a>
            """
    }

    private static func alert(_ problem: ProviderChooser.Problem?) -> String {
        guard let problem else { return "" }
        return "<p class=\"remedy\" role=\"alert\" id=\"problem\">\(words(of: problem))</p>"
    }

    private static func form(
        _ sealed: String, _ problem: ProviderChooser.Problem?, isMain: Bool
    ) -> String {
        let state =
            problem == nil ? "" : " aria-invalid=\"true\" aria-describedby=\"problem\" autofocus"
        return """
            <form method="post" action="/.gatepost/sign-in">
            <input type="hidden" name="request" value="\(Layout.escape(sealed))">
            <h2><label for="email">Or find it by your email address</label></h2>
            \(alert(problem))<input id="email" name="email" type="email" autocomplete="email"
              autocapitalize="none" spellcheck="false" maxlength="254" required\(state)>
            <button class="button\(isMain ? "" : " quiet")" type="submit">Continue</button>
            </form>
            """
    }

    /// For somebody who is signed in and not let in, where another provider's account may be.
    static let anotherAccountLine = """
        <a class="button quiet" href="/.gatepost/sign-in?choose">Use another account</a>
        """
}
