import CLinux
import Config
import DataPlane
import Foundation
import Glibc
import JSON

/// Another program in the place of this one: the same process id, the same sockets, the same children; then new
/// children, and when they serve the old ones leave.
extension Supervisor {
    /// Where the next program finds what it is handed: JSON.
    static let handoverVariable = "GATEPOST_HANDOVER"

    /// How long the new program may look at the configuration.
    static let checkMilliseconds: Int64 = 30_000
    /// How long new processes may take to begin until another upgrade may replace them.
    static let stallMilliseconds: Int64 = 15_000

    /// Where this program was started from. The file may be another one by now: that is what an upgrade is.
    static let programPath: String = {
        let link = (try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")) ?? ""
        return link.hasSuffix(" (deleted)") ? String(link.dropLast(10)) : link
    }()

    /// First the new program looks at the configuration: one that cannot even do that must not take over.
    func beginUpgrade() {
        guard stopping == nil, isAnnounced, mayUpgrade else {
            return report("upgrade-refused", [("what", "a start, a stop or an upgrade is under way")])
        }
        let next = try? ConfigurationFile(path: configPath, readsFiles: false).loadOrReport()
        if let next, Self.listening(next) != Self.listening(config) {
            return report(
                "upgrade-refused", [("what", "gateway.listeners changed: restart the gateway instead")])
        }
        // What only a start can change must not change under way: the sockets, the number of processes, the user.
        if let next,
            next.gateway.hasTwoProcesses != config.gateway.hasTwoProcesses
                || next.gateway.user != config.gateway.user || next.gateway.workers != config.gateway.workers
        {
            let what = "gateway.processes, user or workers changed: restart the gateway instead"
            return report("upgrade-refused", [("what", .string(what))])
        }
        guard
            let pid = ChildProcess.spawn(Self.programPath, ["gatepost", "check", "--config", configPath], [])
        else { return report("upgrade-refused", [("what", .string("\(Self.programPath) cannot be run"))]) }
        stalled = upgrade
        upgrade = .checking(pid)
        upgradeSince = Self.nowMilliseconds
    }

    /// One that waits for processes which do not begin must not be in the way of the one that mends them.
    private var mayUpgrade: Bool {
        switch upgrade {
        case .none: true
        case .checking, .replacingControl: false
        case .awaitingControl, .awaitingData:
            Self.nowMilliseconds - upgradeSince >= Self.stallMilliseconds
        }
    }

    /// The check has ended.
    func checked(_ raw: Int32) {
        // What an upgrade before this one waited for is waited for again.
        upgrade = stalled
        stalled = .none
        defer { for child in children where child.isReady && !child.isLeaving { becameReady(child) } }
        guard raw == 0 else {
            return report(
                "upgrade-refused",
                [("what", "the new program does not take the configuration; nothing changed")])
        }
        let handed = JSONValue.object(
            JSONObject([
                ("version", .string(Gatepost.versionText)),
                ("sockets", .array(sockets.map { .array($0.map { .integer(Int64($0)) }) })),
                ("quarantine", .integer(Int64(quarantine))), ("beats", .integer(Int64(beats.descriptor))),
                ("children", .array(children.map(\.handover))), ("life", .integer(Int64(lastLife))),
                ("restarts_data", .integer(Int64(restarts[.data]?.count ?? 0))),
            ]))
        setenv(Self.handoverVariable, handed.serializedText(), 1)
        let kept = sockets.joined() + [quarantine, beats.descriptor] + children.map(\.leash.descriptor)
        for descriptor in kept { _ = fcntl(descriptor, F_SETFD, 0) }
        let arguments = ["gatepost", "serve", "--config", configPath]
        var words: [UnsafeMutablePointer<CChar>?] = arguments.map { strdup($0) } + [nil]
        execv(Self.programPath, &words)
        // Still here: nothing has changed.
        let problem = String(cString: strerror(errno))
        for word in words { free(word) }
        for descriptor in kept { _ = fcntl(descriptor, F_SETFD, FD_CLOEXEC) }
        unsetenv(Self.handoverVariable)
        report("upgrade-refused", [("what", .string("\(Self.programPath): \(problem)"))])
    }

    /// What the program before this one handed over; nil: there was none.
    ///
    /// Only a process that has become this program can have made these children; only then are they ours to wait for.
    static func adopted(configPath: String, config: ConfigSnapshot) -> Supervisor? {
        guard let text = getenv(handoverVariable).map({ String(cString: $0) }) else { return nil }
        unsetenv(handoverVariable)
        guard let value = try? JSONValue(parsing: Array(text.utf8)),
            let rows = value["sockets"]?.array, let children = value["children"]?.array
        else { return nil }
        let sockets = rows.map { ($0.array ?? []).compactMap { $0.integer.flatMap(Int32.init(exactly:)) } }
        guard let count = sockets.first?.count, count > 0 else { return nil }
        let handed = value["quarantine"]?.integer.flatMap(Int32.init(exactly:))
        guard let quarantine = handed ?? Quarantine.makeMemory() else { return nil }
        // A program before this one may have had none; its data processes give no signs.
        let signs = value["beats"]?.integer.flatMap(Int32.init(exactly:)).flatMap { Beats(adopting: $0) }
        guard let beats = signs ?? Beats.make() else { return nil }
        let supervisor = Supervisor(
            configPath: configPath, config: config, sockets: sockets, quarantine: quarantine, beats: beats)
        supervisor.children = children.compactMap(ChildProcess.init(handover:))
        supervisor.lastLife = value["life"]?.integer.flatMap(UInt8.init(exactly:)) ?? 0
        supervisor.formerVersion = value["version"]?.string
        supervisor.isAnnounced = true
        for descriptor in sockets.joined() + [quarantine, beats.descriptor]
            + supervisor.children.map(\.leash.descriptor)
        {
            _ = fcntl(descriptor, F_SETFD, FD_CLOEXEC)
        }
        supervisor.replaceControl()
        return supervisor
    }

    private func replaceControl() {
        upgrade = .awaitingControl
        upgradeSince = Self.nowMilliseconds
        for index in children.indices where children[index].role == .control {
            upgrade = .replacingControl
            children[index].isLeaving = true
            children[index].leash.send(Leash.stop)
            children[index].endBy(in: Int64(ControlProcess.answersMilliseconds) + Self.endingMilliseconds)
        }
    }
}
