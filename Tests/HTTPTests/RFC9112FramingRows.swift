@testable import HTTP

// The second half of the conformance table: targets, framing, and the fields that steer a connection.
extension RFC9112Rows {
    static let target: [HeadCase] = [
        .init(
            "§3.2.1 origin-form with a query", "GET /a?b=c&d HTTP/1.1\r\nHost: a\r\n\r\n",
            .head("GET /a ?b=c&d a")),
        .init(
            "§3.2.1 an empty query is not no query", "GET /a? HTTP/1.1\r\nHost: a\r\n\r\n",
            .head("GET /a ? a")),
        .init(
            "§3.2.1 a second question mark is query", "GET /a?b?/../c HTTP/1.1\r\nHost: a\r\n\r\n",
            .head("GET /a ?b?/../c a")),
        .init("§3.2.1 no slash", "GET a HTTP/1.1\r\nHost: a\r\n\r\n", .malformedTarget),
        .init("§3.2.1 only a query", "GET ?a HTTP/1.1\r\nHost: a\r\n\r\n", .malformedTarget),
        .init("§3.2 a fragment", "GET /a#b HTTP/1.1\r\nHost: a\r\n\r\n", .fragmentInTarget),
        .init("§3.2 a fragment in the query", "GET /a?b#c HTTP/1.1\r\nHost: a\r\n\r\n", .fragmentInTarget),
        .init(
            "§3.2 a byte above 0x7f in the path", "GET /\u{e9} HTTP/1.1\r\nHost: a\r\n\r\n",
            .invalidTargetByte),
        .init(
            "§3.2 a byte above 0x7f in the query", "GET /?\u{e9} HTTP/1.1\r\nHost: a\r\n\r\n",
            .invalidTargetByte),
        .init("§3.2 a control in the query", "GET /?\u{1} HTTP/1.1\r\nHost: a\r\n\r\n", .invalidTargetByte),
        .init(
            "§3.2.2 absolute-form", "GET https://a/b?c HTTP/1.1\r\nHost: A\r\n\r\n",
            .head("GET /b ?c a absolute")),
        .init(
            "§3.2.2 absolute-form without path", "GET HTTPS://A?c HTTP/1.1\r\nHost: a\r\n\r\n",
            .head("GET / ?c a absolute")),
        .init(
            "§3.2.2 absolute-form with a port", "GET https://a:8443/ HTTP/1.1\r\nHost: a:8443\r\n\r\n",
            .head("GET / a:8443 absolute")),
        .init(
            "§3.2.2 another host", "GET https://b/ HTTP/1.1\r\nHost: a\r\n\r\n", .authorityMismatch),
        .init(
            "§3.2.2 another port than Host", "GET https://a:444/ HTTP/1.1\r\nHost: a:443\r\n\r\n",
            .authorityMismatch),
        .init(
            "§3.2.2 a port that Host lacks", "GET https://a:443/ HTTP/1.1\r\nHost: a\r\n\r\n",
            .authorityMismatch),
        .init("§3.2.2 absolute-form without Host", "GET https://a/ HTTP/1.1\r\n\r\n", .missingHost),
        .init("§3.2.2 user information", "GET https://u@a/ HTTP/1.1\r\nHost: a\r\n\r\n", .malformedTarget),
        .init("§3.2.2 no authority", "GET https:///a HTTP/1.1\r\nHost: a\r\n\r\n", .malformedTarget),
        .init("RFC 9110 §7.4 another scheme", "GET http://a/ HTTP/1.1\r\nHost: a\r\n\r\n", .schemeMismatch),
        .init("§3.2.2 an unknown scheme", "GET ftp://a/ HTTP/1.1\r\nHost: a\r\n\r\n", .malformedTarget),
        .init("§3.2.3 authority-form", "GET a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n", .malformedTarget),
        .init("§3.2.4 asterisk-form", "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", .head("OPTIONS * a asterisk")),
        .init(
            "§3.2.4 absolute-form of it", "OPTIONS https://a HTTP/1.1\r\nHost: a\r\n\r\n",
            .head("OPTIONS * a asterisk")),
        .init("§3.2.4 asterisk-form of GET", "GET * HTTP/1.1\r\nHost: a\r\n\r\n", .asteriskWithoutOptions),
        .init("§3.2.4 an asterisk and more", "OPTIONS *a HTTP/1.1\r\nHost: a\r\n\r\n", .malformedTarget),
    ]

    static let framing: [HeadCase] = [
        .fields("§6.2 Content-Length", "Content-Length: 0", head: "POST / a length=0"),
        .fields("§6.2 leading zeros", "Content-Length: 007", head: "POST / a length=7"),
        .fields(
            "§6.2 the largest length", "Content-Length: 9223372036854775807",
            head: "POST / a length=9223372036854775807"),
        .fields("§6.2 one past it", "Content-Length: 9223372036854775808", .invalidContentLength),
        .fields("§6.2 2^64 + 5", "Content-Length: 18446744073709551621", .invalidContentLength),
        .fields("§6.3-5 twice, equal", "Content-Length: 5\r\nContent-Length: 5", .multipleContentLength),
        .fields("§6.3-5 twice, different", "Content-Length: 5\r\ncontent-length: 6", .multipleContentLength),
        .fields("§6.3-5 a list", "Content-Length: 5, 5", .invalidContentLength),
        .fields("RFC 9110 §8.6 a sign", "Content-Length: +5", .invalidContentLength),
        .fields("RFC 9110 §8.6 a negative length", "Content-Length: -1", .invalidContentLength),
        .fields("RFC 9110 §8.6 hexadecimal", "Content-Length: 0x5", .invalidContentLength),
        .fields("RFC 9110 §8.6 a blank inside", "Content-Length: 5 5", .invalidContentLength),
        .fields("RFC 9110 §8.6 empty", "Content-Length:", .invalidContentLength),
        .fields("RFC 9110 §8.6 a fraction", "Content-Length: 5.0", .invalidContentLength),
        .fields("§6.1 chunked", "Transfer-Encoding: chunked", head: "POST / a chunked"),
        .fields("§7 codings have no case", "Transfer-Encoding: Chunked", head: "POST / a chunked"),
        .fields(
            "§6.1-15 CL.TE", "Content-Length: 5\r\nTransfer-Encoding: chunked",
            .contentLengthWithTransferEncoding),
        .fields(
            "§6.1-15 TE.CL", "Transfer-Encoding: chunked\r\nContent-Length: 5",
            .contentLengthWithTransferEncoding),
        .fields(
            "§6.1-15 TE.CL, unknown coding", "Transfer-Encoding: x\r\nContent-Length: 5",
            .contentLengthWithTransferEncoding),
        .fields("§6.1 an unknown coding", "Transfer-Encoding: gzip", .unsupportedTransferCoding),
        .fields("§6.1 identity is no coding", "Transfer-Encoding: identity", .unsupportedTransferCoding),
        .fields("§6.1 a list (ours)", "Transfer-Encoding: gzip, chunked", .invalidTransferEncoding),
        .fields(
            "§6.1 chunked twice in a list", "Transfer-Encoding: chunked, chunked", .invalidTransferEncoding),
        .fields(
            "§6.1 two fields", "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
            .multipleTransferEncoding),
        .fields(
            "§6.1 two fields, one unknown", "Transfer-Encoding: x\r\nTransfer-Encoding: chunked",
            .multipleTransferEncoding),
        .fields("§6.1 a parameter", "Transfer-Encoding: chunked;q=1", .invalidTransferEncoding),
        .fields("§6.1 quoted", "Transfer-Encoding: \"chunked\"", .invalidTransferEncoding),
        .fields("§6.1 a comma behind", "Transfer-Encoding: chunked,", .invalidTransferEncoding),
        .fields("§6.1 a comma before", "Transfer-Encoding: ,chunked", .invalidTransferEncoding),
        .fields("§6.1 empty", "Transfer-Encoding:", .invalidTransferEncoding),
        .fields("§6.1 a vertical tab before", "Transfer-Encoding: \u{b}chunked", .invalidFieldValue),
        .fields("§6.1 a blank before the colon", "Transfer-Encoding : chunked", .whitespaceBeforeColon),
        .fields("§6.1 on a folded line", "Transfer-Encoding:\r\n chunked", .foldedLine),
        .fields("§6.1 xchunked", "Transfer-Encoding: xchunked", .unsupportedTransferCoding),
        .fields(
            "§6.1 an underscore is another name", "Transfer_Encoding: chunked\r\nContent-Length: 5",
            head: "POST / a length=5"),
        .init(
            "§6.1 Transfer-Encoding in HTTP/1.0",
            "POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n",
            .transferEncodingInOldVersion),
    ]

    static let steering: [HeadCase] = [
        .fields("§9.6 Connection: close", "Connection: close", head: "POST / a close"),
        .fields("§9.6 close in a list", "Connection: keep-alive,, CLOSE ", head: "POST / a close"),
        .fields("§9.3 HTTP/1.1 persists", "Connection: keep-alive", head: "POST / a"),
        .fields(
            "RFC 9110 §7.6.1 a field of the client's own", "Connection: X-Own\r\nX-Own: 1", head: "POST / a"),
        .fields("RFC 9110 §7.6.1 no token", "Connection: a b", .invalidConnection),
        .fields(
            "RFC 9110 §7.6.1 16 options", "Connection: a,b,c,d,e,f,g,h,i,j,k,l,m,n,o,p", head: "POST / a"),
        .fields(
            "RFC 9110 §7.6.1 one more", "Connection: a,b,c,d,e,f,g,h,i,j,k,l,m,n,o,p,q", .invalidConnection),
        .fields(
            "RFC 9110 §7.6.1 17 options in two fields",
            "Connection: a,b,c,d,e,f,g,h\r\nConnection: i,j,k,l,m,n,o,p,q", .invalidConnection),
        .fields("ours: Connection names Host", "Connection: Host", .connectionNamesProtectedField),
        .fields(
            "ours: Connection names Content-Length", "Connection: close, content-length",
            .connectionNamesProtectedField),
        .fields(
            "ours: Connection names Transfer-Encoding", "Connection: Transfer-Encoding",
            .connectionNamesProtectedField),
        .fields("ours: Connection names Cookie", "Connection: cookie", .connectionNamesProtectedField),
        .fields(
            "ours: Connection names an identity field", "Connection: Gatepost-Assertion",
            .connectionNamesProtectedField),
        .fields(
            "ours: … in a folded spelling", "Connection: x_forwarded-USER", .connectionNamesProtectedField),
        .fields(
            "ours: … in a second field", "Connection: close\r\nConnection: Remote-User",
            .connectionNamesProtectedField),
        .fields("RFC 9110 §10.1.1 Expect", "Expect: 100-Continue", head: "POST / a expects"),
        .init(
            "RFC 9110 §10.1.1 ignored in HTTP/1.0",
            "POST / HTTP/1.0\r\nHost: a\r\nExpect: 100-continue\r\n\r\n", .head("POST / a close")),
        .fields("RFC 9110 §10.1.1 another expectation", "Expect: 200-ok", .unsupportedExpectation),
        .fields("RFC 9110 §10.1.1 an empty one", "Expect:", .unsupportedExpectation),
        .fields(
            "RFC 9110 §10.1.1 twice", "Expect: 100-continue\r\nExpect: 100-continue", .multipleExpectation),
        .init(
            "RFC 9110 §7.8 an upgrade to WebSocket",
            "GET / HTTP/1.1\r\nHost: a\r\nUpgrade: WebSocket\r\nConnection: x, Upgrade\r\n\r\n",
            .head("GET / a websocket")),
        .init(
            "RFC 9110 §7.8 h2c is ignored",
            "GET / HTTP/1.1\r\nHost: a\r\nUpgrade: h2c\r\n"
                + "Connection: Upgrade, HTTP2-Settings\r\nHTTP2-Settings: AA\r\n\r\n",
            .head("GET / a")),
        .init(
            "RFC 9110 §7.8 not named by Connection",
            "GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\n\r\n", .head("GET / a")),
        .init(
            "RFC 9110 §7.8 ignored in HTTP/1.0",
            "GET / HTTP/1.0\r\nHost: a\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n",
            .head("GET / a close")),
        .init(
            "RFC 6455 §4.1 a POST",
            "POST / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n", .invalidUpgrade
        ),
        .init(
            "ours: an upgrade with a body",
            "GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\n"
                + "Connection: upgrade\r\nContent-Length: 1\r\n\r\n",
            .invalidUpgrade),
        .init(
            "ours: two Upgrade fields",
            "GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\n"
                + "Upgrade: h2c\r\nConnection: upgrade\r\n\r\n",
            .invalidUpgrade),
    ]
}
