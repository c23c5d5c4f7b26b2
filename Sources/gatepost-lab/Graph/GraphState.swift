/// What the emulator remembers: devices, tokens, pages under way, requests of the last 20 seconds.

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
    private(set) var tokens: [String: Int64] = [:]
    private(set) var pages: [String: Page] = [:]
    private var requestSeconds: [Int64] = []
    var requestsMax = 2000
    /// Refresh tokens and when each was issued; 0: at the time of its first use.
    var refreshTokens: [String: Int64] = [GraphEmulator.refreshToken: 0]
    /// `jti`s that were seen; none counts twice.
    var usedAssertions: Set<String> = []

    init(devices: [ManagedDevice]) { self.devices = devices }

    mutating func issueToken(nowSeconds: Int64) -> String {
        if tokens.count >= Self.entriesMax { tokens.removeAll() }
        let token = Base64URL.encode(Random.bytes(48))
        tokens[token] = nowSeconds + Self.tokenSeconds
        return token
    }

    mutating func expireTokens() { tokens.removeAll() }

    func accepts(token: String, nowSeconds: Int64) -> Bool {
        guard let expiry = tokens[token] else { return false }
        return nowSeconds < expiry
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
