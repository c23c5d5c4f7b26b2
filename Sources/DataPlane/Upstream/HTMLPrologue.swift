/// Finds where the visible part of an HTML page begins, in bytes that come in any pieces: behind the tag of its
/// body, or, since that tag may be left out, in front of the first thing that is nothing of a head.
///
/// It follows the tokenizer of the HTML standard (§13.2.5) as far as a head needs it. A `<body` in a comment, a
/// script, a title or an attribute is none; and metadata (a policy in `<meta>`, say) stays in front, because
/// behind the first visible thing browsers no longer heed it. At most `undecidedBytesMax` bytes at the end of a
/// piece cannot be judged without the next one.
struct HTMLPrologue {
    /// `<` and the longest name that is looked for.
    static let undecidedBytesMax = 10

    enum State: UInt8 {
        /// The first bytes may be a byte order mark. → text
        case start, mark1, mark2
        /// Between tags. → open
        case text
        /// → markup, bogus, endOpen, name
        case open
        /// → name, bogus, text
        case endOpen
        /// → the attributes, or what the end of the tag leads to
        case name
        /// The rest of a name that nobody looks for. → the attributes
        case longName
        /// Attributes: a quote opens a value only behind `=`.
        case beforeAttribute, attribute, afterAttribute, beforeValue, doubleQuoted, singleQuoted, unquoted
        /// Behind `<!`. → commentStart, bogus
        case markup, markupDash
        /// → text
        case commentStart, commentStartDash, comment, commentDash, commentEnd, commentEndBang
        /// A doctype, an instruction. → text
        case bogus
        /// The content of a title, script or the like. → the attributes of its end tag, text
        case raw
        /// Found, or there is no such place.
        case over
    }

    /// What the present tag leads to.
    enum Tag: UInt8 {
        /// It belongs to the head, or is ignored there.
        case passed
        case body
        case title, script, style, noscript, noframes, template
    }

    var state = State.start
    var tag = Tag.passed
    private var isEndTag = false
    /// Bytes of the token that has begun and is not judged yet.
    private(set) var undecided: UInt8 = 0
    /// In a script: 1 behind `<!--`, 2 behind a further `<script` in there (HTML §13.2.5.20 to 29).
    var escape: UInt8 = 0
    /// The last sixteen bytes of a name or of raw text, letters in lower case.
    var recent: UInt128 = 0

    /// Reads on.
    ///
    /// - Returns: the offset in `bytes` at which the visible part begins; negative by at most
    ///   `undecidedBytesMax` when it begins in what was given before. nil when it has not come yet.
    mutating func find(in bytes: Span<UInt8>) -> Int? {
        for index in bytes.indices {
            guard state != .over else { return nil }
            switch read(bytes[index]) {
            case .goesOn: continue
            case .beginsBehind:
                state = .over
                undecided = 0
                return index + 1
            case .beginsBefore:
                let start = index - Int(undecided)
                state = .over
                undecided = 0
                return start
            }
        }
        return nil
    }

    enum Verdict {
        case goesOn
        case beginsBehind
        /// In front of the undecided bytes.
        case beginsBefore
    }

    private mutating func read(_ byte: UInt8) -> Verdict {
        switch state {
        case .start, .mark1, .mark2: return readStart(byte)
        case .text: return readText(byte)
        case .open, .endOpen: return readOpen(byte)
        case .name: return readName(byte)
        case .longName:
            guard Self.endsName(byte) else { return .goesOn }
            state = .beforeAttribute
            return readAttributes(byte)
        case .beforeAttribute, .attribute, .afterAttribute, .beforeValue, .doubleQuoted, .singleQuoted,
            .unquoted:
            return readAttributes(byte)
        case .markup, .markupDash, .commentStart, .commentStartDash, .comment, .commentDash, .commentEnd,
            .commentEndBang, .bogus:
            readMarkup(byte)
            return .goesOn
        case .raw:
            readRaw(byte)
            return .goesOn
        case .over: return .goesOn
        }
    }

    /// A page in UTF-16 begins with FE FF or FF FE: nothing of ASCII can be put into it.
    private mutating func readStart(_ byte: UInt8) -> Verdict {
        switch (state, byte) {
        case (.start, 0xfe), (.start, 0xff): state = .over
        case (.start, 0xef):
            state = .mark1
            undecided = 1
        case (.mark1, 0xbb):
            state = .mark2
            undecided = 2
        case (.mark2, 0xbf):
            state = .text
            undecided = 0
        case (.start, _):
            state = .text
            return readText(byte)
        case _: return .beginsBefore
        }
        return .goesOn
    }

    private mutating func readText(_ byte: UInt8) -> Verdict {
        if Self.isBlank(byte) { return .goesOn }
        guard byte == UInt8(ascii: "<") else { return .beginsBefore }
        state = .open
        undecided = 1
        return .goesOn
    }

    private mutating func readOpen(_ byte: UInt8) -> Verdict {
        if Self.isLetter(byte) {
            isEndTag = state == .endOpen
            state = .name
            recent = UInt128(byte | 0x20)
            undecided += 1
        } else if state == .open, byte == UInt8(ascii: "/") {
            state = .endOpen
            undecided += 1
        } else if state == .open, byte == UInt8(ascii: "!") {
            state = .markup
            undecided = 0
        } else if state == .open, byte != UInt8(ascii: "?") {
            return .beginsBefore
        } else {
            // `</>` is nothing, `</` and anything else a comment up to the next `>`.
            state = byte == UInt8(ascii: ">") ? .text : .bogus
            undecided = 0
        }
        return .goesOn
    }

    private mutating func readName(_ byte: UInt8) -> Verdict {
        guard Self.endsName(byte) else {
            guard Int(undecided) < Self.undecidedBytesMax else { return judgeLongName() }
            recent = recent << 8 | UInt128(Self.lowered(byte))
            undecided += 1
            return .goesOn
        }
        guard let judged = isEndTag ? judgeEndTag() : judgeStartTag() else {
            return state == .over ? .goesOn : .beginsBefore
        }
        tag = judged
        undecided = 0
        state = .beforeAttribute
        return readAttributes(byte)
    }

    /// No name that is looked for is so long; end tags of others mean nothing in a head.
    private mutating func judgeLongName() -> Verdict {
        guard isEndTag else { return .beginsBefore }
        tag = .passed
        undecided = 0
        state = .longName
        return .goesOn
    }

    /// nil: it is nothing of a head.
    private mutating func judgeStartTag() -> Tag? {
        if isName("body") { return .body }
        if isName("html") || isName("head") || isName("meta") || isName("link") || isName("base") {
            return .passed
        }
        if isName("basefont") || isName("bgsound") { return .passed }
        if isName("title") { return .title }
        if isName("script") { return .script }
        if isName("style") { return .style }
        if isName("noscript") { return .noscript }
        if isName("noframes") { return .noframes }
        if isName("template") { return .template }
        // Anything visible in front of a frameset makes browsers ignore it: better no sentence than no page.
        if isName("frameset") {
            state = .over
            undecided = 0
        }
        return nil
    }

    private func judgeEndTag() -> Tag? {
        isName("body") || isName("html") || isName("br") ? nil : .passed
    }

    private func isName(_ name: StaticString) -> Bool { recent == Self.word(name) }

    mutating func readAttributes(_ byte: UInt8) -> Verdict {
        switch state {
        case .doubleQuoted: if byte == UInt8(ascii: "\"") { state = .beforeAttribute }
        case .singleQuoted: if byte == UInt8(ascii: "'") { state = .beforeAttribute }
        case _ where byte == UInt8(ascii: ">"): return endTag()
        case .unquoted: if Self.isBlank(byte) { state = .beforeAttribute }
        case .beforeValue:
            guard !Self.isBlank(byte) else { break }
            state =
                byte == UInt8(ascii: "\"")
                ? .doubleQuoted : byte == UInt8(ascii: "'") ? .singleQuoted : .unquoted
        case _ where byte == UInt8(ascii: "/"): state = .beforeAttribute
        case .attribute, .afterAttribute:
            // `=` is behind a name what makes a value of the rest, and in front of one a part of it.
            if byte == UInt8(ascii: "=") {
                state = .beforeValue
            } else {
                state = Self.isBlank(byte) ? .afterAttribute : .attribute
            }
        case _: if !Self.isBlank(byte) { state = .attribute }
        }
        return .goesOn
    }

    private mutating func endTag() -> Verdict {
        switch tag {
        case .body: return .beginsBehind
        case .passed: state = .text
        case .title, .script, .style, .noscript, .noframes, .template:
            state = .raw
            recent = 0
            escape = 0
        }
        return .goesOn
    }

    func ends(with text: StaticString) -> Bool {
        recent & (UInt128(1) << UInt128(8 * text.utf8CodeUnitCount) - 1) == Self.word(text)
    }

    private static func word(_ text: StaticString) -> UInt128 {
        var word: UInt128 = 0
        for index in 0..<text.utf8CodeUnitCount { word = word << 8 | UInt128(text.utf8Start[index]) }
        return word
    }

    private static func isLetter(_ byte: UInt8) -> Bool { (byte | 0x20) &- 97 < 26 }
    static func lowered(_ byte: UInt8) -> UInt8 { byte &- 65 < 26 ? byte | 0x20 : byte }
    /// Tab, line feed, form feed, carriage return, space.
    private static func isBlank(_ byte: UInt8) -> Bool {
        byte == 0x20 || byte == 9 || byte == 10 || byte == 12 || byte == 13
    }
    static func endsName(_ byte: UInt8) -> Bool {
        isBlank(byte) || byte == UInt8(ascii: "/") || byte == UInt8(ascii: ">")
    }
}
