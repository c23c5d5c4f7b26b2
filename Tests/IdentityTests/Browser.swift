import Access
import Store

@testable import Identity

/// A browser: cookies by host, redirects followed as long as they lead to the gateway or the provider.
final class Browser {
    let world: World
    var jars: [String: [(name: String, value: String)]] = [:]
    /// Every URL visited.
    var trail: [String] = []
    private(set) var last: FlowAnswer?

    init(_ world: World) { self.world = world }

    func cookies(_ host: String) -> [String] {
        let jar = jars[host] ?? []
        return jar.isEmpty ? [] : [jar.map { "\($0.name)=\($0.value)" }.joined(separator: "; ")]
    }

    func keep(_ setCookies: [String], host: String) {
        for line in setCookies {
            let pair = line.split(separator: ";")[0].split(
                separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            jars[host, default: []].removeAll { $0.name == pair[0] }
            if !line.contains("Max-Age=0") {
                jars[host, default: []].append((String(pair[0]), String(pair[1])))
            }
        }
    }

    func request(
        _ url: String, method: String = "GET", origin: String? = nil, body: String = ""
    ) -> FlowRequest {
        let rest = url.dropFirst("https://".count)
        let host = String(rest.prefix { $0 != "/" && $0 != ":" })
        let target = rest.drop { $0 != "/" }
        let parts = target.split(separator: "?", maxSplits: 1, omittingEmptySubsequences: false)
        return FlowRequest(
            host: host, path: String(parts[0]), query: parts.count == 2 ? String(parts[1]) : "",
            cookieField: cookies(host), originField: origin, method: method,
            body: Array(body.utf8), nowSeconds: world.nowSeconds)
    }

    /// One step: an application page begins a sign-in, a reserved path is answered.
    func step(
        _ url: String, method: String = "GET", origin: String? = nil, body: String = ""
    ) async -> FlowAnswer? {
        trail.append(url)
        let request = request(url, method: method, origin: origin, body: body)
        let answer: FlowAnswer?
        if request.path.hasPrefix(ReservedPath.prefix) {
            answer = await world.flow.answer(request)
        } else if let application = await world.flow.configuration.application(host: request.host) {
            answer = await world.flow.beginAtApplication(request, application: application.name)
        } else {
            answer = nil
        }
        last = answer
        if let answer { keep(answer.setCookies, host: request.host) }
        return answer
    }

    /// Follows redirects from `url` until the application's own page is reached with a session there, or something
    /// else than a redirect is answered. `pauseAtProvider`: stops with the provider's redirect instead.
    @discardableResult
    func go(_ url: String, pauseAtProvider: Bool = false) async -> Landing {
        var url = url
        for _ in 0..<20 {
            if let provider = world.providers.first(where: { url.hasPrefix($0.issuer + "/authorize") }) {
                url = provider.authorize(url)
                if pauseAtProvider { return .provider(url) }
            }
            let request = request(url)
            if !request.path.hasPrefix(ReservedPath.prefix), let session = await session(request.host) {
                return .page(url, session)
            }
            switch await step(url) {
            case .redirect(let next, _)?, .leave(let next, _)?, .comeBack(let next, _)?,
                .upgraded(_, let next, _)?:
                url = next
            case .refuse(let refusal)?: return .refused(refusal)
            case .chooser(let chooser)?: return .chooser(chooser)
            case .confirmSignOut?, .signedOut?, .afterSignOut?, nil: return .nothing
            }
        }
        return .loop
    }

    /// The session that counts on an application host.
    func session(_ host: String) async -> StoredSession? {
        guard let application = await world.flow.configuration.application(host: host),
            let session = try? await world.flow.sessions.lookUp(
                cookieField: cookies(host), kind: .application, host: host, nowSeconds: world.nowSeconds),
            Sessions.counts(session, at: application)
        else { return nil }
        return session
    }
}

enum Landing {
    case page(String, StoredSession)
    case provider(String)
    case refused(FlowRefusal)
    case chooser(ProviderChooser)
    case nothing
    case loop

    var session: StoredSession? {
        if case .page(_, let session) = self { return session }
        return nil
    }
    var page: String? {
        if case .page(let url, _) = self { return url }
        return nil
    }
    var refusal: FlowRefusal? {
        if case .refused(let refusal) = self { return refusal }
        return nil
    }
    var callback: String? {
        if case .provider(let url) = self { return url }
        return nil
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
