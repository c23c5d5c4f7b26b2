import CCurl

extension FetchError {
    /// What a libcurl result means to callers (libcurl-errors).
    init(libcurl code: CURLcode) {
        let kind: Kind =
            switch code {
            case CURLE_OPERATION_TIMEDOUT: .timedOut
            case CURLE_SSL_CONNECT_ERROR, CURLE_PEER_FAILED_VERIFICATION, CURLE_SSL_CERTPROBLEM,
                CURLE_SSL_CIPHER,
                CURLE_SSL_ISSUER_ERROR, CURLE_SSL_CACERT_BADFILE, CURLE_SSL_ENGINE_NOTFOUND,
                CURLE_SSL_ENGINE_SETFAILED, CURLE_SSL_INVALIDCERTSTATUS, CURLE_SSL_PINNEDPUBKEYNOTMATCH,
                CURLE_SSL_CLIENTCERT, CURLE_SSL_SHUTDOWN_FAILED, CURLE_SSL_CRL_BADFILE:
                .tlsFailed
            case CURLE_FILESIZE_EXCEEDED: .tooLarge
            // "Unsupported protocol" is libcurl's word for an answer that is not HTTP/1 or later.
            case CURLE_UNSUPPORTED_PROTOCOL, CURLE_WEIRD_SERVER_REPLY, CURLE_PARTIAL_FILE, CURLE_HTTP2,
                CURLE_HTTP2_STREAM, CURLE_BAD_CONTENT_ENCODING, CURLE_WRITE_ERROR, CURLE_HTTP_RETURNED_ERROR,
                tooLargeHead:
                .malformed
            case CURLE_URL_MALFORMAT: .refusedURL
            case CURLE_ABORTED_BY_CALLBACK: .cancelled
            // Everything else is some way of not getting through; none of them says that an answer is wrong.
            case _: .unreachable
            }
        self.init(kind, String(cString: curl_easy_strerror(code)))
    }
}

/// CURLE_TOO_LARGE exists from libcurl 8.6 on, for a head beyond libcurl's own bound.
private let tooLargeHead = CURLcode(rawValue: 100)
