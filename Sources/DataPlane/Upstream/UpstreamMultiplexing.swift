import Access
import Border
import CNghttp2
import Glibc
import HTTP

/// HTTP/2 connections to upstreams: read, written, watched, and ended.
extension Reactor {
    private static let readsPerVisitMax = 16
    /// A connection with streams that says nothing for so long is asked whether it lives.
    private var pingAfterMilliseconds: UInt64 { UInt64(limits.http2.pingAfterMilliseconds) }
    private var pingAnswerMilliseconds: UInt64 { UInt64(limits.http2.pingAnswerMilliseconds) }

    // MARK: Visits

    /// Reads what has come and marks whom it is for; they are served from the queue, output leaves at the turn's end.
    func multiplexUpstream(_ upstream: Int32) {
        guard let connection = upstreams[upstream].pointee.http2 else { return }
        let transport = transports + Int(upstream)
        connection.touch()
        let handle = upstreams.handle(upstream)
        for _ in 0..<Self.readsPerVisitMax {
            guard transport.mayRead else { return }
            upstreams[upstream].pointee.input.reserve(16_384, pool)
            guard let end = upstreams[upstream].pointee.input.end else { return }
            switch transport.read(end, upstreams[upstream].pointee.input.room) {
            case .bytes(let count):
                upstreams[upstream].pointee.input.commit(count)
                connection.pointee.asking?.heardMilliseconds = nowMilliseconds
                if connection.pointee.asking?.isPinged == true {
                    connection.pointee.asking?.isPinged = false
                    timers.set(upstream, at: nowMilliseconds + pingAfterMilliseconds)
                }
                guard feed(upstream, connection) else { return multiplexingFailed(upstream, .malformed) }
                if connection.pointee.asking?.isGreeted == true { greeted(upstream, connection) }
                // A health check ends with its answer, or without one.
                guard upstreams.isCurrent(handle) else { return }
                if upstreams[upstream].pointee.isProbe { continueProbe(on: upstream, connection) }
                guard upstreams.isCurrent(handle) else { return }
            case .wait:
                upstreams[upstream].pointee.input.release(pool)
                return
            case .end, .failed: return multiplexingFailed(upstream, .noAnswer)
            }
        }
        // More is there than one visit takes; no edge will say so again.
        timers.set(upstream, at: nowMilliseconds + 1)
    }

    /// - Returns: false when the upstream broke the protocol.
    private func feed(_ upstream: Int32, _ connection: HTTP2ConnectionPointer) -> Bool {
        guard let session = connection.pointee.session else { return false }
        let waiting = upstreams[upstream].pointee.input.bytes
        let result = nghttp2_session_mem_recv(session, waiting.baseAddress, waiting.count)
        upstreams[upstream].pointee.input.consume(waiting.count, pool)
        if connection.pointee.asking?.saidGoaway == true { beginLeaving(upstream, connection) }
        return result >= 0 && connection.pointee.asking?.isBroken == false
    }

    /// What a turn has for one upstream.
    func flushUpstream(_ upstream: Int32) {
        guard let connection = upstreams[upstream].pointee.http2 else { return }
        connection.pointee.isUnflushed = false
        guard let session = connection.pointee.session else { return }
        sendFrames(connection)
        guard !transports[Int(upstream)].isFailed else { return multiplexingFailed(upstream, .noAnswer) }
        noteGivenUp(upstream, connection, session)
        // nghttp2 no longer reads: it found something that no protocol allows, and has said so.
        let isOver = nghttp2_session_want_read(session) == 0 && nghttp2_session_want_write(session) == 0
        let isLeaving = connection.pointee.asking?.phase == .leaving
        guard connection.pointee.asking?.isBroken == false, !connection.pointee.abuse.isExceeded,
            !isOver || isLeaving
        else { return multiplexingFailed(upstream, .malformed) }
        guard !isLeaving || connection.pointee.streamCount > 0 else {
            return endInOrder(upstream, connection)
        }
        guard !isOver else { return endSession(upstream, connection, isBroken: false) }
        var stream = connection.pointee.firstStream
        while let current = stream {
            stream = current.pointee.next
            guard current.pointee.hasProgress else { continue }
            current.pointee.hasProgress = false
            let user = upstreams[current.pointee.slot].pointee.downstream
            if user >= 0, let stream = (transports + Int(user)).stream { giveBackWindow(stream) }
            wakeUser(of: current)
        }
        settle(upstream, connection)
    }

    /// From the moment on at which the upstream can have heard that a stream was given up, it has so long to heed it.
    private func noteGivenUp(
        _ upstream: Int32, _ connection: HTTP2ConnectionPointer, _ session: OpaquePointer
    ) {
        guard connection.pointee.asking?.gaveUpMilliseconds == .max,
            transports[Int(upstream)].pending.isEmpty, nghttp2_session_want_write(session) == 0
        else { return }
        connection.pointee.asking?.gaveUpMilliseconds = nowMilliseconds
    }

    /// It gave up by itself, or nobody needs it.
    private func endInOrder(_ upstream: Int32, _ connection: HTTP2ConnectionPointer) {
        sayGoaway(connection)
        closeUpstream(upstream)
    }

    // MARK: Deadlines

    private func settle(_ upstream: Int32, _ connection: HTTP2ConnectionPointer) {
        guard let side = connection.pointee.asking, side.phase == .ready || side.phase == .leaving else {
            return
        }
        let isIdle = connection.pointee.streamCount == 0
        guard isIdle != side.isIdle || timers.deadline(of: upstream) == TimerWheel.never else { return }
        connection.pointee.asking?.isIdle = isIdle
        // A health check has its own.
        guard !upstreams[upstream].pointee.isProbe else { return }
        timers.set(
            upstream,
            at: nowMilliseconds + (isIdle ? UInt64(limits.idleMilliseconds) : pingAfterMilliseconds))
    }

    func multiplexedDeadlinePassed(_ upstream: Int32) {
        guard let connection = upstreams[upstream].pointee.http2, let side = connection.pointee.asking else {
            return
        }
        guard side.phase == .ready || side.phase == .leaving, let session = connection.pointee.session else {
            if side.phase == .opening || side.phase == .leaving {
                counters.add(.deadlinesPassed)
                if side.phase == .opening { counters.add(.upstreamConnectsExpired) }
                multiplexingFailed(upstream, .connectTimeout)
            }
            return
        }
        if (transports + Int(upstream)).mayRead { return multiplexUpstream(upstream) }
        guard connection.pointee.streamCount > 0 else {
            counters.add(.deadlinesPassed)
            beginLeaving(upstream, connection)
            return endInOrder(upstream, connection)
        }
        let quiet = nowMilliseconds &- side.heardMilliseconds
        guard quiet >= pingAfterMilliseconds else {
            return timers.set(upstream, at: side.heardMilliseconds + pingAfterMilliseconds)
        }
        guard !side.isPinged else {
            counters.add(.deadlinesPassed)
            return multiplexingFailed(upstream, .noAnswer)
        }
        // Requests may be answered late, a PING may not (RFC 9113 §6.7): silence is a dead connection.
        connection.pointee.asking?.isPinged = true
        _ = nghttp2_submit_ping(session, UInt8(NGHTTP2_FLAG_NONE.rawValue), nil)
        connection.touch()
        timers.set(upstream, at: nowMilliseconds + pingAnswerMilliseconds)
    }

    // MARK: Ends

    /// The connection is of no more use: whoever waits for it tries elsewhere, whoever was answered whole reads on, and
    /// all others are told.
    func multiplexingFailed(_ upstream: Int32, _ fault: UpstreamFault) {
        guard let connection = upstreams[upstream].pointee.http2, let side = connection.pointee.asking,
            side.phase != .ended
        else { return }
        guard !upstreams[upstream].pointee.isProbe else { return probeEnded(upstream, fault) }
        let handle = upstreams.handle(upstream)
        let (endpoint, group) = (upstreams[upstream].pointee.endpoint, upstreams[upstream].pointee.group)
        if fault == .malformed { counters.add(.upstreamProtocolErrors) }
        let wasOpening = side.phase == .opening
        beginLeaving(upstream, connection)
        guard !wasOpening else {
            upstreamFailed(endpoint, group, fault, isConnect: true)
            let isLate = fault == .connectTimeout
            for user in users(of: connection) where downstreams.isCurrent(user) {
                tryElsewhere(
                    user.slot, otherwise: isLate ? 504 : 502,
                    isLate ? .upstreamTimeout : .upstreamUnavailable)
            }
            if upstreams.isCurrent(handle) { closeUpstream(upstream) }
            return
        }
        sendElsewhere(connection)
        guard upstreams.isCurrent(handle) else { return }
        // The word that says why, which nghttp2 may have for it.
        if fault == .malformed { sendFrames(connection) }
        endSession(upstream, connection, isBroken: fault == .malformed)
        if connection.pointee.streamCount == 0 { closeUpstream(upstream) }
    }

    /// Nothing comes of it any more.
    private func endSession(_ upstream: Int32, _ connection: HTTP2ConnectionPointer, isBroken: Bool) {
        connection.pointee.asking?.phase = .ended
        let session = connection.pointee.session
        connection.pointee.session = nil
        releaseFieldSection(connection)
        nghttp2_session_del(session)
        timers.set(upstream, at: TimerWheel.never)
        upstreams[upstream].pointee.input.release(pool)
        (transports + Int(upstream)).close()
        var stream = connection.pointee.firstStream
        while let current = stream {
            stream = current.pointee.next
            current.pointee.isForgotten = true
            if current.pointee.isRemoteEnded { continue }
            if isBroken { upstreams[current.pointee.slot].pointee.ending = .malformed }
            failed(current)
        }
    }

    /// The record ends, with all that is still on it.
    func endMultiplexing(of upstream: Int32, _ connection: HTTP2ConnectionPointer) {
        beginLeaving(upstream, connection)
        connection.pointee.asking?.phase = .ended
        let session = connection.pointee.session
        connection.pointee.session = nil
        // From here on it is no stream's business any more to end it.
        upstreams[upstream].pointee.http2 = nil
        while let stream = connection.pointee.firstStream { closeUpstream(stream.pointee.slot) }
        releaseFieldSection(connection)
        nghttp2_session_del(session)
        state.pointee.http2Upstreams -= 1
        connection.deinitialize(count: 1)
        connection.deallocate()
    }
}
