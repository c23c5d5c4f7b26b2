import Access
import Signatures

/// Keeping the stream at its transmitter as it is configured, and knowing that it works.
extension SignalStream {
    /// A stream is verified this often.
    static let verificationSeconds: Int64 = 900
    /// A verification event that takes longer has not come.
    static let verificationSecondsMax: Int64 = 120
    static let tickSeconds = 30.0

    /// For as long as the task lives.
    func follow(
        subjects: @escaping @Sendable () async -> [StreamSubject], interpret: @escaping Interpreter,
        handler: @escaping Handler
    ) async {
        await withTaskGroup(of: Void.self) { group in
            group.addTask {
                while !Task.isCancelled {
                    await self.keepUp()
                    await self.keepSubjects(subjects)
                    await self.clock.sleep(Self.tickSeconds)
                }
            }
            if settings.delivery == .poll {
                group.addTask { await self.followPolls(interpret: interpret, handler: handler) }
            }
        }
    }

    /// Finds, makes or corrects the stream, reads its state and asks for a verification, each when it is
    /// time.
    func keepUp() async {
        let now = clock.nowSeconds()
        if let awaited, now - awaited.sentAtSeconds > Self.verificationSecondsMax, !status.isDegraded {
            status.isDegraded = true
            health.note(
                ConnectorFailure(.timeout, "no verification event within 2 min"), nowSeconds: now)
        }
        guard now >= verificationDueSeconds else { return }
        // Also after a failure: not at every tick.
        verificationDueSeconds = now + 60
        let begun = generation
        do throws(ConnectorFailure) {
            criticalMembers = try await transmitter.discover().criticalMembers
            let stream = try await prepare()
            try await readState(stream)
            try await askForVerification(stream)
            guard begun == generation else { return writeAnew() }
            verificationDueSeconds = clock.nowSeconds() + interval(stream)
            if health.state != .configured { health.noteConfigured(nowSeconds: clock.nowSeconds()) }
        } catch {
            // Said of secrets that count no more.
            guard begun == generation else { return writeAnew() }
            isPrepared = isPrepared && error.kind != .notFound
            if error.kind == .notFound { configuration = nil }
            health.note(error, nowSeconds: clock.nowSeconds())
            verificationDueSeconds = clock.nowSeconds() + max(60, error.retryAfterSeconds ?? 60)
        }
    }

    /// What was written with former secrets may have got there last, also after whoever writes the new ones now.
    private func writeAnew() {
        generation += 1
        isPrepared = false
        verificationDueSeconds = .min
    }

    /// Not faster than the transmitter allows, and well inside the time after which it would take us for
    /// gone.
    private func interval(_ stream: StreamConfiguration) -> Int64 {
        let wanted = min(Self.verificationSeconds, stream.inactivitySeconds.map { max(60, $0 / 2) } ?? .max)
        return max(wanted, stream.verificationSecondsMin)
    }

    private func prepare() async throws(ConnectorFailure) -> StreamConfiguration {
        if isPrepared, let known = configuration {
            let read = try await transmitter.read(streamID: known.id)
            if isAsWanted(read) { return keep(read) }
        }
        let begun = generation
        let existing = try await find()
        let stream: StreamConfiguration
        if let existing {
            // The authorization that we gave cannot be read back, so it is written once by every process.
            stream = try await transmitter.update(streamID: existing.id) ?? existing
        } else {
            stream = try await transmitter.create()
        }
        isPrepared = begun == generation
        return keep(stream)
    }

    private func find() async throws(ConnectorFailure) -> StreamConfiguration? {
        if let id = settings.streamID { return try await transmitter.read(streamID: id) }
        if let known = configuration { return try await transmitter.read(streamID: known.id) }
        let all = try await transmitter.list()
        let ours = all.filter { $0.method == settings.delivery.method }.filter {
            settings.delivery == .poll || $0.endpointURL == settings.endpointURL
        }
        guard ours.count <= 1 else {
            throw ConnectorFailure(
                .configError, "the transmitter has \(ours.count) streams like this one; name one in stream-id"
            )
        }
        return ours.first
    }

    private func isAsWanted(_ stream: StreamConfiguration) -> Bool {
        stream.method == settings.delivery.method
            && (settings.delivery == .poll || stream.endpointURL == settings.endpointURL)
    }

    private func keep(_ stream: StreamConfiguration) -> StreamConfiguration {
        configuration = stream
        status.streamID = stream.id
        let delivered = Set(stream.eventsDelivered)
        status.missingEvents = SignalEvent.wanted.filter { !delivered.contains($0) }
        return stream
    }

    private func readState(_ stream: StreamConfiguration) async throws(ConnectorFailure) {
        guard let (state, reason) = try await transmitter.status(streamID: stream.id) else { return }
        status.state = state.rawValue
        status.stateReason = reason
        switch state {
        case .enabled: break
        // A transmitter pauses streams whose receiver it takes for gone, and holds their events.
        case .paused:
            try await transmitter.enable(streamID: stream.id)
            status.state = SignalEvent.StreamState.enabled.rawValue
        // Somebody switched it off there; that is not ours to undo.
        case .disabled:
            throw ConnectorFailure(
                .configError, "the stream is disabled at the transmitter: \(reason ?? "no reason given")")
        }
    }

    private func askForVerification(_ stream: StreamConfiguration) async throws(ConnectorFailure) {
        // The one before is still awaited: its event, when it comes late, is as good.
        if let awaited, clock.nowSeconds() - awaited.sentAtSeconds <= Self.verificationSecondsMax { return }
        let state = Base64URL.encode(Random.bytes(24))
        // Before it is sent: the event may be here sooner than the answer.
        awaited = (state, clock.nowSeconds())
        do throws(ConnectorFailure) {
            if try await !transmitter.verify(streamID: stream.id, state: state) { awaited = nil }
        } catch {
            awaited = nil
            throw error
        }
    }
}
