// libFuzzer target `json`: what is parsed and written parses to the same value, and limits hold. Built by scripts/fuzz
// together with the files of Sources/JSON.

@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzJSONText(_ start: UnsafePointer<UInt8>, _ count: Int) -> CInt {
    let bytes = [UInt8](UnsafeBufferPointer(start: start, count: count))
    let limits = JSONLimits(bytesMax: 4_096, depthMax: 8, membersMax: 64)
    guard let value = try? JSONValue(parsing: bytes, limits: limits) else { return 0 }
    precondition(bytes.count <= limits.bytesMax && depth(value) <= limits.depthMax)
    let written = value.serialized()
    guard let again = try? JSONValue(parsing: written) else {
        preconditionFailure("what is written is no JSON")
    }
    precondition(again == value, "what is written is another value")
    precondition(again.serialized() == written)
    // White space around a document is no part of it.
    precondition((try? JSONValue(parsing: [32, 10] + written + [9, 13])) == value)
    return 0
}

private func depth(_ value: JSONValue) -> Int {
    switch value {
    case .null, .bool, .integer, .number, .string: 0
    case .array(let values): 1 + (values.map(depth).max() ?? 0)
    case .object(let object): 1 + (object.members.map { depth($0.1) }.max() ?? 0)
    }
}
