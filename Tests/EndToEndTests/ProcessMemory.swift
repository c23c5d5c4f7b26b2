import Foundation
import Glibc

/// What a running process has in its memory, read as root may (proc(5), `mem`).
struct ProcessMemory {
    let bytes: [Data]

    /// Everything that the process may write: secrets are never in the pages of a program.
    init(of pid: pid_t) throws {
        let memory = open("/proc/\(pid)/mem", O_RDONLY | O_CLOEXEC)
        guard memory >= 0 else {
            throw Failure(description: "the memory of \(pid): \(String(cString: strerror(errno)))")
        }
        defer { close(memory) }
        let maps = try String(contentsOfFile: "/proc/\(pid)/maps", encoding: .utf8)
        var bytes: [Data] = []
        for line in maps.split(separator: "\n") {
            let words = line.split(separator: " ", maxSplits: 2)
            let ends = words[0].split(separator: "-").compactMap { UInt64($0, radix: 16) }
            guard words[1].hasPrefix("rw"), ends.count == 2 else { continue }
            bytes += Self.pages(of: pid, from: ends[0], to: ends[1], memory)
        }
        self.bytes = bytes
    }

    /// Only pages that exist: most of what is reserved never was touched.
    private static func pages(of pid: pid_t, from start: UInt64, to end: UInt64, _ memory: Int32) -> [Data] {
        let size = UInt64(sysconf(Int32(_SC_PAGESIZE)))
        let map = open("/proc/\(pid)/pagemap", O_RDONLY | O_CLOEXEC)
        defer { close(map) }
        let count = Int((end - start) / size)
        var entries = [UInt64](repeating: 0, count: count)
        let read = pread(map, &entries, count * 8, off_t(start / size * 8))
        // Bit 63: present, bit 62: swapped out (pagemap.rst).
        let isThere = (0..<count).map { read < ($0 + 1) * 8 || entries[$0] >> 62 != 0 }
        var found: [Data] = []
        var index = 0
        while index < count {
            guard isThere[index] else {
                index += 1
                continue
            }
            var last = index
            while last + 1 < count, isThere[last + 1], last - index < 4_096 { last += 1 }
            var data = Data(count: (last - index + 1) * Int(size))
            let got = data.withUnsafeMutableBytes {
                pread(memory, $0.baseAddress, $0.count, off_t(start + UInt64(index) * size))
            }
            if got > 0 { found.append(data.prefix(got)) }
            index = last + 1
        }
        return found
    }

    func contains(_ needle: Data) -> Bool {
        precondition(needle.count >= 8, "\(needle.count) bytes are found anywhere")
        return bytes.contains { $0.range(of: needle) != nil }
    }

    /// The payloads of all signed tokens (RFC 7515 §7.1) that lie somewhere whole.
    func tokenPayloads() -> [[String: Any]] {
        var found: [[String: Any]] = []
        let begin = Data("eyJ".utf8)
        for part in bytes {
            var at = part.startIndex
            while let range = part.range(of: begin, in: at..<part.endIndex) {
                let text = String(
                    decoding: part[range.lowerBound...].prefix(8_192).prefix { Self.isOfToken($0) },
                    as: UTF8.self)
                let pieces = text.split(separator: ".", omittingEmptySubsequences: false)
                if pieces.count == 3, let payload = Self.object(String(pieces[1])) { found.append(payload) }
                at = range.lowerBound + max(3, text.utf8.count)
            }
        }
        return found
    }

    private static func isOfToken(_ byte: UInt8) -> Bool {
        switch byte {
        case 0x30...0x39, 0x41...0x5a, 0x61...0x7a, 0x2d, 0x2e, 0x5f: true
        default: false
        }
    }

    private static func object(_ text: String) -> [String: Any]? {
        guard let data = Self.decoded(text) else { return nil }
        return try? JSONSerialization.jsonObject(with: data) as? [String: Any]
    }

    /// base64url without padding.
    static func decoded(_ text: String) -> Data? {
        let standard = text.replacing("-", with: "+").replacing("_", with: "/")
        return Data(
            base64Encoded: standard + String(repeating: "=", count: (4 - standard.utf8.count % 4) % 4))
    }
}
