import Glibc
import Identity
import JSON

/// Takes a person out of a decision log: their lines lose what they say and keep their length, so that
/// nothing else moves and the file that is being written can stay open. What is left names them by pseudonym
/// and digest, both made with a key that is not in the lines.
public struct PersonErasure {
    private let folder: String

    /// - Parameter folder: of the decision log.
    public init(folder: String) { self.folder = folder }

    /// Erases everybody with this address, or with this pseudonym.
    ///
    /// - Returns: lines that were rewritten.
    /// - Throws: `ControlFailure` when a file cannot be read or written, or has a damaged line of somebody; what
    ///   was erased before stays erased.
    @discardableResult
    public func erase(email: String? = nil, pseudonym: String? = nil) throws(ControlFailure) -> Int {
        var count = 0
        var unread: [String] = []
        // Other lines of the same person may carry another address, or none.
        var pseudonyms = Set([pseudonym].compactMap { $0 })
        let files = DecisionFolder.files(in: folder).map(\.path)
        if let folded = email.map(EmailAddress.folded) {
            for path in files {
                for line in try persons(path).lines where line.email == folded {
                    pseudonyms.insert(line.pseudonym)
                }
            }
        }
        for path in files {
            let found = try persons(path)
            let lines = found.lines.filter { pseudonyms.contains($0.pseudonym) && !$0.isErased }
            try overwrite(lines, path)
            count += lines.count
            unread += found.unread
        }
        guard unread.isEmpty else {
            throw ControlFailure(
                what:
                    "\(count) lines erased, but these cannot be read and may be about the person; remove their "
                    + "files: \(unread.joined(separator: ", "))")
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

    private struct Found {
        var lines: [Line] = []
        /// `file:line` of persons who cannot be told.
        var unread: [String] = []
    }

    private func persons(_ path: String) throws(ControlFailure) -> Found {
        do throws(ControlFailure) {
            return try read(path)
        } catch {
            // The gateway removes the oldest files, with all that they say.
            guard access(path, F_OK) != 0 else { throw error }
            return Found()
        }
    }

    private func read(_ path: String) throws(ControlFailure) -> Found {
        let prefix = Array("{\"kind\":\"person\"".utf8)
        let mark = Array(",\"value\":".utf8)
        // As long and as full as a line may be: whoever has a thousand groups can be erased like anybody.
        let limits = JSONLimits(
            bytesMax: DecisionFile.lineBytesMax, membersMax: DecisionFile.lineBytesMax)
        var found = Found()
        var feed = try LineFeed(path, lineBytesMax: DecisionFile.lineBytesMax)
        var (start, number) = (feed.offset, 0)
        while let line = try feed.next() {
            defer { start = feed.offset }
            number += 1
            guard case .line(let bytes) = line, bytes.starts(with: prefix) else { continue }
            guard let value = try? JSONValue(parsing: bytes, limits: limits),
                let pseudonym = value["person"]?.string,
                let at = bytes.indices.first(where: { bytes[$0...].starts(with: mark) })
            else {
                found.unread.append("\(path):\(number)")
                continue
            }
            found.lines.append(
                Line(
                    pseudonym: pseudonym, email: value["value"]?["email"]?.string,
                    isErased: value["value"]?.isNull ?? true, start: start + at + mark.count,
                    count: bytes.count - 1 - at - mark.count))
        }
        return found
    }

    private func overwrite(_ lines: [Line], _ path: String) throws(ControlFailure) {
        guard !lines.isEmpty else { return }
        let file = open(path, O_WRONLY | O_CLOEXEC | O_NOFOLLOW)
        if file < 0, errno == ENOENT { return }
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
