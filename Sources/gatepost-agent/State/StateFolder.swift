import Foundation
import Glibc

/// Something about the agent's own files or set-up, in words for the person at the machine.
struct AgentError: Error, CustomStringConvertible {
    var what: String
    var remedy: String

    init(_ what: String, remedy: String) {
        self.what = what
        self.remedy = remedy
    }

    var description: String { "\(what); \(remedy)" }
}

/// The agent's folder: private to its owner, every file replaced in one step.
struct StateFolder: Sendable {
    static let fileBytesMax = 256 << 10

    let path: String

    /// Where the state lives when no option says so.
    static func defaultPath(userID: UInt32, home: String?) -> String {
        userID == 0 ? "/var/lib/gatepost-agent" : (home ?? "/nonexistent") + "/.local/state/gatepost-agent"
    }

    /// Makes the folder, or checks that the one there is private: the device key lies in it.
    func prepare() throws(AgentError) {
        var info = stat()
        if stat(path, &info) != 0 {
            do {
                try FileManager.default.createDirectory(
                    atPath: path, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
            } catch {
                throw AgentError("\(path): cannot be made", remedy: "choose another folder with --state-dir")
            }
            return
        }
        guard info.st_mode & S_IFMT == S_IFDIR, info.st_uid == geteuid() else {
            throw AgentError(
                "\(path): is no folder of this user", remedy: "choose another one with --state-dir")
        }
        guard info.st_mode & 0o077 == 0 else {
            throw AgentError("\(path): others can read it", remedy: "run: chmod 700 \(path)")
        }
    }

    func read(_ name: String) throws(AgentError) -> [UInt8]? {
        let file = path + "/" + name
        var info = stat()
        guard stat(file, &info) == 0 else { return nil }
        guard info.st_uid == geteuid() else {
            throw AgentError(
                "\(file): belongs to another user", remedy: "run: chown --reference=\(path) \(file)")
        }
        guard info.st_mode & 0o077 == 0 else {
            throw AgentError("\(file): others can read it", remedy: "run: chmod 600 \(file)")
        }
        guard info.st_size <= Self.fileBytesMax, let data = FileManager.default.contents(atPath: file) else {
            throw AgentError("\(file): cannot be read", remedy: "enrol this device again")
        }
        return Array(data)
    }

    /// Removes a file; one that is not there is removed already.
    func remove(_ name: String) throws(AgentError) {
        guard unlink(path + "/" + name) == 0 || errno == ENOENT else {
            throw AgentError("\(path)/\(name): cannot be removed", remedy: "check permissions of \(path)")
        }
    }

    /// Writes a file beside the old one, to the disk, and then in its place: a power cut leaves one or the
    /// other.
    func write(_ name: String, _ bytes: [UInt8]) throws(AgentError) {
        let file = path + "/" + name
        let fresh = file + ".new"
        let failed = AgentError(
            "\(file): cannot be written", remedy: "check free space and permissions of \(path)")
        unlink(fresh)
        let descriptor = open(fresh, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw failed }
        var offset = 0
        while offset < bytes.count {
            let count = bytes[offset...].withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { break }
            offset += count
        }
        let isWritten = offset == bytes.count && fsync(descriptor) == 0
        close(descriptor)
        guard isWritten, rename(fresh, file) == 0 else {
            unlink(fresh)
            throw failed
        }
    }
}
