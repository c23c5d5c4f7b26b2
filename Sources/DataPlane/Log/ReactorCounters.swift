import Synchronization

/// What a reactor counts. Order and raw values are internal; names are in `DataPlaneMetrics`.
enum Counter: Int, CaseIterable {
    case accepted, handshakes, handshakesResumed, handshakeFailures, requests, responses, refusals
    case requestsMalformed, sessionHits, sessionPulls, forgedCookies, parkedExpired, controlRequests
    case upstreamConnects, upstreamReuses, upstreamFailures, upstreamRetries, tunnels
    case upstreamRetriesRefused, upstreamEjections, upstreamProbes, upstreamProbesFailed
    case upstreamWaits, upstreamWaitsExpired, upstreamBusy
    case revocations, streamsCut, streamsDrained, streamsExpired, bytesDownstream, bytesUpstream
    case proxyHeadersRefused, connectionsRefused, deadlinesPassed, stalls, logLinesDropped,
        logLinesLost, configurationsRefused, turns
    case http2Connections, http2Streams, http2StreamsRefused, http2StreamsReset, http2Floods
    case http2FrameFloods, http2ResetFloods, http2ContinuationFloods, http2FieldFloods, http2StreamsShed
    case addressConnectionsRefused, addressHandshakesRefused, acceptPauses, descriptorsExhausted
    case slowClientsCut, connectionMemoryExceeded, addressConnectionsShed, connectionsShed
    case requestsQuarantined
    // Which bound it was (`gateway.limits`), where the others do not say so already.
    case handshakesExpired, firstRequestsExpired, headsExpired, bodiesExpired, idleExpired
    case upstreamConnectsExpired, upstreamHeadsExpired, upstreamsNotKept
    case headsTooLarge, fieldsTooMany, targetsTooLong
    case idleConnectionsDisplaced, parkedRefused, sessionsEvicted
    case certificatesRefusedUntrusted, certificatesRefusedExpired, certificatesRefusedRevoked
    case certificatesRefusedList, certificatesRefusedOther
    case upstreamStreamsRefused, upstreamProtocolErrors, trailersDropped
    // Levels rather than sums.
    case openConnections, openExchanges, parked, waitingForUpstream, openUpstreams, cachedSessions,
        bufferHolders, openStreams
}

/// The stages whose time is kept.
enum TimedStage: Int, CaseIterable {
    case handshake, walk, park, upstreamHead, request, cut
}

/// Counters and log-bucket histograms of one reactor: written by it alone, read by anybody.
///
/// Four buckets per power of two of nanoseconds: 19 % resolution from 1 ns to hours in 160 words per stage.
final class ReactorCounters: @unchecked Sendable {
    // Unchecked because the words are raw memory; each is an atomic that only the reactor's thread writes.
    static let bucketsPerStage = 160
    private let words: UnsafeMutablePointer<Atomic<UInt64>>
    private static let count = Counter.allCases.count + TimedStage.allCases.count * bucketsPerStage

    init() {
        words = .allocate(capacity: Self.count)
        for index in 0..<Self.count { (words + index).initialize(to: Atomic(0)) }
    }

    deinit {
        words.deinitialize(count: Self.count)
        words.deallocate()
    }

    /// A plain load and store: with one writer no locked instruction is needed.
    func add(_ counter: Counter, _ amount: UInt64 = 1) { bump(counter.rawValue, amount) }

    func set(_ counter: Counter, _ value: UInt64) {
        words[counter.rawValue].store(value, ordering: .relaxed)
    }

    func record(_ stage: TimedStage, _ nanoseconds: UInt64) {
        let base = Counter.allCases.count + stage.rawValue * Self.bucketsPerStage
        bump(base + Self.bucket(of: nanoseconds), 1)
    }

    func value(_ counter: Counter) -> UInt64 { words[counter.rawValue].load(ordering: .relaxed) }

    func buckets(_ stage: TimedStage) -> [UInt64] {
        let base = Counter.allCases.count + stage.rawValue * Self.bucketsPerStage
        return (0..<Self.bucketsPerStage).map { words[base + $0].load(ordering: .relaxed) }
    }

    private func bump(_ index: Int, _ amount: UInt64) {
        let word = words + index
        word.pointee.store(word.pointee.load(ordering: .relaxed) &+ amount, ordering: .relaxed)
    }

    static func bucket(of nanoseconds: UInt64) -> Int {
        guard nanoseconds >= 4 else { return Int(nanoseconds) }
        let power = 63 - nanoseconds.leadingZeroBitCount
        let quarter = Int(nanoseconds >> (UInt64(power) - 2)) & 3
        return min(bucketsPerStage - 1, (power - 1) * 4 + quarter)
    }

    /// The highest value that falls into a bucket.
    static func upperBound(ofBucket bucket: Int) -> UInt64 {
        guard bucket >= 4 else { return UInt64(bucket) }
        let power = UInt64(bucket / 4 + 1)
        return (UInt64(4 + bucket % 4 + 1) << (power - 2)) - 1
    }
}
