/// A browser that comes to the agent itself instead of asking through a page's script: by navigation, in a popup, or
/// for the probe image (handshake.md 4.3).
///
/// WebKit blocks what scripts ask of loopback as mixed content, and people may have forbidden it to a page.
/// None of these ways carries an Origin, so the challenge's signature stands alone before anything is said at
/// all.
struct Visit: Sendable {
    enum Kind: String, Sendable {
        case navigation = "/v1/nav"
        case popup = "/v1/popup"
        case probe = "/v1/p.gif"
    }

    let kind: Kind
    let challenge: String

    /// nil: this is none, or not as a browser makes it.
    init?(_ request: AttestRequest) {
        guard request.method == "GET", request.bodyLength == 0, !request.hasOrigin,
            let kind = Kind(rawValue: request.path), let challenge = Self.challenge(in: request.query)
        else { return nil }
        let isImage = kind == .probe
        if let mode = request.fetchMode, mode != (isImage ? "no-cors" : "navigate") { return nil }
        if let destination = request.fetchDestination, destination != (isImage ? "image" : "document") {
            return nil
        }
        self.kind = kind
        self.challenge = challenge
    }

    /// The query is one parameter with the bytes of a compact JWS, and can be read in one way only.
    private static func challenge(in query: String?) -> String? {
        guard let query, query.utf8.starts(with: "c=".utf8) else { return nil }
        let value = query.utf8.dropFirst(2)
        let isCompact = value.allSatisfy { byte in
            (0x30...0x39).contains(byte) || (0x41...0x5a).contains(byte) || (0x61...0x7a).contains(byte)
                || byte == UInt8(ascii: "-") || byte == UInt8(ascii: "_") || byte == UInt8(ascii: ".")
        }
        guard isCompact, !value.isEmpty else { return nil }
        return String(decoding: value, as: UTF8.self)
    }
}
