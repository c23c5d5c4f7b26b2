// libFuzzer target `border-frames`: what one process reads of the other's bytes. Built by scripts/fuzz together with the
// files of Sources/Border.

import Access

/// Traps when a law of the border's bytes does not hold for these.
///
/// The first byte chooses: a stream that is cut anywhere, one value, which is read as everything that crosses, or a
/// right value of which the others change bytes.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzBorderFrames(_ start: UnsafePointer<UInt8>, _ count: Int) -> CInt {
    guard count > 0 else { return 0 }
    let rest = [UInt8](UnsafeBufferPointer(start: start + 1, count: count - 1))
    switch start[0] % 4 {
    case 0: checkStream(rest)
    case 1: checkValues(rest)
    default: checkValues(patched(rest))
    }
    return 0
}

private func checkValues(_ bytes: [UInt8]) {
    // A newer writer's members are passed over; nothing else is forgiven.
    for isTolerant in [false, true] {
        checkValue(ToData.self, bytes, isTolerant)
        checkValue(FromData.self, bytes, isTolerant)
        checkValue(Revocation.self, bytes, isTolerant)
        checkValue(BorderGreeting.self, bytes, isTolerant)
    }
}

/// A right value, with the byte at each two bytes' place replaced by the third.
private func patched(_ bytes: [UInt8]) -> [UInt8] {
    guard let first = bytes.first else { return [] }
    var value = rightValues[Int(first) % rightValues.count]
    var at = 1
    while at + 2 < bytes.count {
        value[(Int(bytes[at]) << 8 | Int(bytes[at + 1])) % value.count] = bytes[at + 2]
        at += 3
    }
    return value
}

private let rightValues: [[UInt8]] = {
    let ticket = Ticket(reactor: 1, slot: 2, generation: 3)
    let record = SessionRecord(
        sequence: 7, tokenDigest: Array(0..<32), session: "s1", person: "issuer alice", device: "d1",
        application: "wiki",
        residual: Residual(
            policyIdentity: "abc", isSignedIn: true, validUntilSeconds: 900,
            policies: [
                ResidualPolicy(
                    name: "staff", action: .allow, anyOf: [],
                    allOf: [.network(NetworkCondition(ranges: []))], noneOf: [],
                    restriction: Restriction(methods: [.get]), reason: .policyAllows)
            ], refusal: .noPolicyMatches, dependsOn: [.session(id: "s1")]),
        identityFields: Array("X: y\r\n".utf8), expiresAtSeconds: 1_000)
    let request = ControlRequest(
        ticket: ticket, purpose: .refused(.postureStale), application: "wiki", host: "wiki.example",
        method: "GET", path: "/", query: "a=b", fields: [Field("accept", "text/html")], body: [1, 2],
        client: NetworkAddress(v4: 0x7f00_0001), requestID: "00")
    let answer = ControlResponse(ticket: ticket, status: 200, fields: [Field("a", "b")], body: [1])
    let toData: [ToData] = [
        .greeting(BorderGreeting()), .message(.session(ticket, record), reactor: 0, after: 3),
        .message(.response(answer), reactor: 1, after: 0),
        .message(.sessionUnavailable(ticket), reactor: 1, after: 0),
        .statusAsked(number: 1), .pause,
    ]
    let fromData: [FromData] = [
        .state(sequence: 1, revision: 2), .known([KnownRecord(record)], isLast: true),
        .message(.request(request)),
        .message(.pullSession(ticket, tokenDigest: [1, 2], application: "wiki")),
        .configured(number: 4, failure: "no"), .status(number: 1, [0x7b, 0x7d]), .paused,
    ]
    let revocations = [Revocation.Effect.endSession("s"), .replace(record)].map {
        Revocation(sequence: 3, eventNanoseconds: 9, effect: $0)
    }
    let all: [any Encodable] = toData + fromData + revocations
    return all.map { value in
        guard let bytes = try? BinaryEncoding.bytes(of: value) else { preconditionFailure("\(value)") }
        return bytes
    }
}()

/// The same values come out however the bytes were cut, and a length is refused before anything is collected for it.
private func checkStream(_ bytes: [UInt8]) {
    let whole = values(bytes, pieces: [bytes.count])
    for piece in [1, 3, 7] {
        let pieces = [Int](repeating: piece, count: bytes.count / piece) + [bytes.count % piece]
        precondition(values(bytes, pieces: pieces) == whole, "cut every \(piece) bytes it is another stream")
    }
    let read = whole.values.reduce(0) { $0 + $1.count + Frames.headerBytes }
    precondition(read <= bytes.count && whole.values.allSatisfy { !$0.isEmpty && $0.count <= streamBytesMax })
}

private let streamBytesMax = 600

private struct StreamOutcome: Equatable {
    var values: [[UInt8]] = []
    var failure: BinaryFailure?
}

private func values(_ bytes: [UInt8], pieces: [Int]) -> StreamOutcome {
    var reader = FrameReader(bytesMax: streamBytesMax)
    var outcome = StreamOutcome()
    var at = 0
    for piece in pieces {
        reader.feed(bytes[at..<(at + piece)])
        at += piece
        do throws(BinaryFailure) {
            while let value = try reader.next() { outcome.values.append(value) }
        } catch {
            outcome.failure = error
            return outcome
        }
    }
    return outcome
}

/// What is read means what it says: written again it is read as the same value.
private func checkValue<Value: Codable & Hashable>(_ type: Value.Type, _ bytes: [UInt8], _ isTolerant: Bool) {
    guard let value = try? BinaryDecoding.value(type, from: bytes, isTolerant: isTolerant) else { return }
    guard let written = try? BinaryEncoding.bytes(of: value) else {
        preconditionFailure("a \(type) that was read cannot be written")
    }
    guard let again = try? BinaryDecoding.value(type, from: written) else {
        preconditionFailure("a \(type) that was written cannot be read")
    }
    // Not `==`: a number that is no number is not equal to itself.
    guard let rewritten = try? BinaryEncoding.bytes(of: again) else {
        preconditionFailure("a \(type) can be written once only")
    }
    precondition(rewritten == written, "a \(type) that was written is another one")
}
