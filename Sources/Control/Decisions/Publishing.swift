import Access
import Config
import Posture
import Store
import Synchronization

/// Our own verdict for directories that take it: what the device policies make of a device, whoever asks.
/// Their class knows nothing of applications and their owners' rules, because Conditional Access has its
/// own.
extension ControlPlane {
    /// Every device is looked at this often: verdicts also end by time, without any news.
    static let publishSweepSeconds: Int64 = 900
    /// Devices between two breaths of a sweep.
    private static let sliceDevices = 100

    /// Changed devices that are remembered; beyond that every device is looked at.
    private static let changedMax = 10_000

    /// Notes that a device's facts changed, for the next look: whoever follows changes has streams to cut.
    func noteForPublishing(_ deviceID: String) {
        guard services.posture.publishes else { return }
        upkeep.withLock { times in
            guard times.changedDevices.count < Self.changedMax else {
                times.publishedAtSeconds = nil
                return
            }
            times.changedDevices.insert(deviceID)
        }
    }

    /// Offers what was noted, and every device when it is time.
    func publishNews() async {
        let changed = upkeep.withLock { times in
            defer { times.changedDevices = [] }
            return times.changedDevices.sorted()
        }
        for device in changed { await publishStanding(device) }
        await publishAll(nowSeconds: nowSeconds())
    }

    func publishStanding(_ deviceID: String) async {
        let services = services
        guard services.posture.publishes else { return }
        let statement: AgentStatement?
        do throws(StoreError) {
            statement = try await newestStatement(deviceID)
        } catch {
            // What cannot be read is not known, and what is not known is not published.
            return
        }
        guard let facts = await services.posture.deviceFacts(id: deviceID, statement: statement) else {
            // Ended here: nobody vouches for it any more.
            return await services.posture.publish(PublishedState(isCompliant: false), deviceID: deviceID)
        }
        guard let standing = services.config.policy.standing(of: facts, atSeconds: nowSeconds()) else {
            return
        }
        // An expired statement is no word about now.
        let isManaged = statement.flatMap { $0.expiresAtSeconds > nowSeconds() ? $0.isManaged : nil }
        await services.posture.publish(
            PublishedState(isCompliant: standing, isManaged: isManaged), deviceID: deviceID)
    }

    /// The newest one of any session on the device.
    private func newestStatement(_ deviceID: String) async throws(StoreError) -> AgentStatement? {
        try await store.sessions(.device(id: deviceID), limit: 100).compactMap(\.statement)
            .max { $0.verifiedAtSeconds < $1.verifiedAtSeconds }
    }

    /// Looks at every device, when it is time.
    private func publishAll(nowSeconds now: Int64) async {
        guard services.posture.publishes else { return }
        let isDue = upkeep.withLock { times in
            let last = times.publishedAtSeconds
            let isDue = last.map { now - $0 >= Self.publishSweepSeconds || now < $0 } ?? true
            if isDue { times.publishedAtSeconds = now }
            return isDue
        }
        guard isDue else { return }
        for (index, device) in await services.posture.devices().enumerated() where !device.isRevoked {
            guard !Task.isCancelled else { return }
            await publishStanding(device.id)
            if index % Self.sliceDevices == 0 { await Task.yield() }
        }
    }
}
