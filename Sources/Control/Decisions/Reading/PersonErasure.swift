import Glibc
import Identity
import JSON

/// Takes a person out of a decision log: their lines lose what they say and keep their length, so that nothing else moves
/// and the file that is being written can stay open. What is left names them by pseudonym and digest, both made with
/// a key that is not in the lines.
public struct PersonErasure {
    private let folder: String

    /// - Parameter folder: of the decision log.
    public init(folder: String) { self.folder = folder }

    /// Erases everybody with this address, or with this pseudonym.
    ///
    /// - Returns: lines that were rewritten.
    /// - Throws: `ControlFailure` when a file cannot be read or written; what was erased before stays erased.
    @discardableResult
    public func erase(email: String? = nil, pseudonym: String? = nil) throws(ControlFailure) -> Int {
        var count = 0
        // Other lines of the same person may carry another address, or none.
        var pseudonyms = Set([pseudonym].compactMap { $0 })
        let files = DecisionFolder.files(in: folder).map(\.path)
        if let folded = email.map(EmailAddress.folded) {
            for path in files {
                for line in try persons(path) where line.email == folded { pseudonyms.insert(line.pseudonym) }
            }
        }
        for path in files {
            let lines = try persons(path).filter { pseudonyms.contains($0.pseudonym) && !$0.isErased }
            try overwrite(lines, path)
            count += lines.count
        }
        return count
    }

    private struct Line {
        var pseudonym: String
        var email: String?
        var isErased: Bool
        /// Of the value in the file.
        var start: Int
        var count: Int
    }

    private func persons(_ path: String) throws(ControlFailure) -> [Line] {
        let prefix = Array("{\"kind\":\"person\"".utf8)
        let mark = Array(",\"value\":".utf8)
        var lines: [Line] = []
        var feed = try LineFeed(path, lineBytesMax: DecisionFile.lineBytesMax)
        var start = feed.offset
        while let line = try feed.next() {
            defer { start = feed.offset }
            guard case .line(let bytes) = line, bytes.starts(with: prefix),
                let value = try? JSONValue(parsing: bytes), let pseudonym = value["person"]?.string,
                let at = bytes.indices.first(where: { bytes[$0...].starts(with: mark) })
            else { continue }
            lines.append(
                Line(
                    pseudonym: pseudonym, email: value["value"]?["email"]?.string,
                    isErased: value["value"]?.isNull ?? true, start: start + at + mark.count,
                    count: bytes.count - 1 - at - mark.count))
        }
        return lines
    }

    private func overwrite(_ lines: [Line], _ path: String) throws(ControlFailure) {
        guard !lines.isEmpty else { return }
        let file = open(path, O_WRONLY | O_CLOEXEC | O_NOFOLLOW)
        guard file >= 0 else { throw ControlFailure(what: "\(path): \(String(cString: strerror(errno)))") }
        defer { close(file) }
        for line in lines {
            let blank = Array("null".utf8) + [UInt8](repeating: 0x20, count: max(0, line.count - 4))
            let written = blank.withUnsafeBytes { pwrite(file, $0.baseAddress, $0.count, off_t(line.start)) }
            guard written == blank.count else {
                throw ControlFailure(what: "\(path): \(String(cString: strerror(errno)))")
            }
        }
        guard fsync(file) == 0 else {
            throw ControlFailure(what: "\(path): \(String(cString: strerror(errno)))")
        }
    }
}
