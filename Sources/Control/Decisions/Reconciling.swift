import Access
public import Border
import JSON
import Store
import Synchronization

/// What a control process does that takes the place of another under a data process that goes on.
extension ControlPlane {
    /// Sessions that are looked for in the store at once.
    private static let sessionsPerStep = 500
    private static let pauseSecondsMax: Int64 = 30
    /// A million a second for thirty thousand years.
    private static let numberMax: UInt64 = 1 << 60

    /// Goes on from what the data process has: what is numbered from here on is later than anything that it was told.
    ///
    /// - Parameters:
    ///   - sequence: the highest revocation that reached it.
    ///   - revision: the configuration that it has.
    public func resume(sequence: UInt64, revision: UInt64) {
        // It faces the network: a number that leaves no room for others is none of ours.
        guard sequence <= Self.numberMax, revision <= Self.numberMax else { return }
        revocations.resume(after: sequence)
        // Equal numbers mean equal configurations to the reactors: none may come twice.
        revisions.max(revision + 1, ordering: .relaxed)
        current.withLock { $0.snapshot.revision = max($0.snapshot.revision, revision + 1) }
    }

    /// Ends what the data process still uses and the store no longer has. It takes the store alone, so it does not wait
    /// until devices and verdicts are read.
    ///
    /// Whoever was here before may have ended a session in the store and died before it said so. Clients without a
    /// person are not known by their records' names here: they end, and are let in anew by their next request.
    ///
    /// A store that does not answer is asked again: nobody else would find what was ended in between, and what is open
    /// may outlast its record.
    ///
    /// - Parameter pause: waits so many seconds before the store is asked again.
    /// - Returns: the rest, to be decided anew.
    public func endGone(
        _ known: [KnownRecord],
        pause: (Int64) async -> Void = { try? await Task.sleep(for: .seconds($0)) }
    ) async -> [KnownRecord] {
        let people = known.filter { $0.client == .person }
        revocations.adopt(people)
        revocations.send(known.filter { $0.client != .person }.map { .endSession($0.session) })
        var living: Set<String> = []
        var start = 0
        var pauseSeconds: Int64 = 1
        while start < people.count {
            let step = people[start..<min(start + Self.sessionsPerStep, people.count)]
            let ids = Set(step.map(\.session))
            do throws(StoreError) {
                let found = Set(try await store.sessions(.ids(ids.sorted()), limit: ids.count).map(\.id))
                revocations.send(ids.subtracting(found).map { .endSession($0) })
                living.formUnion(found)
                start += Self.sessionsPerStep
                pauseSeconds = 1
            } catch {
                EventLog.write("store-failed", [("what", .string("\(error)"))])
                await pause(pauseSeconds)
                guard !Task.isCancelled else { return [] }
                pauseSeconds = min(Self.pauseSecondsMax, 2 * pauseSeconds)
            }
        }
        return people.filter { living.contains($0.session) }
    }

    /// Holds records that the data process uses against the policy in force, one after the other beside the traffic.
    public func decideAnew(_ known: [KnownRecord]) async {
        for record in known { await renew(record.tokenDigest, record.application) }
    }
}
