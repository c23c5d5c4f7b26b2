import Border
import Control
import DataPlane
import Foundation
import JSON
import Synchronization

/// The control plane's view of the reactors. It exists before them, because the first snapshot comes from the control
/// plane; what is sent before `connect` has nobody to reach.
final class Lanes: Reactors {
    /// How long an answer may wait for a full lane before the request's own deadline answers instead.
    static let waitMilliseconds = 2_000

    private let engine = LockedValue<DataPlaneEngine?>(nil)

    func connect(_ engine: DataPlaneEngine) { self.engine.set(engine) }

    func send(_ message: ToReactor, to reactor: Int) async {
        guard let engine = engine.get(), reactor < engine.reactorCount else { return }
        for _ in 0..<Self.waitMilliseconds {
            if engine.send(message, to: reactor) { return }
            try? await Task.sleep(for: .milliseconds(1))
        }
    }

    func revoke(_ revocation: Revocation) { engine.get()?.revoke(revocation) }

    func configure(_ snapshot: GatewaySnapshot) async throws(ControlFailure) {
        guard let engine = engine.get() else { return }
        do {
            while try !engine.broadcast(configuration: snapshot) {
                try await Task.sleep(for: .milliseconds(1))
            }
        } catch {
            throw ControlFailure(what: "\(error)")
        }
    }

    func status() -> JSONValue { engine.get().map { StatusOfReactors($0.metrics()).value } ?? .null }
}

/// One value behind a lock, for the few that cross threads at start and stop.
final class LockedValue<Value: Sendable>: Sendable {
    private let value: Mutex<Value>
    init(_ value: Value) { self.value = Mutex(value) }
    func get() -> Value { value.withLock { $0 } }
    func set(_ new: Value) { value.withLock { $0 = new } }
    func change(_ body: (inout Value) -> Void) { value.withLock { body(&$0) } }
}
