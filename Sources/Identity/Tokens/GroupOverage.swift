import Access
import Fetch
import JSON

/// Groups of a person who is in more of them than a token has room for, asked of Microsoft Graph
/// (`getMemberObjects`) with the sign-in's own access token. Where Graph is comes from the configuration: the
/// address that the token names may be a retired one, or anybody's.
struct GroupOverage {
    let exchange: TokenExchange
    /// Without a slash at its end.
    let base: String

    /// The vendor answers in one page; a next one is read like the first.
    static let pagesMax = 10
    private static let pageBytesMax = 1 << 20
    private static let idBytesMax = 128

    /// Object ids of every group and role of the person.
    ///
    /// - Throws: what kept the list from being complete. More than `ClaimReader.groupsMax` are not half taken.
    func groups(of idToken: JSONObject, accessToken: String?) async throws(IdentityError) -> [String] {
        guard let accessToken else { throw refused("the provider gave no access token") }
        guard let object = idToken["oid"]?.string, Self.isGUID(object) else {
            throw refused("the id token has no oid that names a person there")
        }
        var next: FetchRequest? = request("\(base)/users/\(object)/getMemberObjects", accessToken)
        next?.method = "POST"
        next?.fields.append(("Content-Type", "application/json"))
        next?.body = Array(#"{"securityEnabledOnly":false}"#.utf8)
        var groups: [String] = []
        var visited: Set<ExactKey> = []
        while let current = next {
            guard visited.count < Self.pagesMax, visited.insert(ExactKey(current.url)).inserted else {
                throw refused("more than \(Self.pagesMax) pages, or one of them twice")
            }
            let page = try await page(current)
            groups += try ids(page)
            guard groups.count <= ClaimReader.groupsMax else {
                throw refused("more than \(ClaimReader.groupsMax) groups")
            }
            next = try link(page).map { request($0, accessToken) }
        }
        return groups
    }

    private func request(_ url: String, _ accessToken: String) -> FetchRequest {
        FetchRequest(
            url: url, fields: [("Accept", "application/json"), ("Authorization", "Bearer \(accessToken)")],
            timeoutMilliseconds: 5_000, bodyBytesMax: Self.pageBytesMax,
            allowsPlainHTTP: exchange.registration.allowsPlainHTTP,
            authoritiesPEM: exchange.registration.authoritiesPEM)
    }

    private func page(_ request: FetchRequest) async throws(IdentityError) -> JSONObject {
        let response = try await exchange.fetch(request)
        guard response.status == 200 else { throw exchange.refusal(of: "groups", response) }
        return try exchange.parsed(response, "groups", limits: .provider)
    }

    private func ids(_ page: JSONObject) throws(IdentityError) -> [String] {
        guard let values = page["value"]?.array else { throw malformed("value is no list") }
        let ids = values.compactMap(\.string)
        guard ids.count == values.count,
            ids.allSatisfy({ id in
                (1...Self.idBytesMax).contains(id.utf8.count)
                    && id.utf8.allSatisfy { (0x21...0x7e).contains($0) }
            })
        else { throw malformed("an id is no text of 1 to \(Self.idBytesMax) visible characters") }
        return ids
    }

    /// The access token goes to the configured base and nowhere else.
    private func link(_ page: JSONObject) throws(IdentityError) -> String? {
        guard let value = page["@odata.nextLink"], !value.isNull else { return nil }
        guard let url = value.string, url.utf8.starts(with: "\(base)/".utf8),
            EndpointCheck.isAcceptable(url, allowsPlainHTTP: exchange.registration.allowsPlainHTTP)
        else { throw malformed("the next page is not at the configured address") }
        return url
    }

    private func malformed(_ what: String) -> IdentityError {
        IdentityError(.providerMalformed, "\(exchange.registration.name): groups: \(what)")
    }
    private func refused(_ what: String) -> IdentityError {
        IdentityError(.providerRefused, "\(exchange.registration.name): groups: \(what)")
    }

    /// It is going to stand in a path.
    static func isGUID(_ text: String) -> Bool {
        let bytes = Array(text.utf8)
        return bytes.count == 36
            && bytes.enumerated().allSatisfy { index, byte in
                switch index {
                case 8, 13, 18, 23: byte == UInt8(ascii: "-")
                case _: (0x30...0x39).contains(byte) || (0x41...0x46).contains(byte & 0xdf)
                }
            }
    }
}
