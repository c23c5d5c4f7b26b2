import CCurl
import Synchronization

/// One exchange: its request, its easy handle and what has arrived of the answer.
///
/// `@unchecked Sendable`: made by the caller, then handed to the engine's thread through the engine's queue. From
/// there on only that thread touches its stored state, except `isCancelled`, which is atomic. libcurl keeps an
/// unretained pointer to it; the engine holds it until the easy handle is gone.
final class CurlTransfer: @unchecked Sendable {
    let request: FetchRequest
    let isCancelled = Atomic<Bool>(false)
    private let complete: @Sendable (Result<FetchResponse, FetchError>) -> Void

    private(set) var easy: UnsafeMutableRawPointer?
    private var fieldList: UnsafeMutablePointer<curl_slist>?
    private var resolveList: UnsafeMutablePointer<curl_slist>?
    private var url: CheckedURL?
    private var fields: [(name: String, value: String)] = []
    private var headBytes = 0
    private var body: [UInt8] = []
    private var hasBodyBegun = false
    private var overflow: String?

    private static let headBytesMax = 64 << 10
    /// When an answer must have begun, by the engine's clock; nil: it has, or there is no bound.
    private(set) var firstByteDueMilliseconds: UInt64?

    init(_ request: FetchRequest, complete: @escaping @Sendable (Result<FetchResponse, FetchError>) -> Void) {
        self.request = request
        self.complete = complete
    }

    /// Makes the easy handle, on the engine's thread.
    ///
    /// - Parameter nowMilliseconds: by the engine's clock.
    func prepare(resolve: [String], nowMilliseconds: UInt64) throws(FetchError) {
        try checkParts(of: request)
        firstByteDueMilliseconds = request.firstByteTimeoutMilliseconds.map { nowMilliseconds + UInt64($0) }
        let url = try CheckedURL(request.url, allowsPlainHTTP: request.allowsPlainHTTP)
        guard let easy = curl_easy_init() else { throw FetchError(.unreachable, "out of memory") }
        self.easy = easy
        self.url = url
        gatepost_curl_set_url(easy, url.handle)
        setBounds(easy, isPlain: url.isPlain)
        setNothingFromOutside(easy)
        try setTLS(easy)
        setMethodAndBody(easy)
        setFields(easy, resolve: resolve)
        let context = Unmanaged.passUnretained(self).toOpaque()
        gatepost_curl_set_body_sink(easy, bodySink, context)
        gatepost_curl_set_field_sink(easy, fieldSink, context)
    }

    /// Frees the easy handle and answers the caller; called once, on the engine's thread, after the easy handle was
    /// removed from its multi handle.
    func finish(_ result: Result<FetchResponse, FetchError>) {
        if let easy { curl_easy_cleanup(easy) }
        easy = nil
        curl_slist_free_all(fieldList)
        curl_slist_free_all(resolveList)
        url = nil
        complete(result)
    }

    /// The result of a transfer that libcurl says is done.
    func result(of code: CURLcode) -> Result<FetchResponse, FetchError> {
        if let overflow { return .failure(FetchError(.tooLarge, overflow)) }
        guard code == CURLE_OK, let easy else { return .failure(FetchError(libcurl: code)) }
        let status = Int(gatepost_curl_response_code(easy))
        guard (200...599).contains(status) else {
            return .failure(FetchError(.malformed, "status \(status) is not a final status"))
        }
        return .success(FetchResponse(status: status, fields: fields, body: body))
    }

    // MARK: Options

    private func setBounds(_ easy: UnsafeMutableRawPointer, isPlain: Bool) {
        gatepost_curl_set_string(easy, CURLOPT_PROTOCOLS_STR, isPlain ? "http" : "https")
        gatepost_curl_set_long(easy, CURLOPT_FOLLOWLOCATION, 0)
        // 2: CURL_HTTP_VERSION_1_1. libcurl 7.88 takes an idle HTTP/2 connection for alive although the server has
        // closed it, and the request that reuses it fails half-way; over HTTP/1.1 it notices and connects anew.
        gatepost_curl_set_long(easy, CURLOPT_HTTP_VERSION, 2)
        // libcurl repeats what it sent over a kept connection that was closed without an answer, a POST too; over
        // a fresh one it never does (Curl_retry_request).
        if request.isSentOnce { gatepost_curl_set_long(easy, CURLOPT_FRESH_CONNECT, 1) }
        gatepost_curl_set_long(easy, CURLOPT_TIMEOUT_MS, request.timeoutMilliseconds)
        gatepost_curl_set_long(
            easy, CURLOPT_CONNECTTIMEOUT_MS,
            min(request.timeoutMilliseconds, request.connectTimeoutMilliseconds))
        // Only a declared length is refused by this; what really arrives is counted in `received`.
        gatepost_curl_set_offset(easy, CURLOPT_MAXFILESIZE_LARGE, curl_off_t(max(request.bodyBytesMax, 1)))
        // Signals are process-wide, and this is a library's thread (CURLOPT_NOSIGNAL).
        gatepost_curl_set_long(easy, CURLOPT_NOSIGNAL, 1)
        // Without it, removing a handle whose name is still being looked up waits for the resolver's thread, and
        // every other transfer with it (CURLOPT_QUICK_EXIT).
        gatepost_curl_set_long(easy, CURLOPT_QUICK_EXIT, 1)
    }

    private func setNothingFromOutside(_ easy: UnsafeMutableRawPointer) {
        // "" also switches off http_proxy, https_proxy and all_proxy of the environment (CURLOPT_PROXY).
        gatepost_curl_set_string(easy, CURLOPT_PROXY, "")
        gatepost_curl_set_long(easy, CURLOPT_NETRC, 0)
        gatepost_curl_set_string(easy, CURLOPT_COOKIEFILE, nil)
        gatepost_curl_set_string(easy, CURLOPT_USERAGENT, "gatepost")
    }

    private func setTLS(_ easy: UnsafeMutableRawPointer) throws(FetchError) {
        gatepost_curl_set_long(easy, CURLOPT_SSL_VERIFYPEER, 1)
        gatepost_curl_set_long(easy, CURLOPT_SSL_VERIFYHOST, 2)
        // 6: CURL_SSLVERSION_TLSv1_2, that version or later.
        gatepost_curl_set_long(easy, CURLOPT_SSLVERSION, 6)
        if let authorities = request.authoritiesPEM {
            // The blob replaces the default file but not the default folder: without the second line every public
            // authority would stay trusted beside the configured ones.
            try setBlob(easy, CURLOPT_CAINFO_BLOB, authorities)
            gatepost_curl_set_string(easy, CURLOPT_CAPATH, nil)
            gatepost_curl_set_string(easy, CURLOPT_CAINFO, nil)
        }
        if let certificate = request.clientCertificatePEM, let key = request.clientKeyPEM {
            gatepost_curl_set_string(easy, CURLOPT_SSLCERTTYPE, "PEM")
            gatepost_curl_set_string(easy, CURLOPT_SSLKEYTYPE, "PEM")
            try setBlob(easy, CURLOPT_SSLCERT_BLOB, certificate)
            try setBlob(easy, CURLOPT_SSLKEY_BLOB, key)
        }
    }

    private func setBlob(
        _ easy: UnsafeMutableRawPointer, _ option: CURLoption, _ bytes: [UInt8]
    ) throws(FetchError) {
        // An ignored failure here would mean verifying against other authorities than the configured ones.
        guard !bytes.isEmpty, gatepost_curl_set_blob(easy, option, bytes, bytes.count) == CURLE_OK else {
            throw FetchError(.tlsFailed, "a certificate or key is empty or unusable")
        }
    }

    private func setMethodAndBody(_ easy: UnsafeMutableRawPointer) {
        if request.method == "HEAD" {
            gatepost_curl_set_long(easy, CURLOPT_NOBODY, 1)
            return
        }
        if let body = request.body {
            gatepost_curl_set_long(easy, CURLOPT_POST, 1)
            gatepost_curl_set_body(easy, body.isEmpty ? [0] : body, body.count)
        } else if request.method == "POST" {
            gatepost_curl_set_long(easy, CURLOPT_POST, 1)
            gatepost_curl_set_body(easy, [0] as [UInt8], 0)
        }
        gatepost_curl_set_string(easy, CURLOPT_CUSTOMREQUEST, request.method)
    }

    private func setFields(_ easy: UnsafeMutableRawPointer, resolve: [String]) {
        // "Expect" would cost a round trip of waiting; a made-up content type would be a lie.
        fieldList = curl_slist_append(fieldList, "Expect:")
        if !request.fields.contains(where: { $0.0.lowercased() == "content-type" }) {
            fieldList = curl_slist_append(fieldList, "Content-Type:")
        }
        for (name, value) in request.fields {
            // "Name;" is libcurl's way to send a field without a value; "Name:" would remove it.
            fieldList = curl_slist_append(fieldList, value.isEmpty ? "\(name);" : "\(name): \(value)")
        }
        gatepost_curl_set_list(easy, CURLOPT_HTTPHEADER, fieldList)
        for entry in resolve { resolveList = curl_slist_append(resolveList, entry) }
        if resolveList != nil { gatepost_curl_set_list(easy, CURLOPT_RESOLVE, resolveList) }
    }

    // MARK: What arrives

    /// - Returns: false ends the transfer.
    fileprivate func received(body bytes: UnsafeRawBufferPointer) -> Bool {
        hasBodyBegun = true
        guard bytes.count <= request.bodyBytesMax - body.count else {
            overflow = "the answer is longer than \(request.bodyBytesMax) bytes"
            return false
        }
        body.append(contentsOf: bytes)
        return true
    }

    /// One line of the head, its line end included.
    fileprivate func received(line bytes: UnsafeRawBufferPointer) -> Bool {
        firstByteDueMilliseconds = nil
        headBytes += bytes.count
        guard headBytes <= Self.headBytesMax else {
            overflow = "the head of the answer is longer than \(Self.headBytesMax) bytes"
            return false
        }
        // Trailers come the same way; nothing may read a field that arrived after the content it speaks of.
        guard !hasBodyBegun else { return true }
        if bytes.starts(with: Array("HTTP/".utf8)) {
            // The head of an interim answer (103) came before: only the last head counts.
            fields.removeAll()
            return true
        }
        guard let colon = bytes.firstIndex(of: UInt8(ascii: ":")) else { return true }
        let name = String(decoding: bytes[..<colon], as: UTF8.self).lowercased()
        var value = bytes[(colon + 1)...]
        while let last = value.last, last <= 0x20 { value = value.dropLast() }
        value = value.drop { $0 == 0x20 || $0 == 0x09 }
        fields.append((name, String(decoding: value, as: UTF8.self)))
        return true
    }
}

private func bodySink(
    _ bytes: UnsafeMutablePointer<CChar>?, _ size: Int, _ count: Int, _ context: UnsafeMutableRawPointer?
) -> Int {
    guard let bytes, let context else { return 0 }
    let transfer = Unmanaged<CurlTransfer>.fromOpaque(context).takeUnretainedValue()
    return transfer.received(body: UnsafeRawBufferPointer(start: bytes, count: size * count))
        ? size * count : 0
}

private func fieldSink(
    _ bytes: UnsafeMutablePointer<CChar>?, _ size: Int, _ count: Int, _ context: UnsafeMutableRawPointer?
) -> Int {
    guard let bytes, let context else { return 0 }
    let transfer = Unmanaged<CurlTransfer>.fromOpaque(context).takeUnretainedValue()
    return transfer.received(line: UnsafeRawBufferPointer(start: bytes, count: size * count))
        ? size * count : 0
}
