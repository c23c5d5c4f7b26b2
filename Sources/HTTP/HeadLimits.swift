/// Bounds of one message head. Every parser refuses what is one past them.
public struct HeadLimits: Sendable, Hashable {
    /// Longest head in bytes, from the first byte to the last of its empty line; 1...1,048,576.
    public let headBytesMax: Int
    /// Longest request target in bytes.
    public let targetBytesMax: Int
    /// Most field lines.
    public let fieldsMax: Int

    /// Longest method name in bytes; a longer one is answered 501 (RFC 9112 §3).
    public static let methodBytesMax = 32
    /// Longest Host field value in bytes: a name of 253, a colon and a port fit.
    public static let hostBytesMax = 260
    /// Most options in all Connection fields of one head.
    public static let connectionOptionsMax = 16

    /// - Precondition: all are positive, `headBytesMax` at most 1,048,576, `fieldsMax` at most 10,000.
    public init(headBytesMax: Int = 32_768, targetBytesMax: Int = 16_384, fieldsMax: Int = 100) {
        precondition(headBytesMax > 0 && headBytesMax <= 1_048_576, "headBytesMax \(headBytesMax)")
        precondition(targetBytesMax > 0 && targetBytesMax <= 1_048_576, "targetBytesMax \(targetBytesMax)")
        precondition(fieldsMax > 0 && fieldsMax <= 10_000, "fieldsMax \(fieldsMax)")
        self.headBytesMax = headBytesMax
        self.targetBytesMax = targetBytesMax
        self.fieldsMax = fieldsMax
    }
}
