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

    let gates = GatewayGates([])
    private let folders: GatewayFolders
    private let chip: String?
    private let clock: AgentClock
    private let log: EventLog
    private let make: @Sendable (DeviceIdentity) throws(AgentError) -> AttestGate
    private let entries = Mutex<[String: Entry]>([:])

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

    /// Looks at the state folder. One damaged gateway keeps no other from being answered.
    ///
    /// - Returns: whether anything changed.
    @discardableResult
    func reload() throws(AgentError) -> Bool {
        let found = try folders.enrolled()
        return entries.withLock { entries in
            var fresh: [String: Entry] = [:]
            var hasChanged = false
            for folder in found {
                if let entry = entries[folder.path], Self.isCurrent(entry.identity) {
                    fresh[folder.path] = entry
                    continue
                }
                do throws(AgentError) {
                    fresh[folder.path] = try entry(folder)
                    hasChanged = true
                } catch {
                    log.say("event=gateway-unusable: \(error)", level: 4)
                }
            }
            for (path, entry) in entries where fresh[path]?.gate !== entry.gate {
                entry.renewal.cancel()
                hasChanged = true
            }
            entries = fresh
            if hasChanged { gates.replace(fresh.sorted { $0.key < $1.key }.map(\.value.gate)) }
            return hasChanged
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
