import Border
import CNghttp2

/// What a client may cost beyond what it gets served: frames that ask for work and bring no request, and
/// requests that are taken back (frames of unknown kinds cost nothing but their bytes, and nghttp2 does not
/// tell of them). Counted per connection and second; one past a bound is GOAWAY with ENHANCE_YOUR_CALM (RFC
/// 9113 §10.5).
struct HTTP2Abuse {
    /// What was too much.
    enum Bound { case frames, resets, continuations, fields, other }

    private static let creditMin = -10_000

    private var secondBegan: UInt64 = 0
    private var idleFrames = 0
    private var resets = 0
    private var continuations = 0
    /// The first bound that was broken.
    private(set) var exceeded: Bound?
    var isExceeded: Bool { exceeded != nil }

    private mutating func beginSecond(_ nowMilliseconds: UInt64) {
        guard nowMilliseconds &- secondBegan >= 1_000 else { return }
        secondBegan = nowMilliseconds
        // What was served counts on, because what it explains may come a round trip later.
        idleFrames = max(Self.creditMin, min(0, idleFrames))
        resets = max(Self.creditMin, min(0, resets))
    }

    /// A frame's header came.
    mutating func noteFrame(
        _ header: nghttp2_frame_hd, _ limits: HTTP2Limits, _ nowMilliseconds: UInt64
    ) {
        beginSecond(nowMilliseconds)
        let kind = UInt32(header.type)
        if kind == NGHTTP2_CONTINUATION.rawValue {
            continuations += 1
            if continuations > limits.continuationsMax { exceed(.continuations) }
            return
        }
        if kind == NGHTTP2_HEADERS.rawValue {
            continuations = 0
            return
        }
        if kind == NGHTTP2_DATA.rawValue {
            let endsStream = UInt32(header.flags) & UInt32(NGHTTP2_FLAG_END_STREAM.rawValue) != 0
            guard header.length == 0, !endsStream else { return }
        }
        idleFrames += 1
        if idleFrames > limits.framesPerSecondMax { exceed(.frames) }
    }

    /// A stream ended by RST_STREAM, of either side: what makes us reset it is the client's doing as well.
    mutating func noteReset(_ limits: HTTP2Limits, _ nowMilliseconds: UInt64) {
        beginSecond(nowMilliseconds)
        resets += 1
        if resets > limits.resetsPerSecondMax { exceed(.resets) }
    }

    /// A request was answered.
    mutating func noteServed() { resets -= 1 }

    /// A DATA frame left: the client answers it with window for the stream and for the connection.
    mutating func noteDataSent() { idleFrames -= 2 }

    /// A field section that is far too large.
    mutating func noteFields() { exceed(.fields) }

    /// What nghttp2 itself found to be too much.
    mutating func noteFlood() { exceed(.other) }

    private mutating func exceed(_ bound: Bound) { exceeded = exceeded ?? bound }
}
