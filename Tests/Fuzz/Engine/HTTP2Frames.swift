// libFuzzer target `http2-frames`: frames of a client into nghttp2 and our callbacks, through TLS and the whole reactor.

/// Traps when an application reads anything but whole requests for it, when the client is sent what RFC 9113 forbids, or
/// when anything is left behind.
///
/// The first byte is the seed of how the bytes are cut on their way; the rest follows the client's preface.
func fuzzHTTP2Frames(_ input: [UInt8]) {
    guard let seed = input.first else { return }
    let preface = Array("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".utf8) + [0, 0, 0, 4, 0, 0, 0, 0, 0]
    EngineBench.run(seed: UInt64(seed)) { bench, link in
        FuzzUpstream(bench, link)
    } _: { bench in
        var judge = FrameJudge()
        _ = FuzzClient(
            bench, FuzzClientContext.http2, sends: preface + input.dropFirst(), leavesAfterSeconds: 40
        ) { plain in
            if let problem = judge.read(plain) { bench.kernel.fault(problem) }
        }
    }
}
