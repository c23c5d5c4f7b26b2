import Testing

@testable import DataPlane

@Suite("Heads that a process died of")
struct QuarantineTests {
    /// The key 00…0f and the messages 00, 00 01, … of the paper's appendix A.
    @Test(
        arguments: [(0, 0x726f_db47_dd0e_0e31), (8, 0x93f5_f579_9a93_2462), (15, 0xa129_ca61_49be_45e5)]
            as [(Int, UInt64)])
    func `the hash is SipHash-2-4`(_ count: Int, _ expected: UInt64) {
        let message = (0..<count).map { UInt8($0) }
        var hash = SipHash(0x0706_0504_0302_0100, 0x0f0e_0d0c_0b0a_0908)
        message.withUnsafeBufferPointer { hash.add($0) }
        #expect(hash.finish(count: count) == expected)
    }
}
