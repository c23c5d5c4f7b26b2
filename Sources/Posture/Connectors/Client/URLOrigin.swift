import Foundation

/// Scheme, host and port of an absolute URL, for comparing.
struct URLOrigin: Hashable, Sendable {
    let scheme: String
    let host: String
    let port: Int

    /// nil for anything with user information, without a host, or of another scheme than http and https.
    init?(_ text: String) {
        guard let parts = URLComponents(string: text), parts.user == nil, parts.password == nil,
            let scheme = parts.scheme?.lowercased(), scheme == "https" || scheme == "http",
            let host = parts.host?.lowercased(), !host.isEmpty
        else { return nil }
        self.scheme = scheme
        self.host = host
        port = parts.port ?? (scheme == "https" ? 443 : 80)
    }
}
