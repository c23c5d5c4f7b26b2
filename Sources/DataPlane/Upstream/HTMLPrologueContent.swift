/// The parts of a head whose bytes are no tags: comments and doctypes, and what stands in scripts, styles and
/// titles.
extension HTMLPrologue {
    mutating func readMarkup(_ byte: UInt8) {
        let isDash = byte == UInt8(ascii: "-")
        if byte == UInt8(ascii: ">") {
            switch state {
            case .markup, .markupDash, .commentStart, .commentStartDash, .commentEnd, .commentEndBang, .bogus:
                state = .text
            case _: state = .comment
            }
            return
        }
        switch state {
        case .markup: state = isDash ? .markupDash : .bogus
        case .markupDash: state = isDash ? .commentStart : .bogus
        case .commentStart: state = isDash ? .commentStartDash : .comment
        case .commentStartDash, .commentDash: state = isDash ? .commentEnd : .comment
        case .comment: state = isDash ? .commentDash : .comment
        case .commentEnd:
            state = isDash ? .commentEnd : byte == UInt8(ascii: "!") ? .commentEndBang : .comment
        case .commentEndBang: state = isDash ? .commentDash : .comment
        case _: break
        }
    }

    mutating func readRaw(_ byte: UInt8) {
        if Self.endsName(byte) {
            if tag == .script, escape > 0, ends(with: "<script") {
                escape = 2
            } else if tag == .script, escape == 2, ends(with: "</script") {
                escape = 1
            } else if ends(with: endTagOfRaw) {
                tag = .passed
                state = .beforeAttribute
                _ = readAttributes(byte)
                return
            }
        }
        recent = recent << 8 | UInt128(Self.lowered(byte))
        guard tag == .script else { return }
        if ends(with: "-->") { escape = 0 } else if escape == 0, ends(with: "<!--") { escape = 1 }
    }

    private var endTagOfRaw: StaticString {
        switch tag {
        case .title: "</title"
        case .script: "</script"
        case .style: "</style"
        case .noscript: "</noscript"
        case .noframes: "</noframes"
        case .template: "</template"
        case .passed, .body: ""
        }
    }
}
