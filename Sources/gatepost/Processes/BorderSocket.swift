import Border
import Glibc

/// One end of a socket pair between the two processes, with whole frames in both directions.
final class BorderSocket: Sendable {
    private let descriptor: Int32

    init(adopting descriptor: Int32) { self.descriptor = descriptor }
    deinit { close(descriptor) }

    /// Waits until all of it is on its way.
    /// - Returns: false when the other process is gone.
    func send(_ bytes: ArraySlice<UInt8>) -> Bool {
        var sent = bytes.startIndex
        while sent < bytes.endIndex {
            let count = bytes[sent...].withUnsafeBytes {
                Glibc.send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL))
            }
            if count > 0 {
                sent += count
            } else if count == 0 || errno != EINTR {
                return false
            }
        }
        return true
    }

    /// Waits for bytes and adds them.
    /// - Returns: false at the end of the stream.
    func read(into reader: inout FrameReader, _ chunk: inout [UInt8]) -> Bool {
        while true {
            let count = chunk.withUnsafeMutableBytes { recv(descriptor, $0.baseAddress, $0.count, 0) }
            if count > 0 {
                reader.feed(chunk[..<count])
                return true
            }
            guard count < 0, errno == EINTR else { return false }
        }
    }

    /// Ends both directions: whoever waits here or at the other end wakes up.
    func end() { shutdown(descriptor, Int32(SHUT_RDWR)) }

    /// Hands every frame to `take`, until the stream or its meaning ends, or `take` returns false.
    func readFrames(bytesMax: Int, _ take: ([UInt8]) throws -> Bool) throws {
        var reader = FrameReader(bytesMax: bytesMax)
        var chunk = [UInt8](repeating: 0, count: 65_536)
        while read(into: &reader, &chunk) {
            while let bytes = try reader.next() {
                guard try take(bytes) else { return }
            }
        }
    }
}
