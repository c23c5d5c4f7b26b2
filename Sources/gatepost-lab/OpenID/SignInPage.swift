/// The provider's pages, all rendered here and without any script.

enum SignInPage {
    static func form(
        client: Client, action: String, transaction: String, user: String, problem: String?, nonce: String
    ) -> String {
        let alert = problem.map { "<p class=\"problem\" role=\"alert\">\(Style.escape($0))</p>" } ?? ""
        // After a mistake the cursor waits where it is needed next.
        let userFocus = user.isEmpty ? " autofocus" : ""
        let passwordFocus = user.isEmpty ? "" : " autofocus"
        let body = """
            <h1>Sign in</h1>
            <p class="soft">to continue to <strong>\(Style.escape(client.displayName))</strong></p>
            \(alert)
            <form method="post" action="\(Style.escape(action))">
            <input type="hidden" name="transaction" value="\(Style.escape(transaction))">
            <label for="user">User name</label>
            <input id="user" name="user" value="\(Style.escape(user))" autocomplete="username"
              autocapitalize="none" spellcheck="false" maxlength="100" required\(userFocus)>
            <label for="password">Password</label>
            <input id="password" name="password" type="password" autocomplete="current-password"
              maxlength="200" required\(passwordFocus)>
            <button type="submit">Sign in</button>
            </form>
            <p class="foot soft">This is the test identity provider of Gatepost's lab. Its people and
            passwords are public; never use it for anything real.</p>
            """
        return Style.page(title: "Sign in · \(client.displayName)", nonce: nonce, body: body)
    }

    static func refusal(_ text: String) -> String {
        Style.page(
            title: "This sign-in cannot go on",
            body: "<h1>This sign-in cannot go on</h1><p>\(Style.escape(text))</p>")
    }

    static var signedOut: String {
        Style.page(
            title: "You are signed out",
            body: "<h1>You are signed out</h1><p>The test identity provider no longer remembers you.</p>")
    }

    static func welcome(issuer: String) -> String {
        Style.page(
            title: "Gatepost lab: identity provider",
            body: """
                <h1>Identity provider</h1>
                <p>This is the OpenID Provider of Gatepost's lab. Its issuer is
                <code>\(Style.escape(issuer))</code>.</p>
                <p><a href="/.well-known/openid-configuration">Discovery</a></p>
                """)
    }
}
