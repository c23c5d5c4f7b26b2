/// What the emulator remembers: devices, tokens, pages under way, requests of the last 20 seconds.

import JSON
import Signatures

struct GraphState {
    static let windowSeconds: Int64 = 20
    static let entriesMax = 10_000
    static let tokenSeconds: Int64 = 3599

    struct Page {
        var query: GraphQuery
        /// nil: all devices; otherwise those of one user.
        var user: String?
        var offset: Int
        /// True behind an empty page, so that one empty page is not followed by another.
        var followsEmpty = false
    }

    var devices: [ManagedDevice]
    struct AccessToken {
        var expiresAtSeconds: Int64
        var permissions: Set<String>
    }

    private(set) var tokens: [String: AccessToken] = [:]
    private(set) var pages: [String: Page] = [:]
    private var requestSeconds: [Int64] = []
    var requestsMax = 2000
    /// Refresh tokens and when each was issued; 0: at the time of its first use.
    var refreshTokens: [String: Int64] = [GraphEmulator.refreshToken: 0]
    /// `jti`s that were seen; none counts twice.
    var usedAssertions: Set<String> = []

    init(devices: [ManagedDevice]) { self.devices = devices }

    /// A token as the vendor's are: opaque by contract, readable in fact. Nobody but we can tell it from a
    /// forged one, so nobody signs it.
    mutating func issueToken(
        nowSeconds: Int64, permissions: Set<String>, isDelegated: Bool = false,
        tenant: String = GraphEmulator.tenant
    ) -> String {
        if tokens.count >= Self.entriesMax { tokens.removeAll() }
        let names = permissions.sorted()
        let claims: JSONValue = [
            "tid": .string(tenant), "appid": .string(GraphEmulator.clientID),
            isDelegated ? "scp" : "roles": isDelegated
                ? .string(names.joined(separator: " ")) : .array(names.map { .string($0) }),
        ]
        let parts = [Array("{\"alg\":\"none\"}".utf8), claims.serialized(), Random.bytes(48)]
        let token = parts.map { Base64URL.encode($0) }.joined(separator: ".")
        tokens[token] = AccessToken(
            expiresAtSeconds: nowSeconds + Self.tokenSeconds, permissions: permissions)
        return token
    }

    /// What a token was issued with; nothing for one that is not known.
    func permissions(token: String) -> Set<String> { tokens[token]?.permissions ?? [] }

    mutating func expireTokens() { tokens.removeAll() }

    func accepts(token: String, nowSeconds: Int64) -> Bool {
        guard let known = tokens[token] else { return false }
        return nowSeconds < known.expiresAtSeconds
    }

    /// False when this request is over the limit. It counts all the same, as at the vendor.
    mutating func admitRequest(nowSeconds: Int64) -> Bool {
        requestSeconds.removeAll { $0 <= nowSeconds - Self.windowSeconds }
        if requestSeconds.count < Self.entriesMax { requestSeconds.append(nowSeconds) }
        return requestSeconds.count <= requestsMax
    }

    /// An opaque token for the next page.
    mutating func keep(_ page: Page, as name: String? = nil) -> String {
        if pages.count >= Self.entriesMax { pages.removeAll() }
        let token = name ?? Base64URL.encode(Random.bytes(24))
        pages[token] = page
        return token
    }

    func page(_ token: String) -> Page? { pages[token] }
}
