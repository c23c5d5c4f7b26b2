import HTTP

/// The field lines that name a request, as one block: the constant bytes stand in it since the start, each request
/// fills in its numbers, and the block leaves in one copy.
///
/// `Gatepost-Request-Id`, `Gatepost-Hop` and `traceparent` (W3C Trace Context section 3.2), in this order.
struct OwnLines: ~Copyable {
    private static let template: StaticString = """
        Gatepost-Request-Id: ................................\r
        Gatepost-Hop: ................\r
        traceparent: 00-................................-................-..\r\n
        """
    private static var requestIDAt: Int { 21 }
    private static var requestIDLineBytes: Int { 55 }
    private static var hopAt: Int { 69 }
    private static var traceAt: Int { 103 }
    private static var spanAt: Int { 136 }
    private static var flagsAt: Int { 153 }
    private static var bytes: Int { 157 }

    private let block: UnsafeMutablePointer<UInt8>

    init(instanceID: UInt64) {
        precondition(
            Self.template.utf8CodeUnitCount == Self.bytes, "\(Self.template.utf8CodeUnitCount) bytes")
        block = .allocate(capacity: Self.bytes)
        block.initialize(from: Self.template.utf8Start, count: Self.bytes)
        Hex.write(instanceID, at: block + Self.hopAt)
    }

    deinit { block.deallocate() }

    /// All of them, for the upstream.
    func write(_ names: RequestNames, into output: inout HeadOutput) {
        precondition(names.traceHigh != 0 || names.traceLow != 0, "trace id is 0")
        precondition(names.span != 0, "span id is 0")
        fillRequestID(names)
        if names.traceHigh == names.requestIDHigh, names.traceLow == names.requestIDLow {
            (block + Self.traceAt).update(from: block + Self.requestIDAt, count: 32)
        } else {
            Hex.write(names.traceHigh, at: block + Self.traceAt)
            Hex.write(names.traceLow, at: block + Self.traceAt + 16)
        }
        Hex.write(names.span, at: block + Self.spanAt)
        block[Self.flagsAt] = Hex.digit(UInt64(names.traceFlags) >> 4)
        block[Self.flagsAt + 1] = Hex.digit(UInt64(names.traceFlags))
        output.append(UnsafeBufferPointer(start: block, count: Self.bytes).span)
    }

    /// The first one only, for the client.
    func writeRequestID(_ names: RequestNames, into output: inout HeadOutput) {
        fillRequestID(names)
        output.append(UnsafeBufferPointer(start: block, count: Self.requestIDLineBytes).span)
    }

    private func fillRequestID(_ names: RequestNames) {
        Hex.write(names.requestIDHigh, at: block + Self.requestIDAt)
        Hex.write(names.requestIDLow, at: block + Self.requestIDAt + 16)
    }
}
