import Access
import Synchronization

/// A connector whose secrets can be replaced while it is in use (000.21): the same integration, asked with others.
///
/// What is under way goes on with what it began with; the next question uses the new ones. Nothing that is known of
/// devices belongs to the connector, so nothing of it is lost.
final class RotatingConnector: Connector {
    let integration: String
    let provider: String
    private let current: Mutex<any Connector>

    init(_ connector: any Connector) {
        integration = connector.integration
        provider = connector.provider
        current = Mutex(connector)
    }

    /// - Precondition: of the same integration and kind.
    func replace(with connector: any Connector) {
        precondition(
            ExactText.isEqual(connector.integration, integration)
                && ExactText.isEqual(connector.provider, provider),
            "\(connector.integration) in the place of \(integration)")
        current.withLock { $0 = connector }
    }

    private var connector: any Connector { current.withLock { $0 } }

    var pace: RefreshPace { connector.pace }
    var nativeKey: DeviceKey.Kind? { connector.nativeKey }
    var ownerAttribute: String? { connector.ownerAttribute }
    var matchesOwners: Bool { connector.matchesOwners }
    var publishing: String? { connector.publishing }
    var consent: GraphConsent? { connector.consent }

    func probe() async -> ConnectorFailure? { await connector.probe() }
    func sync() async -> SyncResult { await connector.sync() }
    func sync(known: [KnownDevice]) async -> SyncResult { await connector.sync(known: known) }
    func fetch(_ device: KnownDevice) async -> DeviceAnswer { await connector.fetch(device) }
    var devicesPerQuestionMax: Int { connector.devicesPerQuestionMax }
    func fetch(together devices: [KnownDevice]) async -> [DeviceAnswer] {
        await connector.fetch(together: devices)
    }
    func fetch(_ keys: [DeviceKey]) async -> DeviceAnswer { await connector.fetch(keys) }
    func changes(since position: String) async -> IncrementalResult {
        await connector.changes(since: position)
    }
    func devices(ofPerson person: String) async -> DeviceAnswer { await connector.devices(ofPerson: person) }
    func status() async -> ConnectorStatus { await connector.status() }
    func forgetToken() async { await connector.forgetToken() }
    func publish(_ state: PublishedState, objectID: String) async -> ConnectorFailure? {
        await connector.publish(state, objectID: objectID)
    }
}
