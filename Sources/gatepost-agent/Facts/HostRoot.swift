import Foundation
import Glibc

/// The machine's files below a root folder: "/" for real, a fixture's folder in tests.
struct HostRoot: Sendable {
    /// The kernel's table of connections has about 150 bytes a line; everything else is tiny.
    static let bytesMax = 8 << 20

    let path: String

    init(_ path: String = "/") { self.path = path.hasSuffix("/") ? String(path.dropLast()) : path }

    /// Absolute path on this machine of an absolute path of the host.
    func location(_ absolute: String) -> String { path + absolute }

    /// The bytes of a file; nil when it is not there, not readable, or larger than 8 MiB.
    func bytes(_ absolute: String) -> [UInt8]? {
        guard let handle = FileHandle(forReadingAtPath: location(absolute)) else { return nil }
        defer { try? handle.close() }
        guard let data = try? handle.read(upToCount: Self.bytesMax + 1), data.count <= Self.bytesMax else {
            return nil
        }
        return Array(data)
    }

    func text(_ absolute: String) -> String? { bytes(absolute).map { String(decoding: $0, as: UTF8.self) } }

    /// The first line without surrounding blanks; nil when the file is missing or the line is empty.
    func line(_ absolute: String) -> String? {
        guard let first = text(absolute)?.split(separator: "\n").first else { return nil }
        let trimmed = first.trimmingCharacters(in: .whitespaces)
        return trimmed.isEmpty ? nil : trimmed
    }

    /// nil when the folder cannot be read: not the same as empty.
    func names(_ folder: String) -> [String]? {
        try? FileManager.default.contentsOfDirectory(atPath: location(folder)).sorted()
    }

    func exists(_ absolute: String) -> Bool {
        var info = stat()
        return stat(location(absolute), &info) == 0
    }

    /// Owner of a file; nil when it is not there.
    func owner(_ absolute: String) -> UInt32? {
        var info = stat()
        return stat(location(absolute), &info) == 0 ? info.st_uid : nil
    }

    /// Whether group or others may write to a file.
    func isWritableByOthers(_ absolute: String) -> Bool {
        var info = stat()
        return stat(location(absolute), &info) == 0 && info.st_mode & 0o022 != 0
    }

    /// Last change in seconds since 1970; nil when it is not there.
    func changedAtSeconds(_ absolute: String) -> Int64? {
        var info = stat()
        return stat(location(absolute), &info) == 0 ? Int64(info.st_mtim.tv_sec) : nil
    }

    /// The last part of a symbolic link's target; nil when it is none.
    func linkName(_ absolute: String) -> String? {
        guard let target = try? FileManager.default.destinationOfSymbolicLink(atPath: location(absolute))
        else {
            return nil
        }
        return target.split(separator: "/").last.map(String.init)
    }
}
