/// Reads what a server sends, as a client that trusts nothing (RFC 9113 §4, §5.1, §6).
struct FrameJudge {
    private var waiting: [UInt8] = []
    /// Streams whose server side has ended.
    private var ended: Set<UInt32> = []
    /// Streams that have had the head of their answer.
    private var begun: Set<UInt32> = []
    /// A field section is in progress: only its own continuation may follow.
    private var section: (stream: UInt32, endsStream: Bool)?
    private var isFirst = true

    /// - Returns: what is wrong.
    mutating func read(_ bytes: [UInt8]) -> String? {
        waiting += bytes
        while waiting.count >= 9 {
            let length = Int(waiting[0]) << 16 | Int(waiting[1]) << 8 | Int(waiting[2])
            // Nobody was allowed more than the standard's first value; nghttp2 never uses more.
            guard length <= 16_384 else { return "a frame of \(length) bytes" }
            guard waiting.count >= 9 + length else { return nil }
            let stream = waiting[5..<9].reduce(UInt32(0)) { $0 << 8 | UInt32($1) }
            let problem = judge(type: waiting[3], flags: waiting[4], stream: stream, length: length)
            if let problem { return "\(problem) (type \(waiting[3]), stream \(stream), \(length) bytes)" }
            waiting.removeFirst(9 + length)
        }
        return nil
    }

    private mutating func judge(type: UInt8, flags: UInt8, stream: UInt32, length: Int) -> String? {
        defer { isFirst = false }
        if isFirst, type != 4 || flags & 1 != 0 { return "the first frame is not SETTINGS" }
        if let section, type != 9 || stream != section.stream { return "a frame inside of a field section" }
        switch type {
        case 0:
            guard begun.contains(stream), !ended.contains(stream) else { return "DATA out of turn" }
            if flags & 1 != 0 { ended.insert(stream) }
        case 1:
            guard stream % 2 == 1, !ended.contains(stream) else { return "HEADERS out of turn" }
            begun.insert(stream)
            endSection(stream, flags, endsStream: flags & 1 != 0)
        case 9:
            guard let section else { return "CONTINUATION of nothing" }
            endSection(stream, flags, endsStream: section.endsStream)
        case 3:
            guard stream != 0, length == 4 else { return "RST_STREAM" }
            ended.insert(stream)
        case 4: return stream == 0 && length % 6 == 0 && (flags & 1 == 0 || length == 0) ? nil : "SETTINGS"
        case 6: return stream == 0 && length == 8 && flags & 1 != 0 ? nil : "PING"
        case 7: return stream == 0 && length >= 8 ? nil : "GOAWAY"
        case 8: return length == 4 ? nil : "WINDOW_UPDATE"
        default: return "a frame that servers do not send"
        }
        return nil
    }

    private mutating func endSection(_ stream: UInt32, _ flags: UInt8, endsStream: Bool) {
        section = flags & 4 == 0 ? (stream, endsStream) : nil
        if section == nil, endsStream { ended.insert(stream) }
    }
}
