/// Bounds of one parse. Each is the largest value that is still accepted.
public struct JSONLimits: Sendable, Hashable {
    /// Bytes of the whole document.
    public var bytesMax: Int
    /// Arrays and objects inside one another; `[]` is 1 deep. The parser recurses, so this also bounds its
    /// stack.
    public var depthMax: Int
    /// Values in the whole document, at every depth, containers included.
    public var membersMax: Int

    /// - Precondition: `1 ... 256` for `depthMax`, because every level costs stack.
    public init(bytesMax: Int = 1 << 20, depthMax: Int = 32, membersMax: Int = 10_000) {
        precondition(
            (1...256).contains(depthMax), "depthMax is \(depthMax); the parser's stack allows 1 to 256")
        self.bytesMax = bytesMax
        self.depthMax = depthMax
        self.membersMax = membersMax
    }

    /// Headers and payloads of tokens, and what the local agent sends: 16 KiB, 8 deep.
    public static let token = JSONLimits(bytesMax: 16 << 10, depthMax: 8, membersMax: 2_000)
    /// Answers of posture and identity providers: 16 MiB, 64 deep.
    public static let provider = JSONLimits(bytesMax: 16 << 20, depthMax: 64, membersMax: 1_000_000)
}

/// Why bytes are not one acceptable JSON document.
public struct JSONError: Error, Hashable, CustomStringConvertible {
    /// Where the refusal was made, in bytes from the start.
    public var offset: Int
    /// The rule that was broken, without any of the document's content.
    public var what: String

    /// An error at `offset` bytes from the start.
    public init(offset: Int, what: String) {
        self.offset = offset
        self.what = what
    }

    public var description: String { "JSON: byte \(offset): \(what)" }
}
