/// Bytes that must never be printed: every textual form of it is the word «secret».
public struct Secret: Sendable, Hashable, CustomStringConvertible, CustomDebugStringConvertible,
    CustomReflectable
{
    /// The secret itself, without the line ending of the file it came from.
    public var bytes: [UInt8]

    /// Wraps secret bytes.
    public init(_ bytes: [UInt8]) { self.bytes = bytes }

    /// The secret as text (bytes that are no UTF-8 are replaced; `load` refuses such client secrets).
    public var text: String { String(decoding: bytes, as: UTF8.self) }
    /// Always «secret».
    public var description: String { "«secret»" }
    /// Always «secret».
    public var debugDescription: String { description }
    /// Shows no member, so that `dump` cannot print it either.
    public var customMirror: Mirror { Mirror(self, children: []) }
}
