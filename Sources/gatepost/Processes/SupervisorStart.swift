import Access
import CLinux
import Config
import DataPlane
import Foundation
import Glibc
import JSON

/// Who is missing is started, and meets the others.
extension Supervisor {
    func startMissing() {
        guard stopping == nil else { return }
        for (role, due) in startAt where due <= Self.nowMilliseconds {
            startAt[role] = nil
            guard let child = start(role) else {
                startAt[role] = Self.nowMilliseconds + 1_000
                continue
            }
            children.append(child)
            // The newcomer meets everybody of the other kind.
            for other in children where other.role != role && !(other.role == .control && other.isLeaving) {
                introduce(child, other)
            }
            tellProcesses()
        }
    }

    private func start(_ role: ChildProcess.Role) -> ChildProcess? {
        let plan: ChildProcess.Plan
        switch role {
        case .control:
            plan = .init(
                role: role, life: 0,
                arguments: ["--config", configPath, "--listening", Self.listening(config)])
        case .data:
            repeat {
                lastLife = lastLife == .max ? 1 : lastLife + 1
            } while children.contains {
                $0.life == lastLife
            }
            plan = .init(
                role: role, life: lastLife,
                arguments: [
                    "--listeners", "\(sockets[0].count)", "--workers", "\(sockets.count)",
                    "--life", "\(lastLife)",
                ],
                sockets: sockets.flatMap { $0 } + [quarantine, beats.descriptor])
            beats.clear(lastLife)
        }
        var child = ChildProcess.start(
            plan, user: config.gateway.user, atSeconds: Self.nowMilliseconds / 1_000)
        child?.isBeating = role == .data
        return child
    }

    /// Gives both a new pair of lanes: messages and revocations.
    ///
    /// Two that live and do not know each other would go on like that for ever. Whoever cannot be told ends; its
    /// successor, which comes later each time, is introduced anew.
    private func introduce(_ one: ChildProcess, _ other: ChildProcess) {
        let (data, control) = one.role == .data ? (one, other) : (other, one)
        let kind = Int32(SOCK_STREAM.rawValue)
        guard let messages = Leash.sockets(kind) else {
            return endByForce(one, "no sockets: \(String(cString: strerror(errno)))")
        }
        defer { for descriptor in [messages.0, messages.1] { close(descriptor) } }
        guard let revocations = Leash.sockets(kind) else {
            return endByForce(one, "no sockets: \(String(cString: strerror(errno)))")
        }
        defer { for descriptor in [revocations.0, revocations.1] { close(descriptor) } }
        if !data.leash.send(Leash.peer, [data.life], [messages.0, revocations.0]) {
            endByForce(data, "it cannot be told of the control process")
        }
        if !control.leash.send(Leash.peer, [data.life], [messages.1, revocations.1]) {
            endByForce(control, "it cannot be told of a data process")
        }
    }

    func becameReady(_ child: ChildProcess) {
        switch upgrade {
        case .awaitingControl where child.role == .control:
            upgrade = .awaitingData(life: lastLife == .max ? 1 : lastLife + 1)
            upgradeSince = Self.nowMilliseconds
            startAt[.data] = 0
        case .awaitingData(let life) where child.life == life:
            for index in children.indices where children[index].role == .data && children[index].life != life
            {
                children[index].isLeaving = true
                children[index].leash.send(Leash.retire)
                children[index].endBy(in: Int64(DataProcess.retireMilliseconds) + Self.endingMilliseconds)
            }
            upgrade = .none
            report(
                "upgraded",
                [
                    ("from", formerVersion.map { .string($0) } ?? .null),
                    ("to", .string(Gatepost.versionText)), ("data", .integer(Int64(child.pid))),
                ])
        case .none, .checking, .replacingControl, .awaitingControl, .awaitingData: break
        }
        announce()
    }

    private func announce() {
        guard !isAnnounced, children.filter(\.isReady).count >= 2 else { return }
        isAnnounced = true
        let ports = zip(config.gateway.listeners, sockets[0]).map {
            "\($0.address):\(DataPlaneEngine.port(of: $1))"
        }
        ConfigurationFile.report(
            "gatepost: serving on \(ports.joined(separator: ", ")) with \(sockets.count) reactors; "
                + "policy \(config.policy.identity.prefix(12))")
    }
}
