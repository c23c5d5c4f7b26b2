import Access
public import Store

/// The streams of a posture service and what they said.
struct SignalState: Sendable {
    var streams: [SignalStream] = []
    var verdicts = SignalVerdicts()
    /// Carries effects out; set once, before anything is delivered.
    var handler: SignalStream.Handler?
    /// Devices whose provider is to be asked because of a signal.
    var confirmations = SignalConfirmations()

    init() {}

    init(
        _ connections: [ProviderConnection], parts: ConnectorParts, store: any GatewayStore
    ) throws(ConnectorFailure) {
        for connection in connections {
            streams.append(
                SignalStream(try SignalStreamSettings(connection), parts: parts, store: store))
        }
    }

    func stream(_ name: String) -> SignalStream? {
        streams.first { ExactText.isEqual($0.settings.name, name) }
    }
}

extension PostureService {
    /// Who carries out what signals do. To be called before `run` and before the first delivery: until then
    /// every delivery is answered as unavailable.
    ///
    /// - Parameter handler: returns when the effects are durable; a token is acknowledged only then, and
    ///   comes again when it throws.
    public func carryOutSignals(
        _ handler: @escaping @Sendable ([SignalEffect], SignalOrigin) async throws(StoreError) -> Void
    ) {
        signals.handler = handler
    }

    /// One pushed token (RFC 8935 §2).
    ///
    /// - Parameters:
    ///   - authorization: every `Authorization` field of the request; exactly the configured value is taken.
    ///   - body: the compact token, at most 64 KiB.
    public func receiveSignal(
        stream name: String, authorization: [String], contentType: String?, body: [UInt8]
    ) async -> SignalReceipt {
        guard let stream = signals.stream(name),
            let isKnown = stream.secrets.admits(authorization.first ?? "", nowSeconds: clock.nowSeconds())
        else { return .noSuchStream }
        guard isKnown, authorization.count == 1 else {
            return await stream.refuse(
                SignalRefusal(.authenticationFailed, "Authorization is not the value given for this stream"))
        }
        guard let handler = signals.handler else { return .unavailable("the gateway is starting") }
        let type = contentType?.lowercased().split(separator: ";").first?.filter { $0 != " " }
        guard type == "application/secevent+jwt" else {
            return await stream.refuse(
                SignalRefusal(.invalidRequest, "the content is not application/secevent+jwt"))
        }
        guard body.count <= SecurityEventValidator.bytesMax,
            let compact = String(validating: body, as: UTF8.self)
        else {
            return await stream.refuse(
                SignalRefusal(.invalidRequest, "the token is no text of at most 64 KiB"))
        }
        return await stream.receive(
            compact, interpret: interpreter(stream.settings), handler: handler)
    }

    /// Keeps every stream and polls those that are polled, for as long as the task lives.
    func followSignals() async {
        guard let handler = signals.handler else { return }
        let streams = signals.streams
        await withTaskGroup(of: Void.self) { group in
            for stream in streams {
                let interpret = interpreter(stream.settings)
                group.addTask {
                    await stream.follow(
                        subjects: { await self.streamSubjects() }, interpret: interpret, handler: handler)
                }
            }
        }
    }

    func interpreter(_ settings: SignalStreamSettings) -> SignalStream.Interpreter {
        { [weak self] event, token, criticalMembers in
            await self?.read(event, token, settings, criticalMembers)
                ?? SignalReading(outcome: .unmappedSubject)
        }
    }

    private func read(
        _ event: SignalEvent, _ token: SecurityEvent, _ settings: SignalStreamSettings,
        _ criticalMembers: Set<String>
    ) -> SignalReading {
        SignalReader(
            stream: settings.name, issuer: settings.issuer, criticalMembers: criticalMembers,
            nowSeconds: clock.nowSeconds(), device: { self.device(named: $0) }
        ).read(event, of: token)
    }

    /// Our device that bears an id of ours or of a provider; nil when none does, or when it names two.
    private func device(named id: String) -> String? {
        if let own = directory[id] { return own.isRevoked ? nil : own.id }
        let kinds: [DeviceKey.Kind] = [.intune, .entra, .falcon, .serial, .hardware]
        let owners = directory.owners(of: kinds.compactMap { DeviceKey($0, id) })
        return owners.count == 1 ? owners.first?.text : nil
    }

    // MARK: Verdicts

    /// Takes what a transmitter said of a device: the device is decided again at once, and its providers
    /// are asked to confirm (providers.md 14.3).
    ///
    /// - Throws: when it cannot be stored. It counts nevertheless until the process ends.
    public func take(_ signal: DeviceSignal) async throws(StoreError) {
        let keys = directory.keys(of: signal.deviceID).filter { $0.kind.isPinned }
        guard let record = signals.verdicts.take(signal, keys: keys) else { return }
        announceChange([ExactKey(signal.deviceID)])
        askForConfirmation(of: signal)
        try await store.upsert([VerdictRow(SignalVerdicts.stored(record))], of: record.stream)
    }

    func loadSignals() async throws(StoreError) {
        for stream in signals.streams {
            try await stream.load()
            signals.verdicts.load(try await store.verdicts(integration: stream.settings.name))
        }
    }

    /// What providers say of a device, as signals leave it, and what the streams themselves say.
    func underSignals(_ verdicts: [Verdict], deviceID: String, keys: [DeviceKey]) -> [Verdict] {
        guard !signals.streams.isEmpty else { return verdicts }
        let now = clock.nowSeconds()
        var all = verdicts
        for stream in signals.streams where !stream.heard.isSilent(nowSeconds: now) {
            let name = stream.settings.name
            guard let record = signals.verdicts.record(of: name, deviceID: deviceID, keys: keys) else {
                continue
            }
            let meant = stream.settings.confirmedBy
            let confirming = verdicts.filter { ExactText.contains(meant, $0.integration) }
            for index in verdicts.indices where ExactText.contains(meant, verdicts[index].integration) {
                all[index] = SignalVerdicts.overlaid(all[index], by: record, nowSeconds: now)
            }
            all.append(
                SignalVerdicts.verdict(
                    record, confirming: confirming, hasConfirming: !meant.isEmpty,
                    verifiedAtSeconds: stream.heard.seconds ?? 0, nowSeconds: now))
        }
        return all
    }

    func signalReports() async -> [IntegrationStatus] {
        var reports: [IntegrationStatus] = []
        for stream in signals.streams {
            reports.append(
                await stream.report(devices: signals.verdicts.count(of: stream.settings.name)))
        }
        return reports
    }
}
