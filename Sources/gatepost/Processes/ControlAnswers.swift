import Border
import DataPlane
import Dispatch
import Glibc
import JSON
import Synchronization

/// What the control process says, on its way to the reactors.
extension ControlLink {
    /// How long an answer may wait for a reactor's full lane.
    private static let waitMilliseconds = 2_000

    func readRevocations(_ connection: ControlConnection) throws {
        try connection.revocations.readFrames(bytesMax: Frames.bytesMaxFromControl) { bytes in
            let revocation = try BinaryDecoding.value(Revocation.self, from: bytes)
            // What is open is cut first; what is remembered of it can wait.
            try reactors(for: revocation)?.revoke(revocation)
            state.withLock { state in
                state.records.apply(revocation.effect, nowSeconds: Int64(time(nil)))
                state.sequence = max(state.sequence, revocation.sequence)
            }
            connection.delivered(revocation.sequence)
            return true
        }
    }

    /// nil: there are none yet, and nobody has a session at them. A certificate counts from the first handshake on.
    ///
    /// - Throws: `BorderBreach` for more of them than can be kept: an administrator revokes them one by one.
    private func reactors(for revocation: Revocation) throws -> DataPlaneEngine? {
        let (engine, isKept) = state.withLock { state in
            guard state.engine == nil, case .revokeCertificate = revocation.effect else {
                return (state.engine, true)
            }
            guard state.early.count < Self.earlyMax else { return (nil, false) }
            state.early.append(revocation)
            return (nil, true)
        }
        guard isKept else {
            throw BorderBreach(
                "more than \(Self.earlyMax) certificates were revoked before there are reactors")
        }
        return engine
    }

    func readMessages(_ connection: ControlConnection) throws {
        var isGreeted = false
        var isTolerant = false
        try connection.messages.readFrames(bytesMax: Frames.bytesMaxFromControl) { bytes in
            let value = try BinaryDecoding.value(ToData.self, from: bytes, isTolerant: isTolerant)
            if case .greeting(let greeting) = value {
                guard !isGreeted else { throw BorderBreach("the control process greeted twice") }
                isTolerant = greeting.newest > BorderVersion.current
                isGreeted = BorderVersion.common(with: greeting) != nil
                // Between two versions that are far apart there is no breach: another data process is on its way.
                if !isGreeted {
                    ConfigurationFile.report("gatepost: the control process speaks another version")
                }
                return isGreeted
            }
            guard isGreeted else { throw BorderBreach("the control process spoke before it greeted") }
            return take(value, connection)
        }
    }

    private func take(_ value: ToData, _ connection: ControlConnection) -> Bool {
        switch value {
        case .greeting: return true
        case .configure(let number, let snapshot):
            return connection.send(.configured(number: number, failure: configure(snapshot)))
        case .message(let message, let reactor, let after):
            guard connection.waitForRevocations(upTo: after) else { return false }
            note(message)
            deliver(message, to: reactor)
            return true
        case .statusAsked(let number):
            guard let engine else { return true }
            return connection.send(
                .status(number: number, StatusOfReactors(engine.metrics()).value.serialized()))
        case .pause:
            connection.pause()
            return connection.send(.paused)
        }
    }

    private func note(_ message: ToReactor) {
        state.withLock { state in
            if let ticket = message.ticket { state.asked[ticket] = nil }
            if case .session(_, let record?) = message {
                state.records.keep(record, nowSeconds: Int64(time(nil)))
            }
        }
    }

    /// Into a reactor's lane, which the reactor empties at its next turn: nothing here could tell of that sooner.
    func deliver(_ message: ToReactor, to reactor: UInt16) {
        guard let engine, Int(reactor) < engine.reactorCount else { return }
        for _ in 0..<Self.waitMilliseconds {
            if engine.send(message, to: Int(reactor)) { return }
            usleep(1_000)
        }
    }

    /// - Returns: what is wrong with it; nil: it is in force, or something newer is.
    private func configure(_ snapshot: GatewaySnapshot) -> String? {
        // One that was on its way while a newer one was made, and came later.
        guard state.withLock({ $0.engine == nil || snapshot.revision >= $0.revision }) else { return nil }
        do {
            if let engine {
                while try !engine.broadcast(configuration: snapshot) { usleep(1_000) }
            } else {
                let engine = try make(snapshot)
                state.withLock { state in
                    // Before anything is accepted; and whoever finds the engine finds it running.
                    for revocation in state.early { engine.revoke(revocation) }
                    state.early = []
                    engine.start()
                    state.engine = engine
                }
                started.signal()
            }
            state.withLock { $0.revision = snapshot.revision }
            return nil
        } catch {
            if state.withLock({ $0.engine == nil }) { started.signal() }
            return "\(error)"
        }
    }
}
