// libFuzzer's way into the targets of this folder. They are one program, because the data plane takes a minute to
// compile; the name that it was started by says which target it is.

private enum EngineEntry {
    // Written once, before the first input; libFuzzer calls from one thread.
    nonisolated(unsafe) static var target: ([UInt8]) -> Void = fuzzHTTP2Frames
}

@_cdecl("LLVMFuzzerInitialize")
public func chooseEngineTarget(
    _ count: UnsafeMutablePointer<CInt>?,
    _ arguments: UnsafeMutablePointer<UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>?>?
) -> CInt {
    guard let program = arguments?.pointee?.pointee.map({ String(cString: $0) }) else { return 1 }
    switch program.split(separator: "/").last {
    case "http2-frames": EngineEntry.target = fuzzHTTP2Frames
    case "upstream-answer": EngineEntry.target = fuzzUpstreamAnswer
    default: preconditionFailure("\(program) is no target")
    }
    return 0
}

@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzEngine(_ start: UnsafePointer<UInt8>, _ count: Int) -> CInt {
    EngineEntry.target([UInt8](UnsafeBufferPointer(start: start, count: count)))
    return 0
}
