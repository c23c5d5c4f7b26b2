import Access
import JSON
import Store
import Testing

@testable import Identity
@testable import gatepost_lab

/// How a sign-in ended.
enum Ending {
    case page(StoredSession)
    case refused(FlowRefusal)
    /// The provider itself answered something that leads nowhere.
    case stuck(Int)
    case loop

    var session: StoredSession? {
        if case .page(let session) = self { return session }
        return nil
    }
    var refusal: FlowRefusal? {
        if case .refused(let refusal) = self { return refusal }
        return nil
    }
}

/// A browser: cookies by host at the gateway, none at the provider, so that every sign-in shows the form.
final class Visitor {
    let stage: Stage
    var jars: [String: [(name: String, value: String)]] = [:]
    var user = "alice"
    private(set) var trail: [String] = []

    init(_ stage: Stage) { self.stage = stage }

    func cookies(_ host: String) -> [String] {
        let jar = jars[host] ?? []
        return jar.isEmpty ? [] : [jar.map { "\($0.name)=\($0.value)" }.joined(separator: "; ")]
    }

    private func keep(_ lines: [String], host: String) {
        for line in lines {
            let pair = line.prefix { $0 != ";" }.split(
                separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            jars[host, default: []].removeAll { $0.name == pair[0] }
            if !line.contains("Max-Age=0") {
                jars[host, default: []].append((String(pair[0]), String(pair[1])))
            }
        }
    }

    /// One request to the gateway.
    func step(_ url: String) async -> FlowAnswer? {
        trail.append(url)
        let rest = url.dropFirst("https://".count)
        let host = String(rest.prefix { $0 != "/" })
        let parts = rest.drop { $0 != "/" }.split(
            separator: "?", maxSplits: 1, omittingEmptySubsequences: false)
        let request = FlowRequest(
            host: host, path: String(parts[0]), query: parts.count == 2 ? String(parts[1]) : "",
            cookieField: cookies(host), nowSeconds: stage.now)
        var answer: FlowAnswer?
        if request.path.hasPrefix("/.gatepost/") {
            answer = await stage.flow.answer(request)
        } else {
            answer = await stage.flow.beginAtApplication(
                request, application: String(host.prefix { $0 != "." }))
        }
        keep(answer?.setCookies ?? [], host: host)
        return answer
    }

    /// Signs out, as the form of the question's page does.
    func signOut(at host: String) async -> FlowAnswer? {
        let answer = await stage.flow.answer(
            FlowRequest(
                host: host, path: "/.gatepost/sign-out", cookieField: cookies(host),
                originField: "https://\(host)", method: "POST", nowSeconds: stage.now))
        keep(answer?.setCookies ?? [], host: host)
        return answer
    }

    /// What the provider answers to the person's browser: the address it sends it to, or its status.
    func answerForm(_ url: String) throws -> (location: String?, status: Int) {
        trail.append(url)
        let address = url.dropFirst("http://127.0.0.1:".count)
        let client = LabClient(port: try #require(UInt16(address.prefix { $0 != "/" })))
        var answer = try client.send("GET", String(address.drop { $0 != "/" }))
        let page = String(decoding: answer.body, as: UTF8.self)
        if answer.status == 200, let start = page.firstRange(of: "name=\"transaction\" value=\"") {
            let form = Parameters.encode([
                ("transaction", String(page[start.upperBound...].prefix { $0 != "\"" })), ("user", user),
                ("password", "\(user)-demo"),
            ])
            answer = try client.send(
                "POST", "/sign-in", fields: [("Content-Type", "application/x-www-form-urlencoded")],
                body: Array(form.utf8))
        }
        return (answer.fields.first { $0.name == "location" }?.value, answer.status)
    }

    /// From an application's page to wherever it ends.
    func go(_ url: String) async throws -> Ending {
        var url = url
        for _ in 0..<12 {
            if url.hasPrefix("http://127.0.0.1:") {
                let answer = try answerForm(url)
                guard let next = answer.location else { return .stuck(answer.status) }
                url = next
                continue
            }
            if !url.contains("/.gatepost/"), let session = try await session(at: url) {
                return .page(session)
            }
            let answer = await step(url)
            if let refusal = answer?.refusal { return .refused(refusal) }
            guard let next = answer?.url else { return .stuck(0) }
            url = next
        }
        return .loop
    }

    /// As far as the address that the provider sends the browser back to.
    func callback(_ application: String = "wiki") async throws -> String {
        let begun = try #require(await step("https://\(application).corp.example/deep?a=b")?.url)
        let authorize = try #require(await step(begun)?.url)
        return try #require(try answerForm(authorize).location)
    }

    /// The session that the browser's cookie stands for at an application.
    func session(at url: String) async throws -> StoredSession? {
        let host = String(url.dropFirst("https://".count).prefix { $0 != "/" })
        return try await stage.flow.sessions.lookUp(
            cookieField: cookies(host), kind: .application, host: host, nowSeconds: stage.now)
    }

    /// Whether any host gave this browser a session's cookie.
    var holdsSessionCookie: Bool {
        jars.values.contains { jar in jar.contains { $0.name == SessionCookie.name } }
    }
}

extension FlowAnswer {
    var setCookies: [String] {
        switch self {
        case .redirect(_, let cookies), .signedOut(_, _, let cookies, _), .leave(_, let cookies),
            .comeBack(_, let cookies), .upgraded(_, _, let cookies):
            cookies
        case .refuse(let refusal): refusal.setCookies
        case .chooser, .confirmSignOut, .afterSignOut: []
        }
    }
    var url: String? {
        switch self {
        case .redirect(let url, _), .leave(let url, _), .comeBack(let url, _), .upgraded(_, let url, _): url
        case .chooser, .confirmSignOut, .signedOut, .afterSignOut, .refuse: nil
        }
    }
    var refusal: FlowRefusal? {
        if case .refuse(let refusal) = self { return refusal }
        return nil
    }
}
