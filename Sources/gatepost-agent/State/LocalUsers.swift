import Glibc

/// Users of this machine by their names.
enum LocalUsers {
    /// - Parameter name: as in passwd(5), or a number.
    static func identifier(_ name: String) throws(AgentError) -> UInt32 {
        if let number = UInt32(name), number != .max { return number }
        guard let entry = getpwnam(name) else {
            throw AgentError("there is no local user \(name)", remedy: "name one of: getent passwd")
        }
        return entry.pointee.pw_uid
    }

    /// Becomes the owner of the state folder, for good, when this process is root and the folder is somebody
    /// else's: files that root left in it could not be read by the agent, and root should not follow what an
    /// unprivileged user put there.
    static func become(ownerOf path: String) throws(AgentError) {
        var info = stat()
        guard geteuid() == 0, lstat(path, &info) == 0, info.st_uid != 0 else { return }
        let failed = AgentError(
            "cannot become the owner of \(path)", remedy: "run it as that user, for example with: setpriv")
        // With all groups of that user: the security chip belongs to one of them.
        if let entry = getpwuid(info.st_uid), let name = entry.pointee.pw_name {
            let group = entry.pointee.pw_gid
            guard initgroups(name, group) == 0, setgid(group) == 0 else { throw failed }
        } else {
            guard setgroups(0, nil) == 0, setgid(info.st_gid) == 0 else { throw failed }
        }
        guard setuid(info.st_uid) == 0, geteuid() == info.st_uid, setuid(0) != 0 else { throw failed }
    }
}
