/// One configured Shared Signals stream (`provider: shared-signals`).
struct SignalStreamSettings: Sendable, Hashable {
    static let provider = "shared-signals"

    /// How security event tokens come (RFC 8935, RFC 8936).
    enum Delivery: String, Sendable {
        case push, poll
        var method: String { self == .push ? "urn:ietf:rfc:8935" : "urn:ietf:rfc:8936" }
    }

    /// The configured name.
    var name: String
    /// The transmitter, byte for byte.
    var issuer: String
    var audience: String
    var delivery: Delivery
    /// Where the transmitter sends to; of our auth host.
    var endpointURL: String
    /// What the transmitter must send in `Authorization`; nil with poll.
    var authorization: String?
    /// Made by somebody in the transmitter's console; nil: found or created.
    var streamID: String?
    /// Beside the issuer's origin, where the stream's management may be.
    var managementOrigin: String?
    /// Integrations whose verdicts the signals are about.
    var confirmedBy: [String]
    var acceptsDrafts: Bool
    var credentials: Credentials
    var authoritiesPEM: [UInt8]?
    var allowsPlainHTTP: Bool

    /// How the transmitter's stream management knows us.
    enum Credentials: Sendable, Hashable {
        case bearer(String)
        case client(id: String, secret: String, tokenURL: String, scope: String)
    }

    /// - Throws: `config_error` naming the key that is missing.
    init(_ connection: ProviderConnection) throws(ConnectorFailure) {
        name = connection.integration
        issuer = try connection.text("issuer")
        audience = try connection.text("audience")
        delivery = connection.texts["delivery"].flatMap(Delivery.init) ?? .push
        endpointURL = connection.texts["endpoint-url"] ?? ""
        authorization = delivery == .push ? try Self.authorization(connection) : nil
        streamID = connection.texts["stream-id"]
        managementOrigin = connection.texts["management-url"]
        confirmedBy = connection.lists["confirmed-by"] ?? []
        acceptsDrafts = connection.texts["draft"] == "true"
        if let token = connection.secrets["api-token"] {
            credentials = .bearer(token)
        } else {
            credentials = .client(
                id: try connection.text("client-id"), secret: try connection.secret("client-secret"),
                tokenURL: try connection.text("token-url"), scope: connection.texts["scope"] ?? "ssf.manage")
        }
        authoritiesPEM = connection.authoritiesPEM
        allowsPlainHTTP = connection.allowsPlainHTTP
    }

    static let authorizationBytesMin = 16

    /// It alone keeps others from posting: long, and text that a field can carry.
    private static func authorization(_ connection: ProviderConnection) throws(ConnectorFailure) -> String {
        let secret = try connection.secret("push-authorization")
        guard (authorizationBytesMin...1_024).contains(secret.utf8.count),
            secret.utf8.allSatisfy({ $0 >= 0x20 && $0 < 0x7f }), secret.utf8.first != 0x20,
            secret.utf8.last != 0x20
        else {
            throw ConnectorFailure(
                .configError,
                "integrations.\(connection.integration).push-authorization is not 16 to 1024 characters"
            )
        }
        return secret
    }
}
