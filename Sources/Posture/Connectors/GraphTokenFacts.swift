import Fetch
import JSON

/// What a tenant's tokens say beside being tokens: which directory issued them (001.14) and what we may do
/// with them (002.16).
actor TokenFacts {
    static let permissionsMax = 200

    /// Directory id (GUID) or verified domain, as configured.
    private let tenant: String
    private let loginURL: String
    /// The directory id, once it is known.
    private var directoryID: String?
    /// Application roles or delegated scopes of the newest token, sorted; nil: it does not say.
    private(set) var granted: [String]?

    init(tenant: String, loginURL: String) {
        self.tenant = tenant
        self.loginURL = loginURL
        directoryID = Self.guid(tenant)
    }

    /// A GUID in lower case; nil for anything else.
    static func guid(_ text: String) -> String? { DeviceKey(.entra, text)?.value }

    /// The directory id of the configured tenant: a domain's stands in the login service's own description
    /// of it, whose issuer ends with `/<id>/v2.0`.
    ///
    /// - Throws: `auth_failed` for a domain that no directory has.
    func directoryID(_ client: ProviderClient) async throws(ConnectorFailure) -> String {
        if let directoryID { return directoryID }
        var request = FetchRequest(
            url: "\(loginURL)/\(tenant)/v2.0/.well-known/openid-configuration")
        request.timeoutMilliseconds = 10_000
        request.bodyBytesMax = ProviderClient.smallBodyBytesMax
        let response = try await client.send(request)
        guard (200...499).contains(response.status) else {
            throw ConnectorFailure(
                .unavailable, "tenant \(tenant): the login service answered \(response.status)")
        }
        let answer = try ProviderClient.parse(response.body)
        let parts = answer["issuer"]?.string?.split(separator: "/") ?? []
        guard response.status == 200, parts.last == "v2.0",
            let id = parts.dropLast().last.flatMap({ Self.guid(String($0)) })
        else {
            throw ConnectorFailure(
                .authFailed, "tenant \(tenant) is no directory of the login service; write its directory id")
        }
        directoryID = id
        return id
    }

    /// Reads a token answer.
    ///
    /// - Throws: `auth_failed` when a token names another directory than the configured one. A token that
    ///   names none is the issuer's own affair: it came from the tenant's token endpoint.
    func received(_ answer: JSONValue, _ client: ProviderClient) async throws(ConnectorFailure) {
        let access = UnverifiedClaims.read(answer["access_token"]?.string)
        let identity = UnverifiedClaims.read(answer["id_token"]?.string)
        for claims in [access, identity] {
            guard let issuing = claims?["tid"]?.string else { continue }
            try await check(issuing, client)
        }
        granted = access.flatMap(Self.permissions)
    }

    /// Whether this directory id is the configured tenant's.
    func isOwn(_ issuing: String, _ client: ProviderClient) async throws(ConnectorFailure) -> Bool {
        let own = try await directoryID(client)
        return Self.guid(issuing) == own
    }

    /// - Throws: `auth_failed` for another directory than the configured one.
    private func check(_ issuing: String, _ client: ProviderClient) async throws(ConnectorFailure) {
        guard try await !isOwn(issuing, client) else { return }
        throw ConnectorFailure(
            .authFailed,
            "the answer is of directory \(ProviderClient.plain(issuing)), tenant says \(tenant)")
    }

    /// `roles` of an application's token, `scp` of a person's.
    private static func permissions(_ claims: JSONValue) -> [String]? {
        let names =
            claims["roles"]?.array?.compactMap(\.string)
            ?? claims["scp"]?.string?.split(separator: " ").map(String.init)
        return names.map { Array(Set($0.prefix(permissionsMax).map(RecordReading.shortened))).sorted() }
    }
}
