/// Something that a decision read, by name. What reads the same inputs and finds them unchanged decides the same.
///
/// Names are kept as they came and put together only for people and hashes: a decision reads some ten inputs, and
/// making a text of each was a seventh of what it cost.
public enum DecisionInput: Sendable, Hashable {
    case session(id: String)
    /// A service token, or the token of a machine.
    case service(id: String)
    case device(id: String)
    case verdict(integration: String, nativeID: String)

    /// `session:<id>`, `service:<id>`, `device:<id>`, `verdict:<integration>:<native id>`.
    public var text: String {
        switch self {
        case .session(let id): "session:\(id)"
        case .service(let id): "service:\(id)"
        case .device(let id): "device:\(id)"
        case .verdict(let integration, let nativeID): "verdict:\(integration):\(nativeID)"
        }
    }

    /// From `text`; nil: it names no kind of input.
    public init?(_ text: String) {
        guard let (kind, name) = Self.parts(of: text) else { return nil }
        switch kind {
        case "session": self = .session(id: name)
        case "service": self = .service(id: name)
        case "device": self = .device(id: name)
        case "verdict":
            // Names of integrations hold no colon; the provider's ids may.
            guard let (integration, nativeID) = Self.parts(of: name) else { return nil }
            self = .verdict(integration: integration, nativeID: nativeID)
        default: return nil
        }
    }

    /// By the byte: a colon and a combining mark behind it are one `Character`, and ids are what a vendor says.
    private static func parts(of text: String) -> (String, String)? {
        guard let colon = text.utf8.firstIndex(of: UInt8(ascii: ":")) else { return nil }
        return (String(text[..<colon]), String(text[text.utf8.index(after: colon)...]))
    }
}

extension DecisionInput: Comparable {
    /// Equal to the same bytes only.
    public static func == (left: DecisionInput, right: DecisionInput) -> Bool { left.order(right) == 0 }

    /// As `text` is ordered, by which decision logs are hashed; of canonically equivalent ones by their bytes.
    public static func < (left: DecisionInput, right: DecisionInput) -> Bool { left.order(right) < 0 }

    /// Equivalent names share a hash and are told apart by `==`.
    public func hash(into hasher: inout Hasher) {
        hasher.combine(rank)
        switch self {
        case .session(let id), .service(let id), .device(let id): hasher.combine(id)
        case .verdict(let integration, let nativeID):
            hasher.combine(integration)
            hasher.combine(nativeID)
        }
    }

    /// In the order of the words.
    private var rank: Int {
        switch self {
        case .device: 0
        case .service: 1
        case .session: 2
        case .verdict: 3
        }
    }

    /// Below 0: this comes first; 0: they are the same.
    func order(_ other: DecisionInput) -> Int {
        switch (self, other) {
        case (.session(let id), .session(let otherID)), (.service(let id), .service(let otherID)),
            (.device(let id), .device(let otherID)):
            return Self.order(id, otherID)
        case (.verdict(let integration, let nativeID), .verdict(let otherIntegration, let otherID)):
            let names = ExactText.order(integration, otherIntegration, endingWith: UInt8(ascii: ":"))
            return names == 0 ? Self.order(nativeID, otherID) : names
        default: return rank - other.rank
        }
    }

    private static func order(_ left: String, _ right: String) -> Int {
        if left < right { return -1 }
        return right < left ? 1 : ExactText.order(left, right)
    }
}

extension DecisionInput: Codable {
    /// From its text.
    public init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        let text = try container.decode(String.self)
        guard let input = DecisionInput(text) else {
            throw DecodingError.dataCorruptedError(in: container, debugDescription: "no input of a decision")
        }
        self = input
    }

    /// As its text.
    public func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(text)
    }
}
