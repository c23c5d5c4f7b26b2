// What the fuzz targets of this folder have in common. Built by scripts/fuzz together with the files of Sources/HTTP and
// one target, because SwiftPM cannot link libFuzzer's main.

/// Parsers with limits that short inputs can reach, and the memory that they use in turn.
struct FuzzBench: ~Copyable {
    static let limits = HeadLimits(headBytesMax: 4_096, targetBytesMax: 1_024, fieldsMax: 32)
    /// What we write ourselves may be longer than what we read.
    static let wide = HeadLimits(headBytesMax: 16_384, targetBytesMax: 3_072, fieldsMax: 40)

    let parser: RequestHeadParser
    let options: PathOptions
    var fields: FieldTable
    var scratch: CanonicalScratch

    init(limits: HeadLimits = FuzzBench.limits, options: PathOptions = []) {
        parser = RequestHeadParser(limits: limits)
        self.options = options
        fields = FieldTable(capacity: limits.fieldsMax)
        scratch = CanonicalScratch(limits: limits)
    }

    mutating func parse(_ bytes: [UInt8], alreadySeen: Int = 0, memo: HeadMemo = HeadMemo())
        -> RequestHeadOutcome
    {
        parser.parse(
            bytes.span, alreadySeen: alreadySeen, options: options, into: &fields, scratch: &scratch,
            memo: memo)
    }

    /// The head for the upstream; nil when it is refused.
    func written(_ request: CanonicalRequest, _ bytes: [UInt8]) -> [UInt8]? {
        let memory = UnsafeMutableRawBufferPointer.allocate(byteCount: 16_384, alignment: 1)
        defer { memory.deallocate() }
        var output = HeadOutput(memory)
        do throws(HeadError) {
            try RequestWriter().begin(
                request, head: bytes.span, fields: fields, scratch: scratch, into: &output)
        } catch {
            return nil
        }
        RequestWriter.end(into: &output)
        precondition(!output.isOverflowed, "a head of \(bytes.count) bytes does not fit into 16 KiB")
        return [UInt8](memory[0..<output.count])
    }

    func path(_ request: CanonicalRequest, _ bytes: [UInt8]) -> [UInt8] {
        request.path.copied(head: bytes.span, scratch: scratch)
    }

    func host(_ request: CanonicalRequest, _ bytes: [UInt8]) -> [UInt8] {
        request.host.copied(head: bytes.span, scratch: scratch)
    }
}

/// Where to cut an input: everywhere while that is cheap, at 64 places of a long one.
func cuts(_ count: Int) -> StrideTo<Int> { stride(from: 0, to: count, by: count <= 256 ? 1 : count / 64) }

extension [UInt8] {
    func cut(_ range: Range<Int>) -> [UInt8] { Array(self[range]) }
}
