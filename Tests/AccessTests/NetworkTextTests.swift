import Access
import Testing

@Suite("Addresses and ranges as text: strict in, canonical out")
struct NetworkTextTests {
    static let accepted: [(String, String)] = [
        ("0.0.0.0", "0.0.0.0"), ("255.255.255.255", "255.255.255.255"), ("10.0.4.7", "10.0.4.7"),
        ("::", "::"),
        ("::1", "::1"), ("2001:DB8::A", "2001:db8::a"), ("2001:0db8:0:0:1:0:0:1", "2001:db8::1:0:0:1"),
        ("1:2:3:4:5:6:7:8", "1:2:3:4:5:6:7:8"), ("1:2:3:4:5:6:7::", "1:2:3:4:5:6:7:0"),
        ("::ffff:192.0.2.1", "192.0.2.1"), ("64:ff9b::192.0.2.33", "64:ff9b::c000:221"), ("fe80::", "fe80::"),
        ("1:0:2:0:0:3:4:5", "1:0:2::3:4:5"),
    ]
    static let refused = [
        "", "1", "1.2.3", "1.2.3.4.5", "01.2.3.4", "1.2.3.00", "256.1.1.1", "1.2.3.1000", "0x1.2.3.4",
        "1.2.3.4 ",
        " 1.2.3.4", "1..2.3", ".1.2.3.4", "1.2.3.4.", "+1.2.3.4", "１.2.3.4", "167772160", ":", ":::", "1:",
        ":1",
        "1::2::3", "::1::", "1:2:3:4:5:6:7", "1:2:3:4:5:6:7:8:9", "1:2:3:4:5:6:7:8::", "::1:2:3:4:5:6:7:8",
        "12345::", "g::", "fe80::1%eth0", "[::1]", "::1.2.3", "1.2.3.4::", "::1.2.3.4:5",
        "1:2:3:4:5:6:7:1.2.3.4",
        "::01.2.3.4", "::-1", "1:2:3:4:5:6:7:8 ",
    ]

    @Test("an address is read and written in its canonical form", arguments: accepted)
    func address(_ text: String, _ canonical: String) throws {
        let address = try #require(NetworkAddress(parsing: text))
        #expect(address.description == canonical)
        #expect(NetworkAddress(parsing: canonical) == address)
    }

    @Test("anything that two readers could take for two addresses is refused", arguments: refused)
    func refusedAddress(_ text: String) { #expect(NetworkAddress(parsing: text) == nil) }

    static let ranges: [(String, String)] = [
        ("10.0.0.0/8", "10.0.0.0/8"), ("0.0.0.0/0", "0.0.0.0/0"), ("10.0.0.1", "10.0.0.1/32"),
        ("::/0", "::/0"),
        ("10.0.0.1/32", "10.0.0.1/32"), ("2001:db8::/32", "2001:db8::/32"), ("::1", "::1/128"),
        ("::1/128", "::1/128"), ("2001:db8:0:0:8000::/65", "2001:db8:0:0:8000::/65"),
    ]
    static let refusedRanges = [
        "10.0.0.1/8", "10.0.0.0/33", "10.0.0.0/", "10.0.0.0/08", "10.0.0.0/-1", "10.0.0.0/8/8", "/8",
        "::/129",
        "2001:db8::1/32", "::/ 0", "10.0.0.0/255.0.0.0", "10.0.0.0 /8", "0.0.0.0/9999999999999999999999",
    ]

    @Test("a range is read and written", arguments: ranges)
    func range(_ text: String, _ canonical: String) {
        #expect(NetworkRange(parsing: text)?.description == canonical)
    }

    @Test("a range with bits below its prefix or a strange length is refused", arguments: refusedRanges)
    func refusedRange(_ text: String) { #expect(NetworkRange(parsing: text) == nil) }

    @Test("parse(describe(x)) == x for 4,000 seeded addresses and ranges")
    func roundTrip() {
        for seed in 0..<2_000 as Range<UInt64> {
            var generator = SeededGenerator(seed: seed)
            // Many zero groups: the compression is where mistakes live.
            let mask = generator.next() & generator.next() & generator.next()
            let wide = NetworkAddress(high: generator.next() & mask, low: generator.next() & mask)
            for address in [wide, NetworkAddress(v4: UInt32(truncatingIfNeeded: generator.next()))] {
                #expect(NetworkAddress(parsing: address.description) == address, "seed \(seed)")
                let range = NetworkRange(base: address, prefixLength: 128)
                #expect(NetworkRange(parsing: range.description) == range, "seed \(seed)")
            }
        }
    }

    @Test("mutated text never traps and what is accepted reads back as itself")
    func mutations() {
        let alphabet = Array("0123456789abf:./% []".utf8)
        for seed in 0..<4_000 as Range<UInt64> {
            var generator = SeededGenerator(seed: seed)
            var bytes = Array(generator.pick(Self.accepted).0.utf8)
            for _ in 0..<Int.random(in: 1...3, using: &generator) {
                bytes.insert(generator.pick(alphabet), at: Int.random(in: 0...bytes.count, using: &generator))
            }
            guard let address = NetworkAddress(parsing: String(decoding: bytes, as: UTF8.self)) else {
                continue
            }
            #expect(NetworkAddress(parsing: address.description) == address, "seed \(seed)")
        }
    }
}
