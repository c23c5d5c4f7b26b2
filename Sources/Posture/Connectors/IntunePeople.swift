import Access
import JSON

/// A person's managed devices (002.12), for administrators who look for the reason why a device is not
/// found: it may be enrolled under another id, or nothing may be assigned to the person.
extension IntuneConnector {
    static let personBytesMax = 256

    var ownerAttribute: String? { connection.ownerAttribute }
    var matchesOwners: Bool { connection.matchesOwners }

    /// - Parameter person: a user principal name, or a user's object id.
    func devices(ofPerson person: String) async -> DeviceAnswer {
        guard (1...Self.personBytesMax).contains(person.utf8.count),
            // Dots alone would be a step up in the path.
            person.utf8.allSatisfy({ $0 > 0x20 && $0 != 0x7f }), person.contains(where: { $0 != "." })
        else { return .failed(ConnectorFailure(.configError, "that names nobody")) }
        var walk = PageWalk()
        do throws(ConnectorFailure) {
            try await Graph.walk(
                graph, from: "/v1.0/users/\(FormBody.encoded(person))/managedDevices?$select=\(fields)",
                waitSecondsMax: Self.fetchWaitSecondsMax, into: &walk
            ) { value in
                let now = clock.nowSeconds()
                return ManagedDevice(value).map { ($0.id, $0.record(of: connection, nowSeconds: now)) }
            }
            return .records(Array(walk.records))
        } catch {
            // Graph does not tell an unknown person from one without devices.
            return error.kind == .notFound ? .records([]) : .failed(error)
        }
    }
}
