import Testing

@testable import Posture

@Suite("SlotIndex: from hashes to slots")
struct SlotIndexTests {
    @Test("holds what a plain list of pairs holds, over random insertions and removals of colliding hashes")
    func agreesWithList() {
        for seed in 0..<40 as Range<UInt64> {
            var random = SplitMix(seed: seed)
            var index = SlotIndex()
            var list: [(hash: UInt32, slot: UInt32)] = []
            for step in 0..<600 {
                // Few hashes, some of them neighbours and at the end of the table, so that runs overlap and wrap:
                // the table is the range of hashes, made smaller.
                let hash =
                    [
                        0, 1, 1 << 20, 1 << 27, 3 << 26, 1 << 28, 1 << 31, 0xf000_0000, 0xf800_0000, .max - 1,
                        .max,
                    ][
                        Int(random.next() % 11)] as UInt32
                let slot = UInt32(random.next() % 8)
                if random.next() % 3 != 0 {
                    index.insert(hash, slot)
                    list.append((hash, slot))
                } else {
                    index.remove(hash, slot)
                    if let place = list.firstIndex(where: { $0 == (hash, slot) }) { list.remove(at: place) }
                }
                let wanted = list.filter { $0.hash == hash }.map(\.slot).sorted()
                #expect(index.slots(of: hash).sorted() == wanted, "seed \(seed), step \(step)")
                #expect(index.count == list.count, "seed \(seed), step \(step)")
            }
        }
    }

    @Test("a name that very many records have costs the others nothing", .timeLimit(.minutes(10)))
    func crowd() {
        var index = SlotIndex()
        // Each passing all before it would be 8 * 10^10 steps, most of a minute in the fastest build there is.
        let slots = 0..<400_000 as Range<UInt32>
        for slot in slots {
            index.insert(7, slot)
            index.insert(8 &+ slot &* 0x9e37_79b1, slot)
        }
        #expect(index.count == 800_000)
        #expect(Set(index.slots(of: 7)).count == slots.count)
        #expect(index.slot(of: 7) { $0 == 399_999 } == 399_999)
        #expect(index.slots(of: 8) == [0])
        for slot in slots { index.remove(7, slot) }
        #expect(index.slots(of: 7).isEmpty && index.count == 400_000)
    }

    @Test("an empty index finds nothing and lets nothing be removed")
    func empty() {
        var index = SlotIndex()
        index.remove(7, 7)
        #expect(index.slots(of: 7).isEmpty && index.count == 0)
    }

    @Test("the same text of another kind has another hash")
    func kinds() {
        #expect(SlotIndex.hash("a", .serial) == SlotIndex.hash("a", .serial))
        #expect(Set([nil, .serial, .intune, .mac].map { SlotIndex.hash("a", $0) }).count == 4)
    }
}

/// The same numbers for the same seed.
struct SplitMix: RandomNumberGenerator {
    private var state: UInt64
    init(seed: UInt64) { state = seed }
    mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xbf58_476d_1ce4_e5b9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94d0_49bb_1331_11eb
        return mixed ^ (mixed >> 31)
    }
}
