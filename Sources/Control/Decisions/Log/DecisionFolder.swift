import Config
import Foundation
import Glibc
import Signatures

/// The folder of the decision log: numbered files of mode 0600, and the key of the pseudonyms.
struct DecisionFolder: Sendable {
    static let filePrefix = "decisions-"
    static let fileSuffix = ".jsonl"
    static let keyName = "pseudonyms.key"

    var settings: DecisionLogSettings
    /// Makes pseudonyms and names what is said of persons; 32 bytes.
    let key: [UInt8]

    /// Bytes of one file: small enough that removing the oldest keeps most of what there is.
    var fileBytesMax: Int64 { min(64 << 20, max(1 << 20, settings.bytesMax / 16)) }
    /// Seconds that one file is written to.
    var fileSecondsMax: Int64 { min(86_400, max(3_600, settings.ageSecondsMax / 8)) }

    /// Makes the folder (mode 0700) and the key where there is none.
    ///
    /// - Throws: `ControlFailure` naming the folder and the remedy.
    init(_ settings: DecisionLogSettings) throws(ControlFailure) {
        self.settings = settings
        do {
            try FileManager.default.createDirectory(
                atPath: settings.folder, withIntermediateDirectories: true,
                attributes: [.posixPermissions: 0o700])
        } catch {
            throw Self.failure(settings.folder, error.localizedDescription)
        }
        key = try Self.key(in: settings.folder)
    }

    private static func failure(_ path: String, _ what: String) -> ControlFailure {
        ControlFailure(
            what: "gateway.decision-log: \(path): \(what); name a folder that the gateway may write, or off")
    }

    private static func key(in folder: String) throws(ControlFailure) -> [UInt8] {
        let path = "\(folder)/\(keyName)"
        let made = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0o600)
        if made >= 0 {
            let bytes = Random.bytes(32)
            let count = bytes.withUnsafeBytes { write(made, $0.baseAddress, $0.count) }
            let isDurable = fsync(made) == 0
            close(made)
            guard count == bytes.count, isDurable else {
                unlink(path)
                throw failure(path, "cannot be written")
            }
            return bytes
        }
        guard errno == EEXIST else { throw failure(path, String(cString: strerror(errno))) }
        let file = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW)
        guard file >= 0 else { throw failure(path, String(cString: strerror(errno))) }
        defer { close(file) }
        var status = stat()
        guard fstat(file, &status) == 0, status.st_mode & 0o077 == 0 else {
            throw failure(path, "may be read by others than its owner (mode 0600 is right)")
        }
        var bytes = [UInt8](repeating: 0, count: 33)
        guard read(file, &bytes, 33) == 32 else {
            throw failure(path, "is not a key of 32 bytes (remove it to begin new pseudonyms)")
        }
        return Array(bytes.prefix(32))
    }

    /// The files, oldest first.
    static func files(in folder: String) -> [(number: Int, path: String)] {
        let names = (try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? []
        return names.compactMap { name in
            guard name.hasPrefix(filePrefix), name.hasSuffix(fileSuffix) else { return nil }
            // As we write them, with room to count on: nobody's file may stop the log.
            let digits = name.dropFirst(filePrefix.count).dropLast(fileSuffix.count).utf8
            guard (8...15).contains(digits.count), digits.allSatisfy({ (0x30...0x39).contains($0) }),
                let number = Int(String(decoding: digits, as: UTF8.self))
            else { return nil }
            return (number, "\(folder)/\(name)")
        }.sorted { $0.number < $1.number }
    }

    /// Opens the file after the newest one. A file that a crash cut short is never written to again.
    ///
    /// - Returns: nil when none can be made now.
    func begin() -> (descriptor: Int32, number: Int, path: String)? {
        var number = (Self.files(in: settings.folder).last?.number ?? 0) + 1
        for _ in 0..<100 {
            let digits = String(number)
            let name =
                Self.filePrefix + String(repeating: "0", count: max(0, 8 - digits.count)) + digits
                + Self.fileSuffix
            let path = "\(settings.folder)/\(name)"
            let file = open(path, O_WRONLY | O_CREAT | O_EXCL | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0o600)
            if file >= 0 { return (file, number, path) }
            guard errno == EEXIST else { return nil }
            number += 1
        }
        return nil
    }

    /// Removes the oldest files until a full new one fits, and those that are too old by the file system's clock.
    func prune(keeping current: String, headBytes: Int64 = 0) {
        let nowSeconds = systemSeconds()
        var files = Self.files(in: settings.folder).map(\.path).filter { $0 != current }.map { path in
            var status = stat()
            let isThere = lstat(path, &status) == 0
            return (
                path: path, bytes: isThere ? Int64(status.st_size) : 0,
                at: isThere ? Int64(status.st_mtim.tv_sec) : 0
            )
        }
        var total = files.reduce(fileBytesMax + headBytes) { $0 + $1.bytes }
        while let oldest = files.first,
            total > settings.bytesMax || oldest.at + settings.ageSecondsMax < nowSeconds
        {
            unlink(oldest.path)
            total -= oldest.bytes
            files.removeFirst()
        }
    }
}

/// The files of a decision log, for programs that read it.
public enum DecisionFiles {
    /// Paths, oldest first; none when there is no such folder.
    public static func all(in folder: String) -> [String] { DecisionFolder.files(in: folder).map(\.path) }
}
