import CCurl

/// An URL parsed by libcurl itself and handed to the transfer as parsed, so that what is judged here is what is
/// fetched: there is no second parser whose opinion could differ.
final class CheckedURL {
    /// Owned; freed with this value, so it lives as long as the transfer that uses it.
    let handle: OpaquePointer
    private(set) var isPlain = false

    private static let urlBytesMax = 8 << 10

    init(_ text: String, allowsPlainHTTP: Bool) throws(FetchError) {
        guard text.utf8.count <= Self.urlBytesMax else {
            throw FetchError(.refusedURL, "the URL is longer than \(Self.urlBytesMax) bytes")
        }
        guard text.utf8.allSatisfy({ (0x21...0x7e).contains($0) }) else {
            throw FetchError(.refusedURL, "the URL has bytes that are not printable ASCII")
        }
        guard let handle = curl_url() else { throw FetchError(.unreachable, "out of memory") }
        self.handle = handle
        try judge(text, allowsPlainHTTP: allowsPlainHTTP)
    }

    deinit { curl_url_cleanup(handle) }

    private func judge(_ text: String, allowsPlainHTTP: Bool) throws(FetchError) {
        // libcurl repairs "https:///host"; an address that needs repair is not one.
        guard !text.contains(":///"), curl_url_set(handle, CURLUPART_URL, text, 0) == CURLUE_OK,
            let scheme = part(CURLUPART_SCHEME), let host = part(CURLUPART_HOST)
        else { throw FetchError(.refusedURL, "not an absolute URL") }
        isPlain = scheme == "http"
        // "https://idp.example@evil.example/" reads like the first host and goes to the second.
        guard part(CURLUPART_USER) == nil, part(CURLUPART_PASSWORD) == nil else {
            throw FetchError(.refusedURL, "the URL carries user information")
        }
        guard scheme == "https" || isPlain else { throw FetchError(.refusedURL, "scheme is not https") }
        guard !isPlain || (allowsPlainHTTP && Self.isLoopback(host)) else {
            throw FetchError(.refusedURL, "plain http is refused; only loopback may be allowed to use it")
        }
    }

    private func part(_ part: CURLUPart) -> String? {
        var text: UnsafeMutablePointer<CChar>?
        guard curl_url_get(handle, part, &text, 0) == CURLUE_OK, let text else { return nil }
        defer { curl_free(text) }
        return String(cString: text)
    }

    /// 127.0.0.0/8, ::1 and the name localhost, as libcurl writes them (it has normalised "127.1" by now, and it
    /// resolves "localhost" without asking anybody).
    static func isLoopback(_ host: String) -> Bool {
        if host == "[::1]" || host.lowercased() == "localhost" { return true }
        let parts = host.split(separator: ".", omittingEmptySubsequences: false)
        return parts.count == 4 && parts[0] == "127" && parts.allSatisfy { UInt8($0) != nil }
    }
}

/// Refuses requests whose parts could change the meaning of the bytes sent (RFC 9110 §5.1, §5.5, §9.1).
func checkParts(of request: FetchRequest) throws(FetchError) {
    guard !request.method.isEmpty, request.method.utf8.allSatisfy({ (0x41...0x5a).contains($0) }) else {
        throw FetchError(.refusedURL, "the method is not upper-case letters")
    }
    let bounds = [
        request.timeoutMilliseconds, request.connectTimeoutMilliseconds,
        request.firstByteTimeoutMilliseconds ?? 1,
    ]
    guard bounds.allSatisfy({ (1...600_000).contains($0) }), request.bodyBytesMax >= 0 else {
        throw FetchError(.refusedURL, "the bounds of the request are out of range")
    }
    guard (request.clientCertificatePEM == nil) == (request.clientKeyPEM == nil) else {
        throw FetchError(.refusedURL, "a client certificate needs its key, and a key its certificate")
    }
    for (name, value) in request.fields {
        guard !name.isEmpty, name.utf8.allSatisfy(isTokenByte) else {
            throw FetchError(.refusedURL, "a field name is not a token")
        }
        guard value.utf8.allSatisfy({ $0 == 0x09 || ($0 >= 0x20 && $0 != 0x7f) }) else {
            throw FetchError(.refusedURL, "the value of \(name) has control bytes")
        }
    }
}

/// RFC 9110 §5.6.2 tchar.
private func isTokenByte(_ byte: UInt8) -> Bool {
    switch byte {
    case 0x30...0x39, 0x41...0x5a, 0x61...0x7a: true
    case 0x21, 0x23...0x27, 0x2a, 0x2b, 0x2d, 0x2e, 0x5e...0x60, 0x7c, 0x7e: true
    case _: false
    }
}
