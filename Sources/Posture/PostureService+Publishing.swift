import Access
import Store

/// Our own verdict, written to the directories that an administrator switched on for it. Nobody's request
/// waits for it, and nothing that is read depends on whether it works.
extension PostureService {
    /// Seconds between two writes to one directory: a tenth of what the vendor lets through.
    static let publishSpacingSeconds = 0.1

    /// Whether anybody wants to be told.
    public nonisolated var publishes: Bool { connectors.contains { $0.publishing != nil } }

    /// Takes the standing of a device as the device policies have it now; what it was before need not be
    /// known.
    public func publish(_ state: PublishedState, deviceID: String) async {
        for connector in connectors where connector.publishing != nil {
            await offer(state, deviceID, to: connector)
        }
    }

    private func offer(_ state: PublishedState, _ deviceID: String, to connector: any Connector) async {
        let (key, device) = (ExactKey(connector.integration), ExactKey(deviceID))
        let row = Self.row(connector.integration, deviceID)
        if publications[key]?.remembers(device) != true {
            let kept: SyncState?
            do throws(StoreError) {
                kept = try await store.syncState(integration: row)
            } catch {
                // Nothing is offered then: writing the same again and again is what this look-up prevents.
                return
            }
            // Somebody else may have asked, and even written, meanwhile.
            if publications[key]?.remembers(device) != true {
                let last = PublishedState.read(kept?.deltaLink)
                publications[key, default: PublishQueue()].remember(
                    device, last.map { PublishQueue.Wish(objectID: $0.objectID, state: $0.state) },
                    atSeconds: kept?.completedAtSeconds ?? 0)
            }
        }
        guard let objectID = await objectID(of: deviceID, at: connector) else { return }
        publications[key, default: PublishQueue()].offer(
            device, PublishQueue.Wish(objectID: objectID, state: state), nowSeconds: clock.nowSeconds())
    }

    /// The directory's own id of a device, by the id that is pinned to its key and by nothing weaker: what
    /// is written must not be about somebody else's device.
    private func objectID(of deviceID: String, at connector: any Connector) async -> String? {
        let (key, device) = (ExactKey(connector.integration), ExactKey(deviceID))
        guard directory[deviceID]?.isRevoked == false else {
            // Its ids are free for another enrolment already; what was written before says which object it
            // was.
            return (publications[key]?.published[device] ?? nil)?.wish.objectID
        }
        guard directory.conflicts(of: deviceID).isEmpty,
            let pinned = directory.keys(of: deviceID).first(where: { $0.kind == .entra })
        else { return nil }
        let found = await cache.records(of: connector.integration, key: pinned).filter {
            $0.verdict.state != .notFound
        }
        return found.count == 1 ? found[0].verdict.nativeID : nil
    }

    /// What was written about a device, and what waits.
    public func publicationsOf(deviceID: String) async -> [Publication] {
        var all: [Publication] = []
        for connector in connectors where connector.publishing != nil {
            let row = Self.row(connector.integration, deviceID)
            let kept = try? await store.syncState(integration: row)
            all.append(
                Publication(
                    integration: connector.integration, state: PublishedState.read(kept?.deltaLink)?.state,
                    atSeconds: kept?.completedAtSeconds,
                    waiting: publications[ExactKey(connector.integration)]?.waiting(ExactKey(deviceID))))
        }
        return all
    }

    // MARK: Writing

    func followPublishing(_ connector: any Connector) async {
        while !Task.isCancelled {
            let wrote = await publishNext(to: connector)
            await clock.sleep(wrote ? Self.publishSpacingSeconds : 1)
        }
    }

    /// Writes the next news of a directory.
    ///
    /// - Returns: false when there was none that may be written now.
    @discardableResult
    func publishNext(to connector: any Connector) async -> Bool {
        let key = ExactKey(connector.integration)
        guard let permission = connector.publishing,
            let (device, wish) = publications[key]?.next(nowSeconds: clock.nowSeconds())
        else { return false }
        let outcome = await clock.within(Self.fetchSecondsMax) {
            await connector.publish(wish.state, objectID: wish.objectID)
        }
        let now = clock.nowSeconds()
        switch outcome {
        case .some(.none):
            publications[key]?.wrote(device, wish, nowSeconds: now)
            // A store that fails shows itself elsewhere; after the next start the same is written once more.
            try? await store.upsert(
                SyncState(
                    integration: Self.row(connector.integration, device.text), completedAtSeconds: now,
                    deltaLink: wish.state.text(objectID: wish.objectID)))
        case .some(.some(let failure)):
            publications[key]?.failed(
                device, wish, failure, permission: permission, nowSeconds: now, random: random())
        case .none:
            let late = ConnectorFailure(.timeout, "no answer within \(Int(Self.fetchSecondsMax)) s")
            publications[key]?.failed(
                device, wish, late, permission: permission, nowSeconds: now, random: random())
        }
        return true
    }

    /// A name that no integration can have.
    private static func row(_ integration: String, _ deviceID: String) -> String {
        "\(integration)#published/\(deviceID)"
    }
}
