import Access
import Foundation
import Glibc
public import Signatures

/// The lists of revoked certificates of one integration, as their files were read last.
///
/// Of each issuer the newest list that was ever read counts, whatever becomes of the file: one that is replaced by
/// something unreadable, older or of another issuer takes no revocation back, and neither does a reload. A list holds
/// until its own end, and then devices are refused.
struct RevocationFiles: Sendable {
    /// What tells a replaced file from the one that was read.
    struct Stamp: Sendable, Hashable {
        var inode: UInt64
        var size: Int64
        var modifiedSeconds: Int64
        var modifiedNanoseconds: Int64
    }

    struct File: Sendable {
        var path: String
        var stamp: Stamp?
        /// What it held when it could be read last.
        var list: RevocationList?
        /// Why the file as it is now is not used; nil: it is.
        var problem: String?
    }

    let settings: RevocationSettings
    private(set) var files: [File]
    /// The newest list of each issuer.
    private var newest: [[UInt8]: RevocationList] = [:]

    /// The lists in use, of whichever issuer.
    var lists: [RevocationList] { Array(newest.values) }

    /// - Parameters:
    ///   - former: whose lists stay in use until something newer is read.
    ///   - kept: the same of the process before this one, where there is no former.
    init(
        _ settings: RevocationSettings, keeping former: RevocationFiles? = nil, kept: [RevocationList] = []
    ) {
        self.settings = settings
        newest = former?.newest ?? [:]
        for list in kept where former == nil { newest[list.issuer] = list }
        files = settings.paths.map { File(path: $0) }
    }

    /// Reads what changed.
    ///
    /// - Returns: paths whose list is another one now, and those that became unreadable.
    mutating func refresh(_ authority: EnrollmentAuthority) -> (changed: [String], failed: [File]) {
        var changed: [String] = []
        var failed: [File] = []
        for index in files.indices {
            let stamp = Self.stamp(of: files[index].path)
            guard stamp != files[index].stamp || (stamp == nil && files[index].problem == nil) else {
                continue
            }
            files[index].stamp = stamp
            do throws(SignatureError) {
                let list = try RevocationList(try Self.read(files[index].path), authority: authority)
                // An older list would take revocations back.
                if let held = newest[list.issuer], list.isOlder(than: held) {
                    throw SignatureError("it is older than the list that is in use")
                }
                newest[list.issuer] = list
                files[index].list = list
                files[index].problem = nil
                changed.append(files[index].path)
            } catch {
                files[index].problem = error.what + (newest.isEmpty ? "" : Self.heldRemark)
                failed.append(files[index])
            }
        }
        forgetForeign(authority)
        return (changed, failed)
    }

    /// Has every file read again by the next `refresh`, under other certificates; what is held stays.
    mutating func readAgain() {
        for index in files.indices { (files[index].stamp, files[index].problem) = (nil, nil) }
    }

    static let heldRemark = "; the last good list stays in use"
    /// Lists of issuers that are no longer configured: devices that they took must not come back by a reload, and
    /// reloads must not pile up lists.
    static let foreignMax = 8

    private mutating func forgetForeign(_ authority: EnrollmentAuthority) {
        guard newest.count > Self.foreignMax else { return }
        let own = Set(authority.issuers)
        let foreign = newest.values.filter { !own.contains($0.issuer) }
            .sorted { $0.thisUpdateSeconds > $1.thisUpdateSeconds }
        for list in foreign.dropFirst(Self.foreignMax) { newest[list.issuer] = nil }
    }

    /// Whether a path is free of revoked certificates; refused also when nobody can say.
    func check(_ links: [CertificateLink], nowSeconds: Int64) throws(PostureRefusal) {
        for link in links {
            guard let list = newest[link.issuer] else {
                throw PostureRefusal(
                    .certificateUntrusted,
                    "no revocation list of the issuer of certificate \(link.serialHex) could be read")
            }
            guard !list.serials.contains(link.serialHex) else {
                throw PostureRefusal(
                    .certificateRevoked, "certificate \(link.serialHex) is on a revocation list",
                    isAlert: true)
            }
            guard settings.allowsStale || list.isCurrent(nowSeconds: nowSeconds) else {
                throw PostureRefusal(
                    .certificateUntrusted,
                    "the revocation list of the issuer of certificate \(link.serialHex) has ended")
            }
        }
    }

    /// Whether a certificate is on a list, whoever its issuer is when that is not known. Short serial numbers are
    /// given again by other authorities, so they never match alone.
    func contains(_ serialHex: String, issuer: [UInt8]?) -> Bool {
        newest.values.contains { list in
            guard list.serials.contains(serialHex) else { return false }
            return issuer.map { $0 == list.issuer } ?? (serialHex.utf8.count >= 16)
        }
    }

    static func stamp(of path: String) -> Stamp? {
        var info = stat()
        guard stat(path, &info) == 0 else { return nil }
        return Stamp(
            inode: UInt64(info.st_ino), size: Int64(info.st_size),
            modifiedSeconds: Int64(info.st_mtim.tv_sec), modifiedNanoseconds: Int64(info.st_mtim.tv_nsec))
    }

    static func read(_ path: String) throws(SignatureError) -> [UInt8] {
        // Non-blocking, so that a pipe of that name is refused instead of waited for.
        let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
        guard descriptor >= 0 else {
            throw SignatureError("cannot be opened (\(String(cString: strerror(errno))))")
        }
        defer { close(descriptor) }
        var info = stat()
        guard fstat(descriptor, &info) == 0, info.st_mode & S_IFMT == S_IFREG else {
            throw SignatureError("is not a regular file")
        }
        var bytes: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 65_536)
        while bytes.count <= RevocationList.bytesMax {
            let count = Glibc.read(descriptor, &chunk, chunk.count)
            if count == 0 { return bytes }
            if count < 0 {
                if errno == EINTR { continue }
                throw SignatureError("cannot be read (\(String(cString: strerror(errno))))")
            }
            bytes += chunk[..<count]
        }
        throw SignatureError("is longer than \(RevocationList.bytesMax) bytes")
    }
}

/// Files with lists, for whoever follows some.
public enum RevocationListFile {
    /// What tells a replaced file from the one that was read.
    public struct Stamp: Sendable, Hashable {
        let stamp: RevocationFiles.Stamp
    }

    /// nil: there is no such file.
    public static func stamp(of path: String) -> Stamp? { RevocationFiles.stamp(of: path).map(Stamp.init) }

    /// - Throws: `SignatureError` for what is no regular file of at most `RevocationList.bytesMax`.
    public static func read(_ path: String) throws(SignatureError) -> [UInt8] {
        try RevocationFiles.read(path)
    }

    /// Files that hold no usable list, and why.
    public static func problems(
        _ settings: RevocationSettings, authority: EnrollmentAuthority
    ) -> [(path: String, problem: String)] {
        var files = RevocationFiles(settings)
        return files.refresh(authority).failed.map { ($0.path, $0.problem ?? "") }
    }
}
