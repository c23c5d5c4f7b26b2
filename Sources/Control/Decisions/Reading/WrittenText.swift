import Border
import Glibc

/// The text is not word for word what this program writes; it may be good for all that.
struct NotAsWritten: Error {}

/// Walks the text of a line that this program wrote itself: members in the order in which it writes them, no spaces,
/// printable ASCII without escapes.
///
/// Most lines of a log are such, and finding out takes a tenth of what reading JSON does. Everything that is taken here
/// is JSON and says there what it says here; everything else is left to whoever reads the whole language, and refuses.
struct WrittenText {
    /// Far above the lines of decisions; so many values and levels as a line of JSON may have fit into none that is
    /// shorter.
    static let bytesMax = 64 << 10
    /// Any number of so many digits fits.
    private static let digitsMax = 18

    let bytes: [UInt8]
    private(set) var at = 0

    /// - Throws: when the text is longer than `bytesMax`.
    init(_ bytes: [UInt8]) throws(NotAsWritten) {
        guard bytes.count <= Self.bytesMax else { throw NotAsWritten() }
        self.bytes = bytes
    }

    /// - Returns: whether that stands here; it is passed then.
    mutating func takes(_ expected: StaticString) -> Bool {
        let count = expected.utf8CodeUnitCount
        guard bytes.count - at >= count else { return false }
        let isHere = bytes.withUnsafeBytes { here in
            here.baseAddress.map { memcmp($0 + at, expected.utf8Start, count) == 0 } ?? false
        }
        if isHere { at += count }
        return isHere
    }

    mutating func take(_ expected: StaticString) throws(NotAsWritten) {
        guard takes(expected) else { throw NotAsWritten() }
    }

    /// The last byte stands before this.
    func end() throws(NotAsWritten) {
        guard at == bytes.count else { throw NotAsWritten() }
    }

    /// A string behind `name`, which is a member's name with everything around it.
    mutating func text(_ name: StaticString) throws(NotAsWritten) -> String {
        try take(name)
        return try text()
    }

    mutating func text() throws(NotAsWritten) -> String {
        String(decoding: bytes[try plainText()], as: UTF8.self)
    }

    /// Passes a string that nobody asks for.
    mutating func skipText(_ name: StaticString) throws(NotAsWritten) {
        try take(name)
        _ = try plainText()
    }

    /// Passes a string; where its content stands.
    private mutating func plainText() throws(NotAsWritten) -> Range<Int> {
        try take("\"")
        let start = at
        let count = bytes.withUnsafeBytes { (all) -> Int? in
            guard let base = all.baseAddress, start < all.count,
                let found = memchr(base + start, 0x22, all.count - start)
            else { return nil }
            let count = UnsafeRawPointer(found) - (base + start)
            var odd: UInt8 = 0
            // All of them, without a way out at each: the compiler then takes sixteen at a step.
            for byte in UnsafeRawBufferPointer(rebasing: all[start..<(start + count)]) {
                odd |= byte < 0x20 || byte > 0x7e || byte == 0x5c ? 1 : 0
            }
            return odd == 0 ? count : nil
        }
        guard let count else { throw NotAsWritten() }
        at = start + count + 1
        return start..<(start + count)
    }

    mutating func texts(_ name: StaticString) throws(NotAsWritten) -> [String] {
        try take(name)
        var texts: [String] = []
        try elements { (text) throws(NotAsWritten) in texts.append(try text.text()) }
        return texts
    }

    mutating func skipTexts(_ name: StaticString) throws(NotAsWritten) {
        try take(name)
        try elements { (text) throws(NotAsWritten) in _ = try text.plainText() }
    }

    /// An array.
    ///
    /// - Parameter element: takes one.
    mutating func elements(
        _ element: (inout WrittenText) throws(NotAsWritten) -> Void
    ) throws(NotAsWritten) {
        try take("[")
        if takes("]") { return }
        repeat { try element(&self) } while takes(",")
        try take("]")
    }

    mutating func integer(_ name: StaticString) throws(NotAsWritten) -> Int64 {
        try take(name)
        return try integer()
    }

    /// nil: the member is not there.
    mutating func integerIfPresent(_ name: StaticString) throws(NotAsWritten) -> Int64? {
        takes(name) ? try integer() : nil
    }

    /// nil: the member is not there.
    mutating func textIfPresent(_ name: StaticString) throws(NotAsWritten) -> String? {
        takes(name) ? try text() : nil
    }

    mutating func integer() throws(NotAsWritten) -> Int64 {
        let isNegative = takes("-")
        let start = at
        var value: Int64 = 0
        while at < bytes.count, bytes[at] >= 0x30, bytes[at] <= 0x39 {
            guard at - start < Self.digitsMax else { throw NotAsWritten() }
            value = value * 10 + Int64(bytes[at] - 0x30)
            at += 1
        }
        // No zero in front, and none that is negative.
        guard at > start, bytes[start] != 0x30 || (at == start + 1 && !isNegative) else {
            throw NotAsWritten()
        }
        return isNegative ? -value : value
    }

    mutating func flag(_ name: StaticString) throws(NotAsWritten) -> Bool {
        try take(name)
        return try flag()
    }

    mutating func flag() throws(NotAsWritten) -> Bool {
        if takes("true") { return true }
        try take("false")
        return false
    }

    /// The name of a decision.
    mutating func decisionID() throws(NotAsWritten) -> DecisionID {
        try take("\"")
        let id = DecisionID(high: try sixteenDigits(), low: try sixteenDigits())
        try take("\"")
        return id
    }

    private mutating func sixteenDigits() throws(NotAsWritten) -> UInt64 {
        guard bytes.count - at >= 16 else { throw NotAsWritten() }
        var word: UInt64 = 0
        for byte in bytes[at..<(at + 16)] {
            switch byte {
            case 0x30...0x39: word = word << 4 | UInt64(byte - 0x30)
            case 0x61...0x66: word = word << 4 | UInt64(byte - 0x57)
            case _: throw NotAsWritten()
            }
        }
        at += 16
        return word
    }
}
