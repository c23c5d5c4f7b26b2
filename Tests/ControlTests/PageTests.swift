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
        let page = Pages.deviceCheck(
            application: "wiki", transaction: "t", agentURLs: ["http://127.0.0.1:17999"], requestID: "1",
            nonce: "n")
        #expect(page.contentSecurityPolicy.contains("connect-src 'self' http://127.0.0.1:17999"))
        #expect(!page.contentSecurityPolicy.contains("17472"))
    }

    @Test func `a page without a script allows none`() {
        let page = Pages.failure(reason: .loginStateLost, requestID: "1", retryURL: nil, nonce: "n")
        #expect(!page.contentSecurityPolicy.contains("script-src"))
        #expect(!String(decoding: page.html, as: UTF8.self).contains("<script"))
    }
}
