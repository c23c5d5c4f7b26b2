import CLinux
import Foundation
import Glibc

/// What a process gives up before it reads a byte of anybody's.
struct Confinement {
    struct Failure: Error, CustomStringConvertible {
        var description: String
    }

    /// What the data process reads after its start: the system's authorities for upstreams, and OpenSSL's own files.
    private static let readFolders = ["/etc/ssl", "/etc/pki", "/usr", "/lib", "/lib64", "/dev"]

    /// The user that both planes run as; nil: the one who started the gateway.
    var user: String?
    /// The data process needs no file but those above, and nothing that only root may do.
    var closesFileSystem: Bool
    /// Dies with it, whatever happens.
    var parent: pid_t

    /// What ps(1) and top(1) show instead of "exe".
    static func name(_ name: String) {
        name.withCString { _ = gatepost_prctl(PR_SET_NAME, UInt(bitPattern: UnsafeRawPointer($0))) }
    }

    /// - Returns: what is on, in the words of the log.
    /// - Throws: `Failure` when the user cannot be taken. What the kernel lacks is said and is no failure.
    func apply() throws -> [String] {
        var words: [String] = []
        // While there is still the right to.
        if closesFileSystem { gatepost_drop_capability_bounds() }
        if let user { words.append(try become(user)) }
        // After the change of user, which takes it back (prctl(2), PR_SET_PDEATHSIG).
        let isBound = gatepost_prctl(PR_SET_PDEATHSIG, UInt(SIGKILL)) == 0
        guard isBound, getppid() == parent else { throw Failure(description: "the supervisor is gone") }
        var none = rlimit(rlim_cur: 0, rlim_max: 0)
        let isCoreless = setrlimit(__rlimit_resource_t(RLIMIT_CORE.rawValue), &none) == 0
        // Neither a core file nor another process of this user sees the keys in memory.
        if gatepost_prctl(PR_SET_DUMPABLE, 0) == 0, isCoreless { words.append("no-core-dumps") }
        if gatepost_prctl(PR_SET_NO_NEW_PRIVS, 1) == 0 { words.append("no-new-privileges") }
        if closesFileSystem {
            words.append(closeFileSystem())
            let failure = gatepost_drop_capabilities()
            words.append(
                failure == 0 ? "no-capabilities" : "capabilities (\(String(cString: strerror(failure))))")
        }
        var failure = gatepost_filter_system_calls()
        if failure == 0, closesFileSystem { failure = gatepost_filter_neighbours() }
        words.append(failure == 0 ? "seccomp" : "seccomp-off (\(String(cString: strerror(failure))))")
        return words
    }

    private func closeFileSystem() -> String {
        var names: [UnsafePointer<CChar>?] = Self.readFolders.map { UnsafePointer(strdup($0)) }
        defer { names.forEach { free(UnsafeMutablePointer(mutating: $0)) } }
        let failure = gatepost_close_file_system(&names, Int32(names.count))
        return failure == 0 ? "landlock" : "landlock-off (\(String(cString: strerror(failure))))"
    }

    private func become(_ name: String) throws -> String {
        guard let entry = getpwnam(name) else {
            throw Failure(
                description: "gateway.user: there is no user \(name); make it with: useradd --system")
        }
        let (uid, gid) = (entry.pointee.pw_uid, entry.pointee.pw_gid)
        if geteuid() == uid { return "user \(name)" }
        guard geteuid() == 0 else {
            throw Failure(
                description: "gateway.user: only root can become \(name); start as root or as \(name)")
        }
        // Groups first: without root nobody may change them.
        guard setgroups(0, nil) == 0, setgid(gid) == 0, setuid(uid) == 0, setuid(0) != 0 else {
            throw Failure(description: "gateway.user: \(name): \(String(cString: strerror(errno)))")
        }
        return "user \(name)"
    }
}
