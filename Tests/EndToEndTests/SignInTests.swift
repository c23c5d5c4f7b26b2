import Foundation
import Testing

@Suite("The whole product, as make run starts it", .serialized, .timeLimit(.minutes(5)))
struct SignInTests {
    @Test("004.18 a navigation signs in with the application's one provider and reaches the application with its assertion")
    func signIn() throws {
        let stack = try Stack()
        defer { stack.stop() }
        let browser = Browser(stack)
        let refused = try browser.get("https://hr.localhost:\(stack.port)/x", accept: "application/json", follow: false)
        #expect(refused.hasPrefix("HTTP/1.1 401"))
        #expect(refused.contains("\"reason\":\"sign-in-required\""))
        #expect(!refused.lowercased().contains("\nlocation:"))

        let page = try browser.get("https://hr.localhost:\(stack.port)/hello?x=1")
        let transaction = try #require(Browser.value("transaction", in: page))
        let answer = try browser.post(
            "\(browser.providerOrigin(of: page))/sign-in",
            form: "transaction=\(transaction)&user=alice&password=alice-demo")
        #expect(answer.contains("/hello?x=1"))
        #expect(answer.contains("gatepost-assertion"))

        // The session of the second registration says nothing at the application that accepts only the first.
        let wiki = try browser.get("https://wiki.localhost:\(stack.port)/", accept: "application/json", follow: false)
        #expect(wiki.hasPrefix("HTTP/1.1 401"))

        let sessions = try stack.run(
            "gatepost", ["session", "list", "--config", stack.folder.appending(path: "demo.yaml").path])
        #expect(sessions.contains("alice@corp.example") && sessions.contains("hr-staff"))
        let revoked = try stack.run(
            "gatepost",
            [
                "session", "revoke", "--user", "alice@corp.example", "--config",
                stack.folder.appending(path: "demo.yaml").path,
            ])
        #expect(revoked.contains("2 sessions ended"))
        let after = try browser.get("https://hr.localhost:\(stack.port)/x", accept: "application/json", follow: false)
        #expect(after.hasPrefix("HTTP/1.1 401"))
    }
}

/// curl with a cookie jar: what a browser does, without its scripts.
struct Browser {
    private let stack: Stack
    private let jar: String

    init(_ stack: Stack) {
        self.stack = stack
        jar = stack.folder.appending(path: "cookies.txt").path
    }

    func get(_ url: String, accept: String = "text/html", follow: Bool = true) throws -> String {
        try curl((follow ? ["-L"] : []) + ["-H", "Accept: \(accept)", url])
    }

    func post(_ url: String, form: String) throws -> String {
        try curl(["-L", "-H", "Accept: text/html", "-H", "Origin: \(url.prefix { $0 != "?" }.split(separator: "/sign-in")[0])", "--data", form, url])
    }

    private func curl(_ arguments: [String]) throws -> String {
        let hosts = ["wiki", "hr", "auth"].flatMap { ["--resolve", "\($0).localhost:\(stack.port):127.0.0.1"] }
        return try Stack.output(
            of: "/usr/bin/curl",
            [
                "-sS", "-i", "--max-time", "20", "--cacert", stack.folder.appending(path: "certs/dev-ca.pem").path,
                "-c", jar, "-b", jar, "-H", "Sec-Fetch-Site: same-origin",
            ] + hosts + arguments)
    }

    static func value(_ name: String, in page: String) -> String? {
        guard let at = page.range(of: "name=\"\(name)\" value=\"") else { return nil }
        return String(page[at.upperBound...].prefix { $0 != "\"" })
    }

    /// The origin of the provider's page: the last `Location` that led there.
    func providerOrigin(of page: String) -> String {
        let locations = page.split(whereSeparator: \.isNewline).filter { $0.lowercased().hasPrefix("location: http://") }
        let url = locations.last.map { String($0.dropFirst("location: ".count)) } ?? ""
        return url.range(of: "/authorize").map { String(url[..<$0.lowerBound]) } ?? ""
    }
}
