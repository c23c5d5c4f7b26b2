import Signatures
import Testing

@Suite("Sealing")
struct SealerTests {
    @Test func `what was sealed opens in its own context only`() {
        let sealer = Sealer(ring: .ephemeral())
        for plaintext in [[], [0], Array("login state".utf8), [UInt8](repeating: 7, count: 5000)] {
            let sealed = sealer.seal(plaintext, context: "login")
            #expect(sealer.open(sealed, context: "login") == plaintext)
            #expect(sealer.open(sealed, context: "handoff") == nil)
            #expect(sealer.open(sealed, context: "") == nil)
            #expect(sealer.open(sealed, context: "login ") == nil)
        }
    }

    @Test func `any changed bit is noticed, at every byte`() throws {
        let sealer = Sealer(ring: .ephemeral())
        let bytes = try #require(Base64URL.decode(sealer.seal(Array("state".utf8), context: "c")))
        #expect(bytes.count == 2 + 12 + 5 + 16)
        for index in bytes.indices {
            for bit in 0..<8 as Range<UInt8> {
                var changed = bytes
                changed[index] ^= 1 << bit
                #expect(sealer.open(Base64URL.encode(changed), context: "c") == nil, "byte \(index)")
            }
        }
        for count in 0..<bytes.count {
            #expect(sealer.open(Base64URL.encode(Array(bytes[..<count])), context: "c") == nil)
        }
        #expect(sealer.open(Base64URL.encode(bytes + [0]), context: "c") == nil)
    }

    @Test(arguments: ["", "=", "AQ", "not base64url!", "AQEAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"])
    func `what was never sealed does not open`(text: String) {
        #expect(Sealer(ring: .ephemeral()).open(text, context: "c") == nil)
    }

    @Test func `the same value is sealed differently each time`() {
        let sealer = Sealer(ring: .ephemeral())
        #expect(sealer.seal([1], context: "c") != sealer.seal([1], context: "c"))
    }

    @Test func `another ring's value does not open`() {
        let sealed = Sealer(ring: .ephemeral()).seal([1], context: "c")
        #expect(Sealer(ring: .ephemeral()).open(sealed, context: "c") == nil)
    }

    @Test func `one rotation later it still opens, two rotations later no more`() throws {
        let ring = KeyRing.ephemeral()
        let sealer = Sealer(ring: ring)
        let sealed = sealer.seal([1, 2], context: "c")
        try ring.rotate(.sealing)
        #expect(sealer.open(sealed, context: "c") == [1, 2])
        let second = sealer.seal([3], context: "c")
        try ring.rotate(.sealing)
        #expect(sealer.open(sealed, context: "c") == nil)
        #expect(sealer.open(second, context: "c") == [3])
        try ring.rotate(.sealing)
        #expect(sealer.open(second, context: "c") == nil)
    }

    @Test func `rotating another purpose changes nothing here`() throws {
        let ring = KeyRing.ephemeral()
        let sealed = Sealer(ring: ring).seal([1], context: "c")
        for purpose in KeyRing.Purpose.allCases where purpose != .sealing {
            for _ in 0..<3 { try ring.rotate(purpose) }
        }
        #expect(Sealer(ring: ring).open(sealed, context: "c") == [1])
    }
}
