import Glibc
import JSON

/// Processes that end, by themselves, when told, or by force.
extension Supervisor {
    /// What a process may take beyond the time that it was given.
    static let endingMilliseconds: Int64 = 5_000

    // MARK: by force

    /// When somebody has to be ended who is still there, in monotonic milliseconds.
    var overdueTimes: [Int64] {
        var times = children.compactMap(\.overdueAtMilliseconds)
        if case .checking = upgrade { times.append(upgradeSince + Self.checkMilliseconds) }
        return times
    }

    func endOverdue() {
        let now = Self.nowMilliseconds
        for index in children.indices {
            guard let due = children[index].overdueAtMilliseconds, due <= now else { continue }
            children[index].overdueAtMilliseconds = nil
            endByForce(children[index], "it did not end when it had to")
        }
        guard case .checking(let pid) = upgrade, upgradeSince + Self.checkMilliseconds <= now else { return }
        // Its end, which says that the check failed, comes as the end of every check does.
        upgradeSince = now
        kill(pid, SIGKILL)
    }

    /// What it leaves behind is dealt with as after a crash.
    func endByForce(_ child: ChildProcess, _ what: String) {
        report(
            "process-ended-by-force",
            [
                ("process", .string(child.role.rawValue)), ("pid", .integer(Int64(child.pid))),
                ("what", .string(what)),
            ])
        kill(child.pid, SIGKILL)
    }

    // MARK: by themselves, or when told

    func reap() {
        var raw: Int32 = 0
        while case let pid = waitpid(-1, &raw, WNOHANG), pid > 0 {
            if case .checking(pid) = upgrade {
                checked(raw)
                continue
            }
            guard let index = children.firstIndex(where: { $0.pid == pid }) else { continue }
            let child = children.remove(at: index)
            if child.leash.descriptor >= 0 { close(child.leash.descriptor) }
            ended(child, raw)
        }
    }

    private func ended(_ child: ChildProcess, _ raw: Int32) {
        defer { tellProcesses() }
        if stopping != nil { return goOnStopping() }
        if child.isLeaving {
            if case .replacingControl = upgrade, child.role == .control {
                upgrade = .awaitingControl
                upgradeSince = Self.nowMilliseconds
                startAt[.control] = 0
            }
            return
        }
        let code = raw & 0x7f == 0 ? (raw >> 8) & 0xff : 0
        report(
            "process-ended",
            [
                ("process", .string(child.role.rawValue)), ("pid", .integer(Int64(child.pid))),
                ("signal", .integer(Int64(raw & 0x7f))), ("status", .integer(Int64(code))),
            ])
        // A gateway that never began has said why, and does not try again.
        guard isAnnounced || child.isReady else {
            status = code == 0 ? 1 : code
            return stop(SIGTERM)
        }
        let lived = Self.nowMilliseconds / 1_000 - child.startedAtSeconds
        let pause = restarts[child.role]?.died(afterSeconds: lived) ?? 0
        startAt[child.role] = Self.nowMilliseconds + pause
        // Its successor has another number than the one that was waited for.
        if child.role == .data, case .awaitingData = upgrade {
            upgrade = .awaitingData(life: lastLife == .max ? 1 : lastLife + 1)
        }
    }

    func stop(_ number: Int32) {
        guard stopping == nil else {
            for child in children { kill(child.pid, SIGKILL) }
            return
        }
        stopping = number
        startAt = [:]
        if isAnnounced { ConfigurationFile.report("gatepost: stopping; open requests may finish for 10 s") }
        // systemd's sockets go on without us: who comes meanwhile waits for the next start.
        if !ListenDescriptors.areOfSystemd {
            for socket in sockets.joined() { shutdown(socket, Int32(SHUT_RDWR)) }
        }
        for index in children.indices where children[index].role == .data {
            children[index].isLeaving = true
            children[index].leash.send(Leash.stop)
            children[index].endBy(in: Int64(Gateway.drainMilliseconds) + Self.endingMilliseconds)
        }
        goOnStopping()
    }

    /// Control last: what the data process has open may ask it until the end.
    private func goOnStopping() {
        guard !children.contains(where: { $0.role == .data }) else { return }
        for index in children.indices where !children[index].isLeaving {
            children[index].isLeaving = true
            children[index].leash.send(Leash.stop)
            children[index].endBy(in: Int64(ControlProcess.answersMilliseconds) + Self.endingMilliseconds)
        }
    }
}
