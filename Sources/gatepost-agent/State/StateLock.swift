import Glibc

extension StateFolder {
    /// Does something while no other process of the agent changes this folder: `enroll`, `leave` and a running
    /// agent's renewal are three programs.
    func locked<Value>(_ body: () throws(AgentError) -> Value) throws(AgentError) -> Value {
        let descriptor = try opened("lock")
        defer { close(descriptor) }
        while flock(descriptor, LOCK_EX) != 0 {
            guard errno == EINTR else {
                throw AgentError("\(path): cannot be locked", remedy: "check its file system")
            }
        }
        return try body()
    }

    /// Holds the folder for as long as this process lives. Two agents with one counter would look like a copied
    /// key to the gateway.
    func holdForThisProcess() throws(AgentError) {
        let descriptor = try opened("run.lock")
        guard flock(descriptor, LOCK_EX | LOCK_NB) == 0 else {
            close(descriptor)
            throw AgentError(
                "\(path): another agent runs with this state", remedy: "stop it, or use another --state-dir")
        }
    }

    private func opened(_ name: String) throws(AgentError) -> CInt {
        let descriptor = open(path + "/" + name, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0o600)
        guard descriptor >= 0 else {
            throw AgentError("\(path)/\(name): cannot be opened", remedy: "check free space and permissions")
        }
        return descriptor
    }
}
