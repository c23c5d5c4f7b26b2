import Access
import Border
import Identity
import Testing

@testable import Control

@Suite("The page that lets people choose")
struct ChooserPageTests {
    private func html(_ chooser: ProviderChooser) -> String {
        let page = Pages.chooser(chooser, origin: "https://wiki.corp.example", requestID: "1", nonce: "n")
        return String(decoding: page.html, as: UTF8.self)
    }

    private func chooser(
        remembered: Bool = false, form: String? = nil, others: String? = nil,
        problem: ProviderChooser.Problem? = nil, name: String = "Corp"
    ) -> ProviderChooser {
        ProviderChooser(
            choices: [
                ProviderChoice(name: "corp", displayName: name, url: "/a?b=c&d", isRemembered: remembered),
                ProviderChoice(name: "lab", displayName: "Lab", url: "/l"),
            ], application: "wiki", host: "wiki.corp.example", addressForm: form, othersURL: others,
            problem: problem)
    }

    @Test("004.16 each choice is a link with its name; an initial is for the eye only")
    func choices() {
        let page = html(chooser())
        #expect(page.contains("href=\"/a?b=c&amp;d\""))
        #expect(page.contains("<b aria-hidden=\"true\">C</b><span>Corp</span>"))
        #expect(page.contains("<nav aria-label=\"Accounts\">"))
        #expect(!page.contains("autofocus") && !page.contains("<form"))
    }

    @Test("what was used last stands first, says so, and has the keyboard")
    func remembered() {
        let page = html(chooser(remembered: true))
        #expect(page.contains("autofocus><b aria-hidden=\"true\">C</b>"))
        #expect(page.contains("Used last in this browser"))
        #expect(page.contains("<h2 id=\"others\">Use another account</h2><nav aria-labelledby=\"others\">"))
    }

    @Test("the form has a label, works without a script, and a mistake is told by the field")
    func form() {
        let page = html(chooser(form: "sealed"))
        #expect(page.contains("<form method=\"post\" action=\"/.gatepost/sign-in\">"))
        #expect(page.contains("<input type=\"hidden\" name=\"request\" value=\"sealed\">"))
        #expect(page.contains("<label for=\"email\">"))
        #expect(!page.contains("aria-invalid"))
        for problem in ProviderChooser.Problem.allCases {
            let page = html(chooser(remembered: true, form: "sealed", problem: problem))
            #expect(page.contains("role=\"alert\" id=\"problem\""))
            #expect(page.contains("aria-invalid=\"true\" aria-describedby=\"problem\" autofocus"))
            #expect(page.ranges(of: " autofocus").count == 1, "one thing has the keyboard")
        }
    }

    @Test("the policy allows the form to end at the application, and nothing else beside this host")
    func policy() {
        let page = Pages.chooser(chooser(), origin: "https://wiki.corp.example", requestID: "1", nonce: "n")
        #expect(page.contentSecurityPolicy.contains("form-action 'self' https://wiki.corp.example;"))
        #expect(page.contentSecurityPolicy.contains("default-src 'none'"))
        #expect(!page.contentSecurityPolicy.contains("unsafe"))
    }

    @Test("names from the configuration never become markup, nor half of a letter")
    func escaped() {
        let page = html(chooser(name: "<\u{338}b> \"x\""))
        #expect(!page.contains("<\u{338}b>"))
        #expect(page.contains("&lt;\u{338}b&gt; &quot;x&quot;"))
        #expect(html(chooser(name: "e\u{301}cole")).contains(">E\u{301}</b>"))
    }

    private static let text = Gatehouse.config.replacing(
        "identity-providers:\n  corp: {",
        with: """
            identity-providers:
              lab: { issuer: "https://lab.example", client-id: gatepost, client-secret: { file: secrets/corp },
                     email-domains: [ corp.example ], display-name: Lab }
              corp: { email-domains: [ corp.example, partner.example ],
            """
    ).replacing(
        "identity-providers: [ corp ]\n    fields", with: "identity-providers: [ corp, lab ]\n    fields")

    private func house() throws -> Gatehouse { try Gatehouse(Self.text, fetcher: Outside()) }

    private func sealed(_ house: Gatehouse) async throws -> String {
        let first = await house.control.answer(
            house.request("/page", host: "wiki.corp.example", purpose: .signIn))
        let url = try #require(first.fields.first { $0.name == "Location" }?.value)
        let page = await house.control.answer(
            house.request(String(url.dropFirst("https://auth.corp.example:8443".count))))
        let html = String(decoding: page.body, as: UTF8.self)
        let start = try #require(html.firstRange(of: "name=\"request\" value=\"")).upperBound
        return String(html[start...].prefix { $0 != "\"" })
    }

    private func post(_ house: Gatehouse, _ email: String, origin: String = "https://auth.corp.example:8443")
        async throws -> ControlResponse
    {
        let body = FormText.encode([("request", try await sealed(house)), ("email", email)])
        return await house.control.answer(
            house.request("/.gatepost/sign-in", method: "POST", [Field("origin", origin)], body: body))
    }

    @Test("an address typed is in no answer: not in the redirect, and not on the page that follows")
    func neverReflected() async throws {
        let house = try house()
        for email in ["zoe@corp.example", "zoe@nowhere.example", "zoe<script>"] {
            let answer = try await post(house, email)
            #expect(answer.status == 303)
            let url = try #require(answer.fields.first { $0.name == "Location" }?.value)
            #expect(url.hasPrefix("https://auth.corp.example:8443/.gatepost/sign-in?request="))
            #expect(!url.contains("zoe"))
            let page = await house.control.answer(
                house.request(String(url.dropFirst("https://auth.corp.example:8443".count))))
            #expect(page.status == 200)
            #expect(!String(decoding: page.body, as: UTF8.self).contains("zoe"))
        }
    }

    @Test("another origin's form is refused")
    func foreign() async throws {
        let answer = try await post(try house(), "zoe@corp.example", origin: "https://evil.example")
        #expect(answer.status == 403)
        #expect(answer.reason == .originNotAllowed)
    }
}

@Suite("What helps when the directory's device rule refused")
struct ProviderHelpTests {
    private func page(_ code: String?, _ sentence: String = "no") -> String {
        let page = Pages.failure(
            reason: .identityProviderRefused, provider: ProviderWords(code: code, sentence: sentence),
            requestID: "1", retryURL: "https://hr.corp.example/", nonce: "n")
        return String(decoding: page.html, as: UTF8.self)
    }

    @Test(
        "004.17 a device that breaks a rule is told to be repaired; one that is not seen, how to show it",
        arguments: [
            ("AADSTS53000", "breaks a rule", true, false), ("AADSTS53001", "could not see", false, true),
            ("AADSTS53003", "forbids this sign-in", true, true),
            ("AADSTS50097", "could not see", false, true),
            ("AADSTS530003", "could not see", false, true), ("AADSTS53002", "approved apps", false, false),
        ])
    func causes(_ code: String, _ words: String, _ repairs: Bool, _ shows: Bool) {
        let page = page(code, "\(code): <b>x</b>")
        #expect(page.contains(words))
        #expect(page.contains("company portal app") == repairs)
        #expect(page.contains("private window") == shows)
        #expect(page.contains("stays open") && page.contains("Try again"))
        #expect(!page.contains("<b>x"))
    }

    @Test("001.7 a browser that cannot show its device is told how, on each platform")
    func browsers() {
        for word in ["Windows: Edge", "CloudAPAuthEnabled", "macOS and iOS", "Android", "Firefox"] {
            #expect(page("AADSTS50097").contains(word), "\(word)")
        }
    }

    @Test(
        "a browser that tells its platform gets the line of that, and of no other; an unknown one gets all",
        arguments: [
            (Platform.windows, "Windows: Edge"), (.macos, "macOS and iOS"), (.ios, "macOS and iOS"),
            (.android, "Android: Edge"), (.linux, "Linux: Edge"), (.chromeos, ""),
        ])
    func ownPlatform(_ platform: Platform, _ line: String) {
        let words = ProviderWords(code: "AADSTS50097", sentence: "no", platform: platform)
        let section = ProviderHelp(words)?.section ?? ""
        let lines = ["Windows: Edge", "macOS and iOS", "Android: Edge", "Linux: Edge"]
        #expect(lines.filter { section.contains($0) } == (line.isEmpty ? lines : [line]))
        #expect(section.contains("private window"))
    }

    @Test(
        "other refusals have no such list",
        arguments: ["access_denied", "AADSTS50105", "AADSTS5300", "53000", nil] as [String?])
    func others(_ code: String?) {
        #expect(!page(code).contains("What you can do"))
    }
}
