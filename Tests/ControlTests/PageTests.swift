import Access
import Testing

@testable import Control

@Suite("The pages that people see")
struct PageTests {
    @Test("every reason has a sentence and a remedy of its own", arguments: Reason.allCases)
    func everyReason(_ reason: Reason) {
        let text = ReasonTexts.table[reason]
        #expect(text != nil)
        #expect(text?.happened.isEmpty == false && text?.remedy.isEmpty == false)
    }

    @Test func `text from outside never becomes markup`() {
        let hostile = #"<script>alert("1")</script>'&"#
        let page = Pages.blocked(
            application: hostile, reason: .postureStale,
            checks: [FailedCheck(title: hostile, remedy: hostile)], requestID: hostile, watches: true,
            nonce: "n")
        let html = String(decoding: page.html, as: UTF8.self)
        #expect(!html.contains("<script>alert"))
        #expect(html.contains("&lt;script&gt;alert(&quot;1&quot;)&lt;/script&gt;&#39;&amp;"))
    }

    @Test func `a mark that combines with a sign does not hide the sign`() {
        #expect(
            Layout.escape("\"\u{301}<\u{338}&\u{300}'\u{301}>\u{338}")
                == "&quot;\u{301}&lt;\u{338}&amp;\u{300}&#39;\u{301}&gt;\u{338}")
    }

    @Test func `a page allows only its own nonce, no frames and no foreign connections`() {
        let page = Pages.blocked(
            application: "wiki", reason: .postureStale, checks: [], requestID: "1", watches: true,
            nonce: "abc")
        #expect(page.contentSecurityPolicy.contains("default-src 'none'"))
        #expect(page.contentSecurityPolicy.contains("script-src 'nonce-abc'"))
        #expect(page.contentSecurityPolicy.contains("frame-ancestors 'none'"))
        #expect(page.contentSecurityPolicy.contains("connect-src 'self'"))
        #expect(!page.contentSecurityPolicy.contains("unsafe"))
    }

    @Test func `004.9 the device check may reach the configured agent port and nothing else`() {
        let page = DeviceCheckPage(
            application: "wiki", transaction: "t", home: "https://wiki.corp.example/",
            agentURLs: ["http://127.0.0.1:17999"], requestID: "1", nonce: "n"
        ).page
        #expect(page.contentSecurityPolicy.contains("connect-src 'self' http://127.0.0.1:17999"))
        #expect(page.contentSecurityPolicy.contains("img-src http://127.0.0.1:17999;"))
        #expect(!page.contentSecurityPolicy.contains("17472"))
    }

    @Test("001.30 only schemes that an administrator has listed become links, on every page")
    func links() {
        let links = [
            ShownLink(
                text: "Open <Hub>", url: "wsonehub://conditionalaccess?partner=Microsoft&x=\"1\"",
                isLink: true),
            ShownLink(text: "Old app", url: "airwatch://conditionalaccess", isLink: false),
        ]
        let check = FailedCheck(title: "uem labels", remedy: "Repair it.", links: links)
        let blocked = Pages.blocked(
            application: "wiki", reason: .deviceDenied, checks: [check], requestID: "1", watches: true,
            nonce: "n")
        let asked = DeviceCheckPage(
            application: "wiki", transaction: "t", home: "", agentURLs: [], links: links, requestID: "1",
            nonce: "n"
        ).page
        for page in [blocked, asked] {
            let html = String(decoding: page.html, as: UTF8.self)
            #expect(
                html.contains(
                    "<a href=\"wsonehub://conditionalaccess?partner=Microsoft&amp;x=&quot;1&quot;\" "
                        + "rel=\"noreferrer noopener\">Open &lt;Hub&gt;</a>"))
            #expect(html.contains("Old app: <code>airwatch://conditionalaccess</code>"))
            #expect(!html.contains("href=\"airwatch"))
        }
    }

    @Test("002.14 the block page says that the gateway refused; a provider's refusal is quoted as its own")
    func whoRefused() {
        let blocked = Pages.blocked(
            application: "wiki", reason: .deviceDenied, checks: [], requestID: "1", isSignedIn: true,
            watches: true, nonce: "n")
        #expect(Self.text(blocked).contains("this gateway refused, not your identity provider"))
        let nobody = Pages.blocked(
            application: "wiki", reason: .policyBlocks, checks: [], requestID: "1", watches: false, nonce: "n"
        )
        #expect(!Self.text(nobody).contains("You are signed in"))

        let words = ProviderWords(code: "AADSTS53000", sentence: "AADSTS53000: not <b>compliant</b>")
        let refused = Pages.failure(
            reason: .identityProviderRefused, provider: words, requestID: "1", retryURL: nil, nonce: "n")
        let text = Self.text(refused)
        #expect(text.contains("<h1>Your identity provider refused the sign-in</h1>"))
        #expect(text.contains("It was not this gateway. The provider says:"))
        #expect(text.contains("AADSTS53000: not &lt;b&gt;compliant&lt;/b&gt;</blockquote>"))
        let coded = ProviderWords(code: "AADSTS53003", sentence: "Access was blocked.")
        #expect(
            Self.text(
                Pages.failure(
                    reason: .identityProviderRefused, provider: coded, requestID: "1", retryURL: nil,
                    nonce: "n")
            ).contains("Access was blocked. <code>AADSTS53003</code>"))

        let own = Pages.failure(reason: .identityProviderRefused, requestID: "1", retryURL: nil, nonce: "n")
        #expect(!Self.text(own).contains("provider says") && !Self.text(own).contains("not this gateway"))
    }

    @Test("a refused form: the page says that it was not delivered, and never sends it again by itself")
    func form() {
        let page = Pages.blocked(
            application: "wiki", reason: .restrictedMethod, checks: [], requestID: "1", isSignedIn: true,
            watches: false, isForm: true, nonce: "n")
        #expect(Self.text(page).contains("<h1>You can’t send this to wiki right now</h1>"))
        #expect(Self.text(page).contains("What you sent was not delivered."))
        #expect(Self.text(page).contains("<a class=\"button\" href=\"/\">Open wiki</a>"))
        #expect(!page.contentSecurityPolicy.contains("script-src"))
    }

    private static func text(_ page: Layout.Page) -> String { String(decoding: page.html, as: UTF8.self) }

    @Test func `a page without a script allows none`() {
        let page = Pages.failure(reason: .loginStateLost, requestID: "1", retryURL: nil, nonce: "n")
        #expect(!page.contentSecurityPolicy.contains("script-src"))
        #expect(!String(decoding: page.html, as: UTF8.self).contains("<script"))
    }
}
