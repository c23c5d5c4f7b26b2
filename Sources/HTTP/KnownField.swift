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
    case accessControlRequestMethod, gatepostHop
    case clearSiteData, secureSessionRegistration, secureSessionChallenge
    // Looked at by nobody, but in nearly every head: known, so that no writer has to compare their names.
    case acceptLanguage, upgradeInsecureRequests, secCHUA, secCHUAMobile, secCHUAPlatform, xContentTypeOptions

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
        case .gatepostHop: "gatepost-hop"
        case .clearSiteData: "clear-site-data"
        case .secureSessionRegistration: "secure-session-registration"
        case .secureSessionChallenge: "secure-session-challenge"
        case .acceptLanguage: "accept-language"
        case .upgradeInsecureRequests: "upgrade-insecure-requests"
        case .secCHUA: "sec-ch-ua"
        case .secCHUAMobile: "sec-ch-ua-mobile"
        case .secCHUAPlatform: "sec-ch-ua-platform"
        case .xContentTypeOptions: "x-content-type-options"
        }
    }
}

extension KnownField {
    /// Bits of the fields that nothing here depends on: whoever sends one may name it in Connection, and then
    /// it ends here like any unknown field.
    static var ordinary: UInt64 {
        bit(.acceptLanguage) | bit(.upgradeInsecureRequests) | bit(.secCHUA) | bit(.secCHUAMobile)
            | bit(.secCHUAPlatform) | bit(.xContentTypeOptions)
    }

    @inline(__always)
    private static func bit(_ known: KnownField) -> UInt64 { 1 &<< UInt64(known.rawValue) }

    /// Whether it is `.other` or may be treated as such.
    @inline(__always)
    var isOrdinary: Bool { (KnownField.ordinary | 1) &>> UInt64(rawValue) & 1 != 0 }
}
