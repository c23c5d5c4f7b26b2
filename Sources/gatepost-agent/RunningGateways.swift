import Fetch
import Foundation
import Synchronization

/// The gateways of a running agent, each with its gate and its renewals. What `enroll` and `leave` change in
/// the state folder counts here within seconds.
final class RunningGateways: Sendable {
    private struct Entry {
        var identity: DeviceIdentity
        var gate: AttestGate
        var renewal: Task<Void, Never>
    }

    /// A box for what threads find.
    private final class MadeEntries: Sendable {
        let found = Mutex<[String: Entry]>([:])
    }

    let gates = GatewayGates([])
    private let folders: GatewayFolders
    private let chip: String?
    private let clock: AgentClock
    private let log: EventLog
    private let make: @Sendable (DeviceIdentity) throws(AgentError) -> AttestGate
    private let entries = Mutex<[String: Entry]>([:])
    /// Held by the look at the folder that is under way.
    private let turn = Mutex(())
    /// What was said of a folder or file last.
    private let told = Mutex<[String: String]>([:])

    /// - Parameters:
    ///   - chip: where the security chip is today; nil: where it was at each enrolment.
    ///   - make: the gate of one gateway.
    init(
        folders: GatewayFolders, chip: String? = nil, clock: AgentClock, log: EventLog,
        make: @escaping @Sendable (DeviceIdentity) throws(AgentError) -> AttestGate
    ) {
        self.folders = folders
        self.chip = chip
        self.clock = clock
        self.log = log
        self.make = make
    }

    /// What is enrolled now, in the order of the folders' names.
    var enrolments: [Enrolment] {
        entries.withLock { entries in
            entries.sorted { $0.key < $1.key }.map { $0.value.identity.enrolment }
        }
    }

    /// Looks at the state folder. One damaged gateway keeps no other from being answered, and neither does one whose
    /// security chip hangs: keys are tried beside each other, while those that are known go on.
    ///
    /// - Returns: whether anything changed.
    @discardableResult
    func reload() throws(AgentError) -> Bool {
        let found = try folders.enrolled()
        // One look at a time, without `entries`: a chip may take seconds.
        return turn.withLock { _ in
            let known = entries.withLock { $0 }
            let kept = found.filter { folder in
                known[folder.path].map { Self.isCurrent($0.identity) } ?? false
            }
            let made = entries(of: found.filter { folder in !kept.contains { $0.path == folder.path } })
            var fresh = made
            for folder in kept { fresh[folder.path] = known[folder.path] }
            var hasChanged = !made.isEmpty
            for (path, entry) in known where fresh[path]?.gate !== entry.gate {
                entry.renewal.cancel()
                hasChanged = true
            }
            if hasChanged {
                entries.withLock { $0 = fresh }
                gates.replace(fresh.sorted { $0.key < $1.key }.map(\.value.gate))
            }
            tellStatements(fresh)
            return hasChanged
        }
    }

    /// One thread each: all of them together take as long as the slowest chip.
    private func entries(of folders: [StateFolder]) -> [String: Entry] {
        let made = MadeEntries()
        let group = DispatchGroup()
        for folder in folders {
            group.enter()
            let thread = Thread { [self] in
                defer { group.leave() }
                do throws(AgentError) {
                    let entry = try entry(folder)
                    made.found.withLock { $0[folder.path] = entry }
                    tell(folder.path, nil)
                } catch {
                    tell(folder.path, "event=gateway-unusable: \(error)")
                }
            }
            thread.start()
        }
        group.wait()
        return made.found.withLock { $0 }
    }

    /// Says a problem when it begins, and not at every look.
    private func tell(_ about: String, _ problem: String?) {
        let isNew = told.withLock { told in
            defer { told[about] = problem }
            return told[about] != problem
        }
        if isNew, let problem { log.say(problem, level: 4) }
    }

    private func tellStatements(_ entries: [String: Entry]) {
        let now = clock.nowSeconds()
        for (path, entry) in entries {
            let (problem, _) = StatementFile.state(in: entry.identity, nowSeconds: now)
            let file = path + "/" + StatementFile.name
            guard let problem else {
                tell(file, nil)
                continue
            }
            // An age that grows is no news.
            let isEnd = problem.hasPrefix("it ended ")
            tell(
                file,
                "event=statement-unusable gateway=\(entry.identity.enrolment.authOrigin): \(file): "
                    + (isEnd ? "it has ended" : problem))
        }
    }

    func stop() {
        entries.withLock { entries in
            for entry in entries.values { entry.renewal.cancel() }
        }
    }

    private func entry(_ folder: StateFolder) throws(AgentError) -> Entry {
        let identity = try DeviceIdentity(folder: folder, chip: chip)
        // A chip that does not answer is told now and not at the first device check.
        _ = try identity.key.sign([])
        let gate = try make(identity)
        let loop = RenewalLoop(identity: identity, clock: clock, log: log)
        return Entry(identity: identity, gate: gate, renewal: Task { await loop.run() })
    }

    /// Whether what is on the disk is still this device: another one was enrolled anew in its place.
    private static func isCurrent(_ identity: DeviceIdentity) -> Bool {
        guard let stored = try? identity.folder.read(Enrolment.fileName),
            let there = try? Enrolment(stored: stored)
        else { return false }
        return Array(there.deviceID.utf8) == Array(identity.enrolment.deviceID.utf8)
    }
}
