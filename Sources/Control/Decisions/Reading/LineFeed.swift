import Foundation
import Glibc

/// The whole lines of a file, read piece by piece: a log may be bigger than memory, and may shrink under whoever has it
/// mapped.
struct LineFeed: ~Copyable {
    enum Line: Sendable {
        case line([UInt8])
        /// Longer than the bound; it is passed over.
        case tooLong
        /// Bytes without an end: the last line of a file that is being written, or whose writer was stopped. With the
        /// first of them; none of a line that is too long.
        case partial([UInt8])
    }

    private static let partialBytes = 64

    /// Read at a time.
    private let pieceBytes: Int
    private let path: String
    private let descriptor: Int32
    private let lineBytesMax: Int
    private var buffer: [UInt8] = []
    /// Where the next line begins in the buffer, and how much of it was searched.
    private var start = 0
    private var searched = 0
    private var isSkipping = false
    private var isAtEnd = false
    /// Where the next line begins in the file.
    private(set) var offset: Int

    /// - Throws: `ControlFailure` naming the file, also for what is none: a pipe would be waited for, a device may have
    ///   no end, and a folder would look like an empty log.
    init(
        _ path: String, from offset: Int = 0, lineBytesMax: Int, pieceBytes: Int = 1 << 20
    ) throws(ControlFailure) {
        self.path = path
        self.pieceBytes = pieceBytes
        descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
        self.offset = offset
        self.lineBytesMax = lineBytesMax
        var status = stat()
        guard descriptor >= 0, fstat(descriptor, &status) == 0 else { throw Self.failure(path) }
        guard status.st_mode & S_IFMT == S_IFREG else { throw ControlFailure(what: "\(path): is no file") }
        guard lseek(descriptor, off_t(offset), SEEK_SET) >= 0 else { throw Self.failure(path) }
    }

    private static func failure(_ path: String) -> ControlFailure {
        ControlFailure(what: "\(path): \(String(cString: strerror(errno)))")
    }

    deinit { if descriptor >= 0 { close(descriptor) } }

    /// - Returns: nil at the end of the file.
    /// - Throws: `ControlFailure` when the file cannot be read on; that is not its end.
    mutating func next() throws(ControlFailure) -> Line? {
        while true {
            if let end = newline() {
                let count = end - start
                let line = isSkipping || count > lineBytesMax ? nil : Array(buffer[start..<end])
                isSkipping = false
                start = end + 1
                searched = start
                offset += count + 1
                return line.map { .line($0) } ?? .tooLong
            }
            searched = buffer.count
            if isAtEnd {
                guard buffer.count > start || isSkipping else { return nil }
                let first = isSkipping ? [] : Array(buffer[start...].prefix(Self.partialBytes))
                start = buffer.count
                isSkipping = false
                return .partial(first)
            }
            try fill()
        }
    }

    private func newline() -> Int? {
        buffer.withUnsafeBytes { bytes in
            guard let base = bytes.baseAddress, searched < bytes.count,
                let found = memchr(base + searched, 0x0a, bytes.count - searched)
            else { return nil }
            return UnsafeRawPointer(found) - base
        }
    }

    private mutating func fill() throws(ControlFailure) {
        buffer.removeFirst(start)
        start = 0
        if buffer.count > lineBytesMax {
            // The rest of a line that is too long need not be kept.
            offset += buffer.count
            buffer.removeAll(keepingCapacity: true)
            isSkipping = true
        }
        searched = buffer.count
        var count = -1
        let descriptor = descriptor
        buffer += [UInt8](unsafeUninitializedCapacity: pieceBytes) { bytes, filled in
            repeat {
                count = read(descriptor, bytes.baseAddress, bytes.count)
            } while count < 0 && errno == EINTR
            filled = max(0, count)
        }
        guard count >= 0 else { throw Self.failure(path) }
        isAtEnd = count == 0
    }
}
