import Foundation
import Glibc

/// The machine's files below a root folder: "/" for real, a fixture's folder in tests.
///
/// Only regular files are read, without waiting for anybody: a FIFO, a device or a folder is no answer. Below
/// another root than "/" nothing outside of it is read, wherever its symbolic links lead.
struct HostRoot: Sendable {
    /// The kernel's table of connections has about 150 bytes a line; everything else is smaller.
    static let bytesMax = 8 << 20
    static let lineBytesMax = 4 << 10

    let path: String
    /// Without symbolic links; empty for "/".
    private let realPath: String

    init(_ path: String = "/") {
        self.path = path.hasSuffix("/") ? String(path.dropLast()) : path
        realPath = self.path.isEmpty ? "" : Self.real(self.path) ?? "/nonexistent/root"
    }

    /// Whether this is the machine that we run on: commands tell about no other.
    var isThisMachine: Bool { path.isEmpty }

    /// Absolute path on this machine of an absolute path of the host.
    func location(_ absolute: String) -> String { path + absolute }

    /// The bytes of a regular file; nil when it is not there, not readable, or larger.
    func bytes(_ absolute: String, bytesMax: Int = HostRoot.bytesMax) -> [UInt8]? {
        guard let place = contained(absolute) else { return nil }
        let descriptor = open(place, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY)
        guard descriptor >= 0 else { return nil }
        defer { close(descriptor) }
        var info = stat()
        guard fstat(descriptor, &info) == 0, info.st_mode & S_IFMT == S_IFREG else { return nil }
        // Files of the kernel say that they are empty, so the size is only a reason to stop early.
        guard info.st_size <= bytesMax else { return nil }
        var bytes: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 64 << 10)
        while true {
            let count = Glibc.read(descriptor, &chunk, chunk.count)
            if count < 0 && errno == EINTR { continue }
            guard count >= 0 else { return nil }
            if count == 0 { return bytes }
            bytes += chunk.prefix(count)
            guard bytes.count <= bytesMax else { return nil }
        }
    }

    /// nil also when the bytes are no UTF-8: refused, not repaired.
    func text(_ absolute: String, bytesMax: Int = HostRoot.bytesMax) -> String? {
        bytes(absolute, bytesMax: bytesMax).flatMap { String(validating: $0, as: UTF8.self) }
    }

    /// The first line without surrounding blanks; nil when the file is missing or the line is empty.
    func line(_ absolute: String) -> String? {
        guard let first = text(absolute, bytesMax: Self.lineBytesMax)?.split(separator: "\n").first else {
            return nil
        }
        let trimmed = first.trimmingCharacters(in: .whitespaces)
        return trimmed.isEmpty ? nil : trimmed
    }

    /// nil when the folder cannot be read: not the same as empty.
    func names(_ folder: String) -> [String]? {
        guard let place = contained(folder) else { return nil }
        return try? FileManager.default.contentsOfDirectory(atPath: place).sorted()
    }

    /// Whether a file is there, as far as that can be found out.
    enum Presence { case present, absent, unknown }

    func presence(_ absolute: String) -> Presence {
        var info = stat()
        errno = 0
        if lstat(location(absolute), &info) == 0 { return .present }
        return errno == ENOENT || errno == ENOTDIR ? .absent : .unknown
    }

    func exists(_ absolute: String) -> Bool { status(absolute) != nil }

    /// Owner of a file; nil when it is not there.
    func owner(_ absolute: String) -> UInt32? { status(absolute)?.st_uid }

    /// Whether group or others may write to a file.
    func isWritableByOthers(_ absolute: String) -> Bool {
        status(absolute).map { $0.st_mode & 0o022 != 0 } ?? false
    }

    /// Last change in seconds since 1970; nil when it is not there.
    func changedAtSeconds(_ absolute: String) -> Int64? { status(absolute).map { Int64($0.st_mtim.tv_sec) } }

    /// What stat(2) says of what a path leads to; nil when it is not there or outside of the root.
    func status(_ absolute: String) -> stat? {
        guard let place = contained(absolute) else { return nil }
        var info = stat()
        return stat(place, &info) == 0 ? info : nil
    }

    /// Whether only root, or who we run as, can change what a path leads to: neither the file nor any folder
    /// or link on the way, as it is written and as it is resolved, may be another's or writable by others.
    func isTrusted(_ absolute: String) -> Bool { trustedPlace(absolute) != nil }

    /// Where a trusted path leads to, without links: what is opened or run there is what was looked at, whoever turns
    /// a link elsewhere in between.
    func trustedPlace(_ absolute: String) -> String? {
        guard let place = Self.real(location(absolute)), contained(absolute) != nil,
            Self.isOurs(place, below: realPath)
        else { return nil }
        // Nobody else may choose among trusted files either: every link on the way counts, not only the two ends.
        var current = location(absolute)
        for _ in 0..<Self.linksMax {
            guard Self.isOurs(current, below: path) else { return nil }
            guard let target = try? FileManager.default.destinationOfSymbolicLink(atPath: current) else {
                return place
            }
            let folder = current.lastIndex(of: "/").map { String(current[..<$0]) } ?? ""
            current = target.hasPrefix("/") ? location(target) : folder + "/" + target
        }
        return nil
    }

    /// As many as the kernel follows (path_resolution(7)).
    private static let linksMax = 40

    private static func isOurs(_ place: String, below base: String) -> Bool {
        var current = place
        while current.utf8.count > max(1, base.utf8.count) {
            var info = stat()
            guard lstat(current, &info) == 0, info.st_uid == 0 || info.st_uid == geteuid() else {
                return false
            }
            // A link has no permissions of its own: who may replace it is said by its folder.
            guard info.st_mode & S_IFMT == S_IFLNK || info.st_mode & 0o022 == 0 else { return false }
            guard let slash = current.lastIndex(of: "/") else { return false }
            current = String(current[..<slash])
        }
        return true
    }

    /// The target of a symbolic link as it is written; nil when it is none.
    func linkTarget(_ absolute: String) -> String? {
        try? FileManager.default.destinationOfSymbolicLink(atPath: location(absolute))
    }

    /// The last part of a symbolic link's target; nil when it is none.
    func linkName(_ absolute: String) -> String? {
        linkTarget(absolute)?.split(separator: "/").last.map(String.init)
    }

    /// Where a path lies; nil when links lead out of a root that is not "/".
    private func contained(_ absolute: String) -> String? {
        let place = location(absolute)
        guard !realPath.isEmpty else { return place }
        guard let real = Self.real(place) else { return nil }
        return real == realPath || real.hasPrefix(realPath + "/") ? real : nil
    }

    private static func real(_ path: String) -> String? {
        guard let resolved = realpath(path, nil) else { return nil }
        defer { free(resolved) }
        return String(validatingCString: resolved)
    }
}
