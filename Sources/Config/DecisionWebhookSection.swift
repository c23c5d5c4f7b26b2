/// `gateway.decision-webhook`: who gets the decision log's lines as they are written.
public struct DecisionWebhookSettings: Sendable, Hashable {
    /// Where they are posted.
    public var url: String
    /// The value of `Authorization`; nil: there is none.
    public var authorization: Secret?
    /// PEM of the only authorities trusted there; nil: the system's.
    public var authoritiesPEM: [UInt8]?
    /// Plain HTTP is accepted, on loopback only.
    public var allowsPlainHTTP: Bool

    /// Takes the members as they are; nothing is checked here.
    public init(
        url: String, authorization: Secret? = nil, authoritiesPEM: [UInt8]? = nil,
        allowsPlainHTTP: Bool = false
    ) {
        self.url = url
        self.authorization = authorization
        self.authoritiesPEM = authoritiesPEM
        self.allowsPlainHTTP = allowsPlainHTTP
    }
}

/// Reads `gateway.decision-webhook`.
enum DecisionWebhookSection {
    static let table = KeyTable(
        "gateway.decision-webhook",
        [
            .required(
                "url", .url, "Where batches of lines are posted (`application/x-ndjson`).",
                example: "https://siem.corp.example/gatepost"),
            .optional(
                "authorization", .secret, "The value of the field `Authorization`.", standard: "none",
                example: "{ file: secrets/siem }"),
            .optional(
                "authorities", .file, "PEM file with the only authorities trusted there.",
                standard: "the system's", example: "certs/corp-ca.pem"),
            .optional(
                "unsafe-allow-http", .flag, "Accepts an `http://` URL, on loopback only.",
                standard: "`false`", example: "true"),
        ])

    static func read(_ gateway: SectionReader, hasLog: Bool) -> DecisionWebhookSettings? {
        guard gateway.has("decision-webhook"),
            let reader = gateway.section("decision-webhook", table)
        else { return nil }
        if !hasLog {
            gateway.problem(
                "decision-webhook", "has no effect while decision-log is off", "remove one of the two")
        }
        let allowsPlain = reader.flag("unsafe-allow-http") ?? false
        let url = PlainHTTPRule.url("url", reader, allowed: allowsPlain)
        PlainHTTPRule.refuseUseless(reader, urls: [url])
        let files = NamedFiles(reader: reader)
        let authorization = files.secret("authorization")
        if let authorization, reader.context.readsFiles, !isFieldValue(authorization.bytes) {
            reader.problem(
                "authorization", "is no field value of 1 to 1024 visible characters",
                "write for example Bearer and a token")
        }
        let authorities = files.file("authorities", holding: "CERTIFICATE")
        guard let url else { return nil }
        return DecisionWebhookSettings(
            url: url.text, authorization: authorization,
            authoritiesPEM: reader.has("authorities") ? authorities : nil, allowsPlainHTTP: allowsPlain)
    }

    private static func isFieldValue(_ bytes: [UInt8]) -> Bool {
        (1...1_024).contains(bytes.count) && bytes.allSatisfy { $0 >= 0x20 && $0 < 0x7f }
            && bytes.first != 0x20 && bytes.last != 0x20
    }
}
