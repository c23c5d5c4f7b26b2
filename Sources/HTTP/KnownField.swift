/// The field names that the gateway itself looks at, as one byte. Everything else is `other`.
///
/// Fewer than 64, so that a set of them is one word (`FieldTable.contains`).
public enum KnownField: UInt8, Sendable, CaseIterable {
    case other = 0
    case te, host, date, range, cookie, expect, origin, accept, server, trailer, upgrade, referer, forwarded
    case location
    case userAgent, keepAlive, setCookie, connection, xRealIP, tracestate, secFetchMode, secFetchDest
    case secFetchSite, secFetchUser, contentType, traceparent, cacheControl, contentLength, authorization
    case acceptEncoding, contentEncoding, xForwardedFor, xForwardedHost, xForwardedPort, xForwardedProto
    case proxyConnection, proxyAuthenticate, proxyAuthorization, transferEncoding, http2Settings
    case secWebSocketKey, secWebSocketVersion, secWebSocketProtocol, secWebSocketExtensions
    case accessControlRequestMethod

    /// The name in lower case; empty for `.other`.
    public var name: StaticString {
        switch self {
        case .other: ""
        case .te: "te"
        case .host: "host"
        case .date: "date"
        case .range: "range"
        case .cookie: "cookie"
        case .expect: "expect"
        case .origin: "origin"
        case .accept: "accept"
        case .server: "server"
        case .trailer: "trailer"
        case .upgrade: "upgrade"
        case .referer: "referer"
        case .forwarded: "forwarded"
        case .location: "location"
        case .userAgent: "user-agent"
        case .keepAlive: "keep-alive"
        case .setCookie: "set-cookie"
        case .connection: "connection"
        case .xRealIP: "x-real-ip"
        case .tracestate: "tracestate"
        case .secFetchMode: "sec-fetch-mode"
        case .secFetchDest: "sec-fetch-dest"
        case .secFetchSite: "sec-fetch-site"
        case .secFetchUser: "sec-fetch-user"
        case .contentType: "content-type"
        case .traceparent: "traceparent"
        case .cacheControl: "cache-control"
        case .contentLength: "content-length"
        case .authorization: "authorization"
        case .acceptEncoding: "accept-encoding"
        case .contentEncoding: "content-encoding"
        case .xForwardedFor: "x-forwarded-for"
        case .xForwardedHost: "x-forwarded-host"
        case .xForwardedPort: "x-forwarded-port"
        case .xForwardedProto: "x-forwarded-proto"
        case .proxyConnection: "proxy-connection"
        case .proxyAuthenticate: "proxy-authenticate"
        case .proxyAuthorization: "proxy-authorization"
        case .transferEncoding: "transfer-encoding"
        case .http2Settings: "http2-settings"
        case .secWebSocketKey: "sec-websocket-key"
        case .secWebSocketVersion: "sec-websocket-version"
        case .secWebSocketProtocol: "sec-websocket-protocol"
        case .secWebSocketExtensions: "sec-websocket-extensions"
        case .accessControlRequestMethod: "access-control-request-method"
        }
    }
}
