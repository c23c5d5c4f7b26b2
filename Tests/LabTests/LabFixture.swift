import JSON
import Signatures
import Testing

@testable import gatepost_lab

/// A lab on free ports with a clock that stands still, and a browser's and a relying party's moves against
/// it.
final class LabFixture {
    static let redirectURI = "https://auth.lab.example/.gatepost/callback/staff"
    static let startSeconds: Int64 = 1_770_000_000
    /// RFC 7636 appendix B.
    static let verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
    static let challenge = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"

    let lab: Lab
    let clock: LabClock

    init(fillers: Int = 0) throws {
        clock = LabClock(base: { Self.startSeconds })
        lab = try Lab(
            ports: (0, 0, 0), clients: Client.demo(origins: ["https://auth.lab.example"]),
            devices: ManagedDevice.demo(
                serial: "LAB-ALICE-0001", deviceName: "alice-laptop", fillers: fillers),
            tenantClients: Client.tenantDemo(origins: ["https://auth.lab.example"]), clock: clock,
            log: LabLog(isSilent: true))
    }

    deinit { lab.stop() }

    var openid: LabClient { LabClient(port: lab.servers[0].port) }
    var graph: LabClient { LabClient(port: lab.servers[1].port) }
    var echo: LabClient { LabClient(port: lab.servers[2].port) }

    // MARK: the provider

    /// The parameters of a correct authorization request, with replacements; nil takes one away.
    static func authorization(_ replaced: [String: String?] = [:]) -> String {
        var pairs = [
            "response_type": "code", "client_id": "gatepost", "redirect_uri": redirectURI,
            "scope": "openid email profile", "state": "state-1", "nonce": "nonce-1",
            "code_challenge": challenge, "code_challenge_method": "S256",
        ]
        for (name, value) in replaced { pairs[name] = value }
        return "/authorize?" + Parameters.encode(pairs.sorted { $0.key < $1.key }.map { ($0.key, $0.value) })
    }

    typealias Answer = (status: Int, fields: [(name: String, value: String)], body: [UInt8])

    static func location(_ answer: Answer) -> Parameters? {
        let address = answer.fields.first { $0.name == "location" }?.value ?? ""
        guard let mark = address.firstIndex(of: "?") else { return nil }
        return Parameters(parsing: String(address[address.index(after: mark)...]))
    }

    func post(
        _ client: LabClient, _ path: String, _ pairs: [(String, String)], fields: [(String, String)] = []
    ) throws -> Answer {
        let type = [("Content-Type", "application/x-www-form-urlencoded")]
        return try client.send(
            "POST", path, fields: type + fields, body: Array(Parameters.encode(pairs).utf8))
    }

    /// Signs in at the form and returns the answer to the post.
    func signIn(
        user: String = "alice", password: String = "alice-demo", _ replaced: [String: String?] = [:]
    ) throws -> Answer {
        let page = try openid.send("GET", Self.authorization(replaced))
        try #require(page.status == 200)
        let text = String(decoding: page.body, as: UTF8.self)
        let marker = "name=\"transaction\" value=\""
        let start = try #require(text.firstRange(of: marker)).upperBound
        let transaction = String(text[start...].prefix { $0 != "\"" })
        return try post(
            openid, "/sign-in", [("transaction", transaction), ("user", user), ("password", password)])
    }

    func code() throws -> String { try #require(Self.location(try signIn())?["code"]) }

    func redeem(_ code: String, _ replaced: [String: String] = [:]) throws -> Answer {
        var pairs = [
            "grant_type": "authorization_code", "code": code, "redirect_uri": Self.redirectURI,
            "code_verifier": Self.verifier, "client_id": "gatepost", "client_secret": "gatepost-demo-secret",
        ]
        for (name, value) in replaced { pairs[name] = value }
        return try post(openid, "/token", pairs.map { ($0.key, $0.value) })
    }

    func error(_ answer: Answer) -> String? { (try? JSONValue(parsing: answer.body))?["error"]?.string }

    func fault(_ client: LabClient, _ name: String, count: Int64? = nil) throws {
        var body: JSONObject = ["name": .string(name)]
        body["count"] = count.map { .integer($0) }
        let answer = try client.send("POST", "/lab/faults", body: JSONValue.object(body).serialized())
        try #require(answer.status == 200)
    }

    // MARK: the emulator

    func graphToken(_ replaced: [String: String] = [:], tenant: String = GraphEmulator.tenant) throws
        -> Answer
    {
        var pairs = [
            "grant_type": "client_credentials", "client_id": GraphEmulator.clientID,
            "client_secret": GraphEmulator.clientSecret, "scope": lab.graphAddress + "/.default",
        ]
        for (name, value) in replaced { pairs[name] = value }
        return try post(graph, "/\(tenant)/oauth2/v2.0/token", pairs.map { ($0.key, $0.value) })
    }

    func bearer() throws -> String {
        try #require(try JSONValue(parsing: try graphToken().body)["access_token"]?.string)
    }

    func get(_ path: String, bearer: String, fields: [(String, String)] = []) throws -> Answer {
        try graph.send("GET", path, fields: [("Authorization", "Bearer \(bearer)")] + fields)
    }

    func graphCode(_ answer: Answer) -> String? {
        (try? JSONValue(parsing: answer.body))?["error"]?["code"]?.string
    }

    /// Follows next links verbatim; stops after `pagesMax` pages.
    func pages(_ first: String, bearer: String, pagesMax: Int = 50) throws -> [JSONValue] {
        var path: String? = first
        var pages: [JSONValue] = []
        while let next = path, pages.count < pagesMax {
            let page = try JSONValue(parsing: try get(next, bearer: bearer).body, limits: .provider)
            pages.append(page)
            path = page["@odata.nextLink"]?.string.map { String($0.dropFirst(lab.graphAddress.count)) }
        }
        return pages
    }
}
