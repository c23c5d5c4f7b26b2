import Border
import Identity
import JSON
import Posture
import Store

/// What becomes known of devices, carried out.
extension ControlPlane {
    /// Devices of one provider's answer whose sessions are read and decided together: one read for all of them, and
    /// the first are cut while the rest is still waiting.
    private static let devicesPerStep = 200

    /// Follows what becomes known of devices: of few and of many beside each other, so that a revocation or a signal
    /// does not wait until a whole synchronisation has been carried out.
    func followDevices() async {
        let posture = services.posture
        async let many: Void = follow(posture.bulkChanges)
        await follow(posture.changes)
        await many
    }

    /// What one answer of a provider changed is judged as a whole.
    private func follow(_ changes: AsyncStream<DeviceChange>) async {
        var batch: ChangeBatch?
        var devices: [String] = []
        for await change in changes {
            let cause = ChangeCause.device(change.deviceID)
            var open = batch ?? beginBatch(cause, eventNanoseconds: change.eventNanoseconds)
            devices.append(change.deviceID)
            noteForPublishing(change.deviceID)
            // The rest of an answer is in the stream already: nobody waits for a provider here.
            if change.followedBy == 0 || devices.count >= Self.devicesPerStep {
                await decideAnew(devices: devices, &open)
                devices = []
            }
            if change.followedBy == 0 { await finish(open) }
            batch = change.followedBy == 0 ? nil : open
        }
        guard var open = batch else { return }
        await decideAnew(devices: devices, &open)
        await finish(open)
    }

    /// A device's facts changed: every session on it is decided anew, and open streams follow.
    func deviceChanged(_ device: String, _ eventNanoseconds: UInt64) async {
        var batch = beginBatch(.device(device), eventNanoseconds: eventNanoseconds)
        await decideAnew(devices: [device], &batch)
        await finish(batch)
    }

    private func finish(_ batch: ChangeBatch) async {
        do throws(StoreError) {
            try await settle(batch)
        } catch {
            // What could not be read again keeps its record until that ends, at most 100 s.
            EventLog.write("store-failed", [("what", .string("\(error)"))])
        }
        changes.announce()
    }

    private func decideAnew(devices: [String], _ batch: inout ChangeBatch) async {
        for device in devices { decisions.changeBegins(.device(device)) }
        defer {
            for device in devices {
                decisions.changeEnds(.device(device), "device", atSeconds: nowSeconds())
            }
        }
        let named = Set(devices)
        await redecideMachines(eventNanoseconds: batch.eventNanoseconds) {
            $0.device.map(named.contains) ?? false
        }
        do throws(StoreError) {
            try await decideAnew(sessionsOf: devices[...], &batch)
            let beside = certified.sessions(on: devices)
            if !beside.isEmpty { try await decideAnew(sessions: beside, &batch) }
        } catch {
            // Whose sessions these are cannot be read now. The news may be bad, so what the devices have open ends;
            // the next request asks again and gets the store's own failure.
            for device in devices {
                EventLog.write(
                    "store-failed", [("what", .string("\(error)")), ("device_cut", .string(device))])
            }
            let beside = certified.sessions(on: devices).sorted()
            revocations.send(
                devices.map { .endDevice($0) } + beside.map { .endSession($0) },
                eventNanoseconds: batch.eventNanoseconds)
        }
    }

    private func decideAnew(
        sessionsOf devices: ArraySlice<String>, _ batch: inout ChangeBatch
    ) async throws(StoreError) {
        guard !devices.isEmpty else { return }
        // Before anything is read: what is revoked from here on is newer than what is decided of it.
        let sequence = revocations.sequence
        let found = try await store.sessions(.devices(ids: Array(devices)), limit: Sessions.listMax)
        if found.count >= Sessions.listMax, devices.count > 1 {
            // More than one listing holds: nobody is left out.
            let middle = devices.startIndex + devices.count / 2
            try await decideAnew(sessionsOf: devices[..<middle], &batch)
            return try await decideAnew(sessionsOf: devices[middle...], &batch)
        }
        let globals = found.filter { $0.kind == .global }
        let byID = Dictionary(globals.lazy.map { ($0.id, $0) }, uniquingKeysWith: { first, _ in first })
        try await decideAnew(
            globals: globals.map(\.id)[...], read: ReadSignIns(sequence: sequence, byID: byID), &batch)
    }
}
