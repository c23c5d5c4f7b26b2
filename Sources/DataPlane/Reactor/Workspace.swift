import Border
import HTTP
import JSON

/// Memory that every request of a reactor uses in turn: nothing in here outlives one step.
///
/// Behind a pointer, so that using one part while calling a method costs no exclusivity check.
struct Workspace: ~Copyable {
    static let outputBytes = 256 << 10

    let requestParser: RequestHeadParser
    let responseParser: ResponseHeadParser
    let responseWriter = ResponseWriter()
    var fields: FieldTable
    var responseFields: FieldTable
    /// Of the upstreams' answers; whoever else parses into `responseFields` makes it forget.
    var responseMemo = ResponseMemo()
    var scratch: CanonicalScratch
    /// What `readHead` read last. Its offsets point into the head of that connection.
    var request: CanonicalRequest?
    /// The route of the application that the request in this walk took; -1: none.
    var pathRoute = -1
    /// Where heads and coded bodies are put together before they are sent.
    let output: UnsafeMutableRawBufferPointer
    let ownLines: OwnLines
    /// What every exchange begins as.
    let freshExchange = Exchange()
    var logLine = JSONLineWriter()

    init(_ limits: Limits, instanceID: UInt64) {
        ownLines = OwnLines(instanceID: instanceID)
        let heads = HeadLimits(
            headBytesMax: limits.headBytesMax, targetBytesMax: limits.targetBytesMax,
            fieldsMax: limits.fieldsMax)
        requestParser = RequestHeadParser(limits: heads)
        responseParser = ResponseHeadParser(limits: heads)
        fields = FieldTable(capacity: limits.fieldsMax)
        responseFields = FieldTable(capacity: limits.fieldsMax)
        scratch = CanonicalScratch(limits: heads)
        output = .allocate(byteCount: Self.outputBytes, alignment: 16)
    }

    deinit { output.deallocate() }

    var outputBytes: UnsafeMutablePointer<UInt8>? { output.baseAddress?.assumingMemoryBound(to: UInt8.self) }
}

/// Names for requests: unique, not secret. xorshift over a random start.
struct RequestIDs {
    private var state: (UInt64, UInt64)

    init() {
        var generator = SystemRandomNumberGenerator()
        state = (generator.next() | 1, generator.next())
    }

    /// xoroshiro128+, never 0.
    mutating func next() -> UInt64 {
        let (a, b) = state
        let mixed = a ^ b
        state = ((a << 24 | a >> 40) ^ mixed ^ (mixed << 16), mixed << 37 | mixed >> 27)
        let value = a &+ b
        return value == 0 ? 1 : value
    }
}
