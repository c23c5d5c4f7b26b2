import JSON
import Testing

@testable import gatepost_lab

/// The emulators of posture providers on a free port, with a clock that a test moves.
final class VendorLab {
    /// Stands still; a test moves it by its offset.
    let clock = LabClock(base: { 1_770_000_000 })
    let site: VendorSite
    private let server: SiteServer
    private var client: LabClient { LabClient(port: server.port) }

    init() throws {
        server = try SiteServer(port: 0)
        site = VendorSite(port: server.port, clock: clock)
        server.start(site, clock: clock, log: LabLog(isSilent: true))
    }

    deinit { server.stop() }

    func send(
        _ method: String, _ path: String, fields: [(String, String)] = [], json: JSONValue? = nil,
        form: [(String, String)]? = nil
    ) throws -> (status: Int, fields: [(name: String, value: String)], body: [UInt8]) {
        var fields = fields
        var body: [UInt8] = []
        if let json {
            fields.append(("Content-Type", "application/json"))
            body = json.serialized()
        } else if let form {
            fields.append(("Content-Type", "application/x-www-form-urlencoded"))
            body = Array(Parameters.encode(form).utf8)
        }
        return try client.send(method, path, fields: fields, body: body)
    }

    func json(
        _ method: String = "GET", _ path: String, fields: [(String, String)] = [], json: JSONValue? = nil
    )
        throws -> (status: Int, body: JSONValue)
    {
        let answer = try send(method, path, fields: fields, json: json)
        return (answer.status, try JSONValue(parsing: answer.body, limits: .provider))
    }

    /// `Bearer …` of a vendor's token endpoint.
    func bearer(_ path: String, _ form: [(String, String)]) throws -> [(String, String)] {
        let answer = try send("POST", path, form: form)
        let token = try #require(try JSONValue(parsing: answer.body)["access_token"]?.string)
        return [("Authorization", "Bearer \(token)")]
    }

    func falcon() throws -> [(String, String)] {
        try bearer(
            "/crowdstrike/oauth2/token",
            [("client_id", Falcon.clientID), ("client_secret", Falcon.clientSecret)])
    }
}
