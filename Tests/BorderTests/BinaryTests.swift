import Access
import Border
import Testing

@Suite("Values of the border as bytes")
struct BinaryTests {
    static let ticket = Ticket(reactor: 258, slot: 2, generation: .max)

    static let requests: [ToControl] = [
        .pullSession(ticket, tokenDigest: Array(0..<32), application: "wiki"),
        .pullBearer(ticket, tokenDigest: [], token: [0xff], application: ""),
        .pullMachine(
            ticket,
            MachineClaim(
                tokenDigest: [1], listener: 0, subject: nil, names: ["dns:a"], issuerDigest: "i",
                serial: "0", notAfterSeconds: .max), application: "ä"),
        .pullCertified(
            ticket, tokenDigest: [2],
            MachineClaim(
                tokenDigest: [1], listener: 0, subject: "s", names: [], issuerDigest: "i", serial: "0",
                notAfterSeconds: 0), application: "wiki"),
        .request(
            ControlRequest(
                ticket: ticket, purpose: .refused(.postureStale), application: nil, host: "h", method: "GET",
                path: "/", query: "", fields: [Field("a", "b")], body: Array(repeating: 7, count: 300),
                client: NetworkAddress(v4: 1), requestID: "0")),
        .renew(tokenDigest: Array(0..<32), application: "wiki"),
        .cut(sequence: .max, reactor: 0, streams: -1, nanoseconds: 0),
    ]

    @Test(arguments: requests) func `what reactors ask survives writing and reading`(_ value: ToControl)
        throws
    {
        let bytes = try BinaryEncoding.bytes(of: FromData.message(value))
        #expect(try BinaryDecoding.value(FromData.self, from: bytes) == .message(value))
    }

    @Test(arguments: ValueTests.revocations) func `every revocation survives`(_ effect: Revocation.Effect)
        throws
    {
        let value = Revocation(sequence: 3, eventNanoseconds: .max, effect: effect)
        let bytes = try BinaryEncoding.bytes(of: value)
        #expect(try BinaryDecoding.value(Revocation.self, from: bytes) == value)
        for length in 0..<bytes.count {
            #expect(throws: (any Error).self, "the first \(length) bytes") {
                try BinaryDecoding.value(Revocation.self, from: Array(bytes[..<length]))
            }
        }
        #expect(throws: BinaryFailure.tooLong) {
            try BinaryDecoding.value(Revocation.self, from: bytes + [0])
        }
    }

    @Test func `a configuration survives with every member`() throws {
        var snapshot = GatewaySnapshot(
            revision: 9, authHost: "auth", publicPort: 443,
            certificates: [.init(names: ["*.a"], chainPEM: [1], keyPEM: [2])],
            applications: [
                ApplicationRoute(
                    name: "wiki", host: "w",
                    upstreams: [
                        UpstreamAddress(address: "::1", port: 1, serverName: "n", authoritiesPEM: [])
                    ],
                    anonymous: ValueTests.record.residual)
            ], limits: Limits(), cookieKeys: [MACKey(id: 1, secret: [9])], ticketKeys: [[3]], accessLog: true)
        snapshot.clientCertificates = [nil, ClientCertificates(authoritiesPEM: [1], isRequired: true)]
        snapshot.applications[0].crossOrigin = CrossOriginRules(origins: ["https://a"])
        let value = ToData.configure(number: 1, snapshot)
        let bytes = try BinaryEncoding.bytes(of: value)
        #expect(try BinaryDecoding.value(ToData.self, from: bytes) == value)
    }

    static let numbers: [Int64] = [0, 1, -1, 127, 128, -128, -129, 1 << 40, .min, .max]

    @Test(arguments: numbers) func `numbers survive up to their ends`(_ number: Int64) throws {
        let bytes = try BinaryEncoding.bytes(of: [number])
        #expect(try BinaryDecoding.value([Int64].self, from: bytes) == [number])
    }

    private struct One: Codable, Equatable { var a: Int? }
    private struct Two: Codable, Equatable {
        var a: Int?
        var b: String?
    }

    /// Refused bytes, by the rule that they break. `One` is `08 len 01 'a' 03 value`.
    static let refused: [(String, [UInt8], BinaryFailure)] = [
        ("nothing", [], .truncated),
        ("a tag nobody knows", [10], .unknownTag(10)),
        ("a number where members belong", [3, 1], .mismatch("members")),
        ("a length one too long", [8, 5, 0, 0, 0, 1, 97, 3, 1], .truncated),
        ("a length one too short", [8, 3, 0, 0, 0, 1, 97, 3, 1], .tooLong),
        ("a varint with a needless byte", [8, 5, 0, 0, 0, 1, 97, 3, 0x81, 0], .badInteger),
        (
            "a varint of 65 bits",
            [8, 13, 0, 0, 0, 1, 97, 3, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 2],
            .badInteger
        ),
        (
            "a number that does not fit",
            [8, 13, 0, 0, 0, 1, 97, 3] + Array(repeating: 0xff, count: 9) + [0],
            .badInteger
        ),
        ("a name that is no UTF-8", [8, 4, 0, 0, 0, 1, 0xff, 3, 1], .badText),
        ("a name twice", [8, 8, 0, 0, 0, 1, 97, 3, 1, 1, 97, 3, 1], .doubled("a")),
        ("a member nobody asked for", [8, 8, 0, 0, 0, 1, 97, 3, 1, 1, 98, 3, 1], .unknownMembers),
    ]

    @Test(arguments: refused.indices) func `whatever is not exactly one value is refused`(_ index: Int) {
        let (what, bytes, failure) = Self.refused[index]
        #expect(throws: failure, "\(what)") { try BinaryDecoding.value(One.self, from: bytes) }
    }

    @Test func `a newer version's members are passed over where it is known to be newer, and only there`()
        throws
    {
        let newer = try BinaryEncoding.bytes(of: Two(a: 1, b: "x"))
        #expect(throws: BinaryFailure.unknownMembers) {
            try BinaryDecoding.value(One.self, from: newer)
        }
        #expect(try BinaryDecoding.value(One.self, from: newer, isTolerant: true) == One(a: 1))
        let older = try BinaryEncoding.bytes(of: One(a: 1))
        #expect(try BinaryDecoding.value(Two.self, from: older) == Two(a: 1, b: nil))
    }

    @Test func `two processes agree on the highest version both speak, or not at all`() {
        let now = BorderVersion.current
        #expect(BorderVersion.common(with: BorderGreeting()) == now)
        #expect(BorderVersion.common(with: BorderGreeting(newest: now + 1, oldest: now)) == now)
        #expect(BorderVersion.common(with: BorderGreeting(newest: now + 2, oldest: now + 1)) == nil)
        #expect(BorderVersion.common(with: BorderGreeting(newest: 0, oldest: 0)) == nil)
    }

    @Test func `containers as deep as the bound are read, one more is refused`() throws {
        func nested(_ depth: Int) -> [UInt8] {
            var bytes: [UInt8] = []
            for _ in 0..<depth {
                bytes = [9] + (0..<4).map { UInt8(truncatingIfNeeded: bytes.count >> (8 * $0)) } + bytes
            }
            return bytes
        }
        #expect(throws: Never.self) {
            try BinaryDecoding.value(Nest.self, from: nested(BinaryDecoding.depthMax))
        }
        #expect(throws: BinaryFailure.tooDeep) {
            try BinaryDecoding.value(Nest.self, from: nested(BinaryDecoding.depthMax + 1))
        }
    }

    private indirect enum Nest: Decodable {
        case end
        case inside(Nest)
        init(from decoder: any Decoder) throws {
            var list = try decoder.unkeyedContainer()
            self = list.isAtEnd ? .end : .inside(try list.decode(Nest.self))
        }
    }

    @Test
    func `flipped bits come to a refusal or a value, never to a trap, and values are written back equal`()
        throws
    {
        let originals = try Self.requests.map { try BinaryEncoding.bytes(of: FromData.message($0)) }
        for seed in 0..<4_000 {
            var random = Seeded(seed: UInt64(seed))
            var bytes = originals[Int(random.next() % UInt64(originals.count))]
            for _ in 0...random.next() % 3 {
                bytes[Int(random.next() % UInt64(bytes.count))] ^= UInt8(1 << (random.next() % 8))
            }
            guard let value = try? BinaryDecoding.value(FromData.self, from: bytes) else { continue }
            let again = try BinaryEncoding.bytes(of: value)
            #expect(try BinaryDecoding.value(FromData.self, from: again) == value, "seed \(seed)")
        }
    }

    struct Seeded: RandomNumberGenerator {
        private var state: UInt64
        init(seed: UInt64) { state = seed &* 0x9e37_79b9_7f4a_7c15 &+ 1 }
        mutating func next() -> UInt64 {
            state &+= 0x9e37_79b9_7f4a_7c15
            var mixed = state
            mixed = (mixed ^ (mixed >> 30)) &* 0xbf58_476d_1ce4_e5b9
            mixed = (mixed ^ (mixed >> 27)) &* 0x94d0_49bb_1331_11eb
            return mixed ^ (mixed >> 31)
        }
    }
}

@Suite("Frames")
struct FrameTests {
    @Test func `frames come out the same at every split`() throws {
        let frames = try BinaryTests.requests.map {
            try Frames.frame(FromData.message($0), bytesMax: Frames.bytesMaxFromData)
        }
        let stream = frames.flatMap { $0 }
        for split in 0...stream.count {
            var reader = FrameReader(bytesMax: Frames.bytesMaxFromData)
            var values: [ToControl] = []
            for piece in [stream[..<split], stream[split...]] {
                reader.feed(piece)
                while let bytes = try reader.next() {
                    guard case .message(let value) = try BinaryDecoding.value(FromData.self, from: bytes)
                    else {
                        continue
                    }
                    values.append(value)
                }
            }
            #expect(values == BinaryTests.requests, "split at \(split)")
            #expect(reader.isBetweenFrames)
        }
    }

    @Test func `a frame exactly at the bound is taken, one past it is refused by its length alone`() throws {
        var exact = FrameReader(bytesMax: 5)
        exact.feed([5, 0, 0, 0, 1, 2, 3, 4, 5])
        #expect(try exact.next() == [1, 2, 3, 4, 5])
        var past = FrameReader(bytesMax: 5)
        past.feed([6, 0, 0, 0])
        #expect(throws: BinaryFailure.tooLong) { try past.next() }
        var empty = FrameReader(bytesMax: 5)
        empty.feed([0, 0, 0, 0])
        #expect(throws: BinaryFailure.truncated) { try empty.next() }
        #expect(throws: BinaryFailure.tooLong) { try Frames.frame([1, 2, 3, 4, 5], bytesMax: 5) }
    }
}
