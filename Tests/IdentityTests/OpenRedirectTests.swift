import Access
import Testing

@testable import Identity

/// What is sent to lead somebody away.
enum Lure {
    static let values = [
        "https://evil.example/", "http://evil.example", "//evil.example/", "///evil.example",
        "/\\evil.example",
        "\\\\evil.example", "https:evil.example", "https:/evil.example", "javascript:alert(1)//evil.example",
        "data:text/html,evil.example", "https://wiki.corp.example@evil.example/",
        "https://wiki.corp.example:8443@evil.example/", "https://wiki.corp.example.evil.example/",
        "https://evil.example%2f.corp.example/", "%2f%2fevil.example", "%68ttps://evil.example",
        "/\t/evil.example", "\r\nLocation: https://evil.example", "\u{0}//evil.example", " //evil.example",
        "/%09/evil.example", "/.//evil.example", "/..//evil.example", "https://evil\u{3002}example/",
    ]

    /// Names that other products read, beside ours: nothing may begin to count by them.
    static let names = [
        "next", "url", "rd", "return", "return_to", "returnTo", "redirect", "redirect_uri", "redirect_url",
        "continue", "target", "goto", "post_logout_redirect_uri", "original", "RelayState",
    ]
    /// Ours.
    static let own = [
        "request", "provider", "state", "code", "iss", "error", "error_description", "error_uri", "restart",
        "step-up", "choose", "address",
    ]

    /// Whether a browser that follows this stays with us or goes where the provider's own document says.
    static func isSafe(_ url: String) -> Bool {
        let origins =
            [wiki, auth] + ["https://idp.example/tenant/authorize?", "https://idp.example/tenant/logout?"]
        guard url.utf8.allSatisfy({ (0x21...0x7e).contains($0) && $0 != UInt8(ascii: "\\") }) else {
            return false
        }
        return origins.contains { origin in
            url == origin || url.hasPrefix(origin.hasSuffix("?") ? origin : origin + "/")
        } && !url.hasPrefix(wiki + "//") && !url.hasPrefix(auth + "//")
    }
}

@Suite("No parameter of a step leads anywhere else")
struct OpenRedirectTests {
    enum Step: String, CaseIterable, Sendable { case signIn, callback, handoff, restart, bare, signOut }

    /// A browser before an honest step, and the address of that.
    private func before(_ step: Step, _ world: World) async -> (Browser, String) {
        let browser = Browser(world)
        switch step {
        case .bare: return (browser, "\(wiki)/.gatepost/sign-in?x=1")
        case .signOut: return (browser, "\(wiki)/.gatepost/sign-out?x=1")
        case .signIn: return (browser, await browser.step("\(wiki)/deep")?.url ?? "")
        case .callback:
            return (browser, await browser.go("\(wiki)/deep", pauseAtProvider: true).callback ?? "")
        case .handoff:
            let callback = await browser.go("\(wiki)/deep", pauseAtProvider: true).callback ?? ""
            return (browser, await browser.step(callback)?.url ?? "")
        case .restart:
            let callback = await browser.go("\(wiki)/deep", pauseAtProvider: true).callback ?? ""
            browser.jars["auth.corp.example"] = nil
            return (browser, await browser.step(callback)?.url ?? "")
        }
    }

    private func check(_ answer: FlowAnswer?, _ what: String) {
        if let url = answer?.url { #expect(Lure.isSafe(url), "\(what): \(url)") }
        if let url = answer?.refusal?.retryURL { #expect(Lure.isSafe(url), "\(what): \(url)") }
        if case .chooser(let chooser)? = answer {
            for url in chooser.choices.map(\.url) + [chooser.othersURL].compactMap({ $0 }) {
                #expect(url.hasPrefix("/.gatepost/sign-in?"), "\(what)")
            }
        }
        if case .signedOut(let url, _, _, let page)? = answer {
            for url in [url, page.againURL].compactMap({ $0 }) {
                #expect(Lure.isSafe(url), "\(what): \(url)")
            }
        }
        if case .afterSignOut(let page)? = answer, let url = page.againURL {
            #expect(Lure.isSafe(url), "\(what): \(url)")
        }
        for cookie in answer?.setCookies ?? [] {
            #expect(!cookie.utf8.contains { $0 < 0x20 } && !cookie.contains("evil.example"), "\(what)")
        }
    }

    @Test("beside what is honest, and in its place", arguments: Step.allCases)
    func parameters(_ step: Step) async {
        let world = World()
        var isSeenHonest = false
        for name in Lure.names + Lure.own {
            // A name that nobody reads is tried with a few; what is read, with all.
            for value in Lure.own.contains(name) ? Lure.values : Array(Lure.values.prefix(6)) {
                let (browser, url) = await before(step, world)
                #expect(!url.isEmpty)
                let lure = FormText.encode([(name, value)])
                // Doubled where the step has it already, and that has two readings.
                check(await browser.step("\(url)&\(lure)"), "\(step) + \(lure)")
                guard let range = url.firstRange(of: "\(name)=") else { continue }
                isSeenHonest = true
                let rest = url[range.upperBound...].drop { $0 != "&" }
                let replaced = String(url[..<range.lowerBound]) + lure + String(rest)
                check(await browser.step(replaced), "\(step): \(lure)")
            }
        }
        // A step without parameters of its own has nothing to replace.
        #expect(isSeenHonest || step == .bare || step == .signOut)
    }

    @Test("signing out by POST goes to the provider's own address, whatever stands beside it")
    func signOut() async {
        for name in Lure.names {
            for value in Lure.values.prefix(6) {
                let world = World()
                let browser = Browser(world)
                #expect(await browser.go("\(wiki)/").session != nil)
                let answer = await browser.step(
                    "\(wiki)/.gatepost/sign-out?\(FormText.encode([(name, value)]))", method: "POST",
                    origin: wiki)
                guard case .signedOut(let url, _, _, _)? = answer else {
                    Issue.record("not signed out by \(name)")
                    continue
                }
                #expect(url?.hasPrefix("https://idp.example/tenant/logout?client_id=client") == true)
                #expect(url?.contains("evil.example") == false)
            }
        }
    }

    @Test("the page that somebody wanted is a path on its own host, or the root", arguments: Lure.values)
    func originals(_ value: String) async {
        let world = World()
        for target in [value, "/x/" + value, "/?u=" + value] {
            let browser = Browser(world)
            let request = browser.request("\(wiki)/")
            let answer = await world.flow.beginAtApplication(request, application: "wiki", original: target)
            browser.keep(answer.setCookies, host: "wiki.corp.example")
            let end = await browser.go(answer.url ?? "").page
            #expect(end.map(Lure.isSafe) == true, "\(target): \(end ?? "nothing")")
        }
    }

    @Test(
        "the judge itself: what would lead away is seen",
        arguments: [
            "//evil.example/", "\(wiki)@evil.example/", "\(wiki).evil.example/", "\(wiki)\\@evil.example/",
            "\(wiki)//evil.example", "https://evil.example/", "javascript:alert(1)", "\(wiki)/a\r\nb",
            "https://idp.example/tenant/authorizes?x",
        ])
    func judge(_ url: String) { #expect(!Lure.isSafe(url)) }
}
