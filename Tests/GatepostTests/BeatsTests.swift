import CLinux
import Glibc
import Testing

@testable import gatepost

@Suite("Signs of life of data processes")
struct BeatsTests {
    @Test("what one life writes, another process reads by the same memory; lives do not touch each other")
    func memory() throws {
        let beats = try #require(Beats.make())
        let copy = try #require(Beats(adopting: fcntl(beats.descriptor, F_DUPFD_CLOEXEC, 64)))
        for life in [1, 2, 255] as [UInt8] { copy.beat(life, UInt64(life) * 10) }
        copy.hang(2, 21, stage: 4)
        #expect(beats.read(1) == (10, nil) && beats.read(255) == (2_550, nil))
        #expect(beats.read(2) == (21, 4))
        beats.clear(2)
        #expect(beats.read(2) == (0, nil) && beats.read(0) == (0, nil))
    }

    @Test("a process that was taken over can neither shorten nor lengthen the memory of all lives")
    func sealed() throws {
        let beats = try #require(Beats.make())
        for bytes in [0, 1, 256 * 16 - 1, 256 * 16 + 1] { #expect(ftruncate(beats.descriptor, bytes) != 0) }
        // F_ADD_SEALS, for writing: nobody silences the lives either.
        #expect(fcntl(beats.descriptor, 1_033, 0x8 as Int32) != 0)
        beats.beat(255, 3)
        #expect(beats.read(255).count == 3)
    }

    @Test("memory that is too small for all lives is refused")
    func tooSmall() {
        let descriptor = memfd_create("small", 1)
        #expect(ftruncate(descriptor, 256 * 16 - 1) == 0)
        #expect(Beats(adopting: descriptor) == nil)
        close(descriptor)
        #expect(Beats(adopting: -1) == nil)
    }

    @Test("so many looks at the same count are too many, one less is not, and any change begins anew")
    func watch() {
        var watch = Watch()
        var ends: [Bool] = []
        // Also a count that went back: a hostile process may write what it likes, and lives.
        for seen in [7, 6] as [UInt64] {
            for _ in 0...Watch.looksMax { ends.append(watch.look(seen)) }
        }
        let one = [Bool](repeating: false, count: Watch.looksMax) + [true]
        #expect(ends == one + one)
    }
}
