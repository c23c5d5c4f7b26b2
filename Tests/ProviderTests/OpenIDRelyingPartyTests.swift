import Access
import Fetch
import JSON
import Signatures
import Store
import Synchronization
import Testing

@testable import Identity
@testable import gatepost_lab

/// Sign-ins against the lab's OpenID Provider over loopback: both halves of each protocol as they are.
@Suite("The relying party and the lab's OpenID Provider")
struct OpenIDRelyingPartyTests {
    static let keys = Result { try GraphLab.certificate() }
    static let origin = "https://auth.corp.example"
    let lab: Lab
    let store: SQLiteStore

    init() throws {
        lab = try Lab(
            ports: (0, 0, 0), clients: gatepost_lab.Client.demo(origins: [Self.origin]), devices: [],
            clock: LabClock(base: { 1_770_000_000 }), log: LabLog(isSilent: true))
        store = try GraphLab.store()
    }

    private func client() -> LabClient { LabClient(port: lab.servers[0].port) }

    private func fault(_ name: String) throws {
        let body: JSONObject = ["name": .string(name)]
        try #require(try client().send("POST", "/lab/faults", body: body.serialized()).status == 200)
    }

    private func flow(
        _ change: (inout IdentityProviderRegistration) throws -> Void = { _ in }
    ) rethrows -> SignInFlow {
        var staff = IdentityProviderRegistration(
            name: "staff", issuer: lab.openidAddress, clientID: "gatepost",
            clientSecret: "gatepost-demo-secret",
            displayName: "Staff", allowsPlainHTTP: true)
        try change(&staff)
        let fetcher = CurlFetcher()
        return SignInFlow(
            configuration: IdentityConfiguration(
                authHost: "auth.corp.example", providers: [staff],
                applications: [
                    IdentityApplication(
                        name: "wiki", host: "wiki.corp.example", identityProviders: ["staff"])
                ]),
            store: store, ring: .ephemeral(), fetcher: fetcher, directory: ProviderDirectory(fetcher: fetcher)
        )
    }

    enum Outcome {
        case session(StoredSession, authorizations: [String])
        case refused(FlowRefusal)
    }

    private func query(_ url: String) -> String {
        url.split(separator: "?", maxSplits: 1).dropFirst().first.map(String.init) ?? ""
    }

    private func path(_ url: String) -> String {
        let rest = url.dropFirst("https://".count).drop { $0 != "/" }
        return String(rest.prefix { $0 != "?" })
    }

    /// What a browser does, with a person who signs in whenever there is a form.
    private func signIn(_ flow: SignInFlow) async throws -> Outcome {
        var jars: [String: [String: String]] = [:]
        func request(_ host: String, _ url: String) -> FlowRequest {
            FlowRequest(
                host: host, path: path(url), query: query(url),
                cookieField: (jars[host] ?? [:]).map { "\($0.key)=\($0.value)" }, nowSeconds: 1_770_000_000)
        }
        var authorizations: [String] = []
        var answer: FlowAnswer? = await flow.beginAtApplication(
            request("wiki.corp.example", "https://wiki.corp.example/page"), application: "wiki")
        var host = "wiki.corp.example"
        for _ in 0..<12 {
            let next: String
            switch answer {
            case .redirect(let url, let cookies)?, .leave(let url, let cookies)?,
                .comeBack(let url, let cookies)?:
                next = url
                for cookie in cookies {
                    let pair = cookie.prefix { $0 != ";" }.split(separator: "=", maxSplits: 1).map(
                        String.init)
                    jars[host, default: [:]][pair[0]] = cookie.contains("Max-Age=0") ? nil : pair[1]
                }
            case .refuse(let refusal)?: return .refused(refusal)
            case .upgraded?, .chooser?, .confirmSignOut?, .signedOut?, .afterSignOut?, nil:
                throw StreamError(what: "an answer that no sign-in has")
            }
            var url = next
            if url.hasPrefix(lab.openidAddress) {
                authorizations.append(url)
                url = try atProvider(String(url.dropFirst(lab.openidAddress.count)))
            }
            host = url.hasPrefix(Self.origin) ? "auth.corp.example" : "wiki.corp.example"
            if path(url) == "/page" {
                let session = try await flow.sessions.lookUp(
                    cookieField: (jars[host] ?? [:]).map { "\($0.key)=\($0.value)" }, kind: .application,
                    host: host, nowSeconds: 1_770_000_000)
                return .session(try #require(session), authorizations: authorizations)
            }
            answer = await flow.answer(request(host, url))
        }
        throw StreamError(what: "a loop")
    }

    private func atProvider(_ target: String) throws -> String {
        let page = try client().send("GET", target)
        if let location = page.fields.first(where: { $0.name == "location" }) { return location.value }
        let text = String(decoding: page.body, as: UTF8.self)
        let marker = try #require(text.firstRange(of: "name=\"transaction\" value=\""), "\(text)")
        let transaction = String(text[marker.upperBound...].prefix { $0 != "\"" })
        let form = Parameters.encode([
            ("transaction", transaction), ("user", "alice"), ("password", "alice-demo"),
        ])
        let answer = try client().send(
            "POST", "/sign-in", fields: [("Content-Type", "application/x-www-form-urlencoded")],
            body: Array(form.utf8))
        return try #require(answer.fields.first { $0.name == "location" }).value
    }

    private func session(_ flow: SignInFlow) async throws -> StoredSession? {
        guard case .session(let session, _) = try await signIn(flow) else { return nil }
        return session
    }

    private func reason(_ flow: SignInFlow) async throws -> Reason? {
        guard case .refused(let refusal) = try await signIn(flow) else { return nil }
        return refusal.reason
    }

    // MARK: Pushed requests

    @Test("requests are pushed where it is offered or required") func pushed() async throws {
        for fault in [nil, "par-required"] {
            if let fault { try self.fault(fault) }
            guard case .session(let session, let urls) = try await signIn(flow()) else {
                Issue.record("no session")
                return
            }
            #expect(session.email == "alice@corp.example")
            #expect(urls.count == 1 && urls[0].contains("request_uri=urn") && !urls[0].contains("state="))
        }
        #expect(try await reason(flow { $0.pushedAuthorization = .off }) == .identityProviderUnavailable)
        try fault("none")
        try fault("no-par")
        #expect(try await session(flow()) != nil)
        #expect(try await reason(flow { $0.pushedAuthorization = .required }) == .identityProviderUnavailable)
    }

    @Test(
        "a push that fails ends the sign-in",
        arguments: [
            ("par-refused", Reason.identityProviderRefused),
            ("par-unavailable", .identityProviderUnavailable),
            ("par-without-name", .identityProviderUnavailable),
            ("par-short-lived", .identityProviderUnavailable),
        ])
    func pushFails(_ fault: String, _ reason: Reason) async throws {
        try self.fault(fault)
        #expect(try await self.reason(flow()) == reason)
    }

    // MARK: Clients with a key

    @Test(
        "a key is as good as a secret, named by itself or by its certificate; then the secret is void",
        arguments: [
            (false, AssertionKey.Audience.issuer), (true, .issuer), (true, .tokenEndpoint),
            (false, .tokenEndpoint),
        ])
    func key(_ isCertificate: Bool, _ audience: AssertionKey.Audience) async throws {
        let pair = try Self.keys.get()
        let certificate = try Certificate(pem: pair.chain)
        let registered = isCertificate ? pair.chain : try Self.publicPEM(pair.key)
        let body: JSONObject = [
            "client": "gatepost", "pem": .string(String(decoding: registered, as: UTF8.self)),
        ]
        try #require(try client().send("POST", "/lab/client-key", body: body.serialized()).status == 200)
        #expect(try await reason(flow()) == .identityProviderRefused, "by its secret")
        let proving = try flow {
            $0.proof = .assertion(
                try AssertionKey(
                    keyPEM: pair.key, certificatePEM: isCertificate ? pair.chain : nil, audience: audience))
        }
        #expect(certificate.publicKey.algorithm == .rs256)
        #expect(try await session(proving) != nil)
        // Twice at the push and at the token endpoint: each assertion another one.
        #expect(try await session(proving) != nil)
        #expect(lab.provider.state.withLock { $0.usedAssertions.count } == 4)
        try fault("assertion-refused")
        #expect(try await reason(proving) == .identityProviderRefused)
    }

    /// The public half, by the openssl program.
    private static func publicPEM(_ key: [UInt8]) throws -> [UInt8] { try GraphLab.publicKey(of: key) }

    // MARK: Claims

    @Test(
        "signed userinfo counts exactly when it holds",
        arguments: [
            ("userinfo-signed", true), ("userinfo-bad-signature", false), ("userinfo-wrong-iss", false),
            ("userinfo-wrong-aud", false), ("userinfo-wrong-sub", false),
        ])
    func userinfo(_ fault: String, _ isTaken: Bool) async throws {
        try self.fault("no-groups")
        try self.fault(fault)
        let session = try #require(try await session(flow()))
        #expect(session.groups == (isTaken ? ["staff", "engineering"] : []))
        #expect((session.claims["hasgroups"] == .flag(true)) == !isTaken)
    }

    @Test("claims of the access token are those of a signed one for our resource") func accessToken()
        async throws
    {
        func asking() -> SignInFlow {
            flow {
                $0.scopes.append("api://lab/access")
                $0.accessTokenClaims = AccessTokenClaims(audience: "api://lab", names: ["deviceid"])
            }
        }
        let object = OpenIDProvider.object(of: Person.demo[0])
        #expect(try await session(asking())?.claims["deviceid"] == .text(object))
        try fault("access-token-wrong-aud")
        #expect(try await reason(asking()) == .identityProviderRefused)
        try fault("none")
        try fault("access-token-bad-signature")
        #expect(try await reason(asking()) == .identityProviderRefused)
    }

    @Test("hidden groups come from the configured Graph, or stay unknown") func groups() async throws {
        func asking() -> SignInFlow { flow { $0.graphURL = "\($0.issuer)/graph/v1.0" } }
        try fault("group-overage")
        let known = try #require(try await session(asking()))
        #expect(known.groups == ["staff", "engineering"] && known.claims["hasgroups"] == nil)
        let unasked = try #require(try await session(flow()))
        #expect(unasked.groups == [] && unasked.claims["hasgroups"] == .flag(true))
        try fault("graph-down")
        let down = try #require(try await session(asking()))
        #expect(down.groups == [] && down.claims["hasgroups"] == .flag(true))
    }

    @Test(
        "demanded claims are asked for once", arguments: ["userinfo-demands-claims", "graph-demands-claims"])
    func demands(_ fault: String) async throws {
        func asking() -> SignInFlow { flow { $0.graphURL = "\($0.issuer)/graph/v1.0" } }
        try self.fault(fault == "graph-demands-claims" ? "group-overage" : "no-groups")
        try self.fault(fault)
        guard case .session(let session, let urls) = try await signIn(asking()) else {
            Issue.record("no session")
            return
        }
        #expect(urls.count == 2 && session.groups == ["staff", "engineering"])
        try self.fault("demand-again")
        #expect(try await reason(asking()) == .authenticationInsufficient)
    }
}
