/// What scripts of listed origins may do at an application (Fetch standard §3.2, "CORS protocol").
public struct CrossOriginRules: Sendable, Codable, Hashable {
    /// Who answers preflights, and with that who writes `Access-Control-*` on everything else.
    public enum Preflight: String, Sendable, Codable, CaseIterable { case answer, forward }
    /// Serialised, at most `originsMax`; never `null`, never `*`.
    public var origins: [String]
    public var preflight: Preflight
    /// Beside GET, HEAD and POST, which no preflight asks for.
    public var methods: [String] = []
    /// Request fields that scripts may set.
    public var requestFields: [String] = []
    /// Response fields that scripts may read.
    public var responseFields: [String] = []
    /// Whether requests may carry cookies and still be read.
    public var allowsCredentials = false
    /// How long browsers remember the answer to a preflight.
    public var maxAgeSeconds: Int64 = 0

    /// An exchange remembers its origin by a small number.
    public static let originsMax = 64

    /// Nothing but reading, by scripts that carry no cookies.
    public init(origins: [String], preflight: Preflight = .answer) {
        self.origins = origins
        self.preflight = preflight
    }
}
