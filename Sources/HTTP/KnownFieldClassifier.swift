/// Field name → `KnownField`: length and one letter leave one candidate, which is compared in full.

extension KnownField {
    /// - Parameter range: where the name stands in `bytes`; not empty.
    init(classifying bytes: Span<UInt8>, _ range: Range<Int>) {
        let first = ByteClass.lowered(bytes[range.lowerBound])
        let candidate: KnownField
        if range.count < 12 {
            candidate = KnownField.short(key(range.count, first))
        } else {
            // `sec-fetch-*` and `x-forwarded-*` of equal length differ in the fourth letter from the end.
            let late = ByteClass.lowered(bytes[range.upperBound - 4])
            candidate = KnownField.long(key(range.count, first), late: late)
        }
        self = candidate != .other && ByteClass.equalFolded(bytes, range, candidate.name) ? candidate : .other
    }

    // One integer compared with constants: the optimiser makes a jump of it.
    private static func short(_ found: UInt16) -> KnownField {
        switch found {
        case key(2, "t"): .te
        case key(4, "h"): .host
        case key(4, "d"): .date
        case key(5, "r"): .range
        case key(6, "c"): .cookie
        case key(6, "e"): .expect
        case key(6, "o"): .origin
        case key(6, "a"): .accept
        case key(6, "s"): .server
        case key(7, "t"): .trailer
        case key(7, "u"): .upgrade
        case key(7, "r"): .referer
        case key(8, "l"): .location
        case key(9, "f"): .forwarded
        case key(9, "x"): .xRealIP
        case key(10, "u"): .userAgent
        case key(10, "k"): .keepAlive
        case key(10, "s"): .setCookie
        case key(10, "c"): .connection
        case key(10, "t"): .tracestate
        case key(11, "t"): .traceparent
        default: .other
        }
    }

    private static func long(_ found: UInt16, late: UInt8) -> KnownField {
        switch found {
        case key(12, "c"): .contentType
        case key(13, "c"): .cacheControl
        case key(13, "a"): .authorization
        case key(14, "c"): .contentLength
        case key(14, "h"): .http2Settings
        case key(14, "s"): secFetch(late)
        case key(15, "x"): .xForwardedFor
        case key(15, "a"): .acceptEncoding
        case key(16, "x"): late == code("h") ? .xForwardedHost : .xForwardedPort
        case key(16, "c"): .contentEncoding
        case key(16, "p"): .proxyConnection
        case key(17, "x"): .xForwardedProto
        case key(17, "t"): .transferEncoding
        case key(17, "s"): .secWebSocketKey
        case key(18, "p"): .proxyAuthenticate
        case key(19, "p"): .proxyAuthorization
        case key(21, "s"): .secWebSocketVersion
        case key(22, "s"): .secWebSocketProtocol
        case key(24, "s"): .secWebSocketExtensions
        case key(29, "a"): .accessControlRequestMethod
        default: .other
        }
    }

    private static func secFetch(_ late: UInt8) -> KnownField {
        switch late {
        case code("m"): .secFetchMode
        case code("d"): .secFetchDest
        case code("s"): .secFetchSite
        case code("u"): .secFetchUser
        default: .other
        }
    }
}

@inline(__always)
private func code(_ letter: Unicode.Scalar) -> UInt8 { UInt8(truncatingIfNeeded: letter.value) }

@inline(__always)
private func key(_ count: Int, _ letter: Unicode.Scalar) -> UInt16 { key(count, code(letter)) }

/// - Precondition: none; lengths of 256 and more wrap, and the full comparison then refuses them.
@inline(__always)
private func key(_ count: Int, _ first: UInt8) -> UInt16 {
    UInt16(truncatingIfNeeded: count) << 8 | UInt16(first)
}
