/// Times as text, for answers and logs. Always UTC.

import Glibc

enum Timestamp {
    /// RFC 3339, for example 2026-02-01T07:41:12Z.
    static func rfc3339(_ seconds: Int64) -> String { text(seconds, "%Y-%m-%dT%H:%M:%SZ") }
    /// RFC 9110 5.6.7, for example Sun, 06 Nov 1994 08:49:37 GMT.
    static func httpDate(_ seconds: Int64) -> String { text(seconds, "%a, %d %b %Y %H:%M:%S GMT") }
    /// As in Entra's error bodies, for example 2026-02-01 08:00:00Z.
    static func spaced(_ seconds: Int64) -> String { text(seconds, "%Y-%m-%d %H:%M:%SZ") }

    private static func text(_ seconds: Int64, _ format: String) -> String {
        var when = time_t(seconds)
        var parts = tm()
        gmtime_r(&when, &parts)
        let bytes = [UInt8](unsafeUninitializedCapacity: 64) { space, count in
            count = space.withMemoryRebound(to: CChar.self) { strftime($0.baseAddress, 64, format, &parts) }
        }
        return String(decoding: bytes, as: UTF8.self)
    }
}
