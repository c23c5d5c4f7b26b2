/// Writes one JSON object per line straight into bytes, for logs: no value is built in between.
///
/// Names are the caller's constants and are not checked for doubling. Objects may be nested.
public struct JSONLineWriter: Sendable {
    /// What was written so far; the caller takes it and may hand the storage back through `init(reusing:)`.
    public private(set) var bytes: [UInt8]
    private var needsComma = false
    private var depth = 0

    /// A writer with storage of its own.
    public init() { bytes = [] }

    /// A writer that keeps the capacity of `storage` and drops its content.
    public init(reusing storage: consuming [UInt8]) {
        bytes = storage
        bytes.removeAll(keepingCapacity: true)
    }

    /// Opens the object of a line, or an element that is an object.
    public mutating func beginObject() {
        separate()
        bytes.append(UInt8(ascii: "{"))
        needsComma = false
        depth += 1
    }

    /// Opens an object as the member `name` of the one that is open.
    public mutating func beginObject(_ name: String) {
        beginMember(name)
        bytes.append(UInt8(ascii: "{"))
        needsComma = false
        depth += 1
    }

    /// Closes the innermost object; closing the outermost one ends the line with a line feed.
    public mutating func endObject() {
        precondition(depth > 0, "an object is closed that was not opened")
        bytes.append(UInt8(ascii: "}"))
        depth -= 1
        needsComma = depth > 0
        if depth == 0 { bytes.append(0x0A) }
    }

    /// Adds a text member.
    public mutating func field(_ name: String, _ value: String) {
        beginMember(name)
        JSONText.append(value, to: &bytes)
    }

    /// Adds an integer member.
    public mutating func field(_ name: String, _ value: Int64) {
        beginMember(name)
        appendDecimal(value)
    }

    /// Adds an integer member.
    public mutating func field(_ name: String, _ value: Int) { field(name, Int64(value)) }

    /// Adds a truth value.
    public mutating func field(_ name: String, _ value: Bool) {
        beginMember(name)
        bytes.append(contentsOf: (value ? "true" : "false").utf8)
    }

    /// Adds an already built value.
    public mutating func field(_ name: String, _ value: JSONValue) {
        beginMember(name)
        value.append(to: &bytes)
    }

    /// Adds bytes of unknown encoding, such as a request's path. Bytes beyond ASCII are written as the code
    /// point of the same number (`\u00e9`), so the line stays valid JSON whatever a peer sent.
    public mutating func field(_ name: String, bytes value: Span<UInt8>) {
        beginMember(name)
        bytes.append(UInt8(ascii: "\""))
        value.withUnsafeBufferPointer { JSONText.append($0, .unknown, to: &bytes) }
        bytes.append(UInt8(ascii: "\""))
    }

    private mutating func beginMember(_ name: String) {
        precondition(depth > 0, "the member \(name) stands outside of an object")
        separate()
        JSONText.append(name, to: &bytes)
        bytes.append(UInt8(ascii: ":"))
        needsComma = true
    }

    private mutating func separate() {
        if needsComma { bytes.append(UInt8(ascii: ",")) }
        needsComma = true
    }

    /// Digits without an intermediate `String`.
    private mutating func appendDecimal(_ value: Int64) {
        if value < 0 { bytes.append(UInt8(ascii: "-")) }
        var digits = InlineArray<20, UInt8>(repeating: 0)
        var rest = value.magnitude
        var first = digits.count
        repeat {
            first -= 1
            digits[first] = UInt8(ascii: "0") + UInt8(rest % 10)
            rest /= 10
        } while rest > 0
        digits.span.extracting(first...).withUnsafeBufferPointer { bytes.append(contentsOf: $0) }
    }
}
