import Access
import Border
import Control

/// What data processes say, from the first word on.
extension DataProcesses {
    func follow(_ life: DataLife) throws {
        var conversation = DataConversation()
        try life.socket.readFrames(bytesMax: Frames.bytesMaxFromData) { bytes in
            let now = uptimeSeconds()
            guard let value = try conversation.take(bytes, uptimeSeconds: now) else {
                // Between two versions that are far apart there is no breach: another data process is on its way.
                ConfigurationFile.report("gatepost: data process \(life.number) speaks another version")
                return false
            }
            switch value {
            case .greeting:
                let own = try Frames.frame(
                    ToData.greeting(BorderGreeting()), bytesMax: Frames.bytesMaxFromControl)
                return life.messages.append(own)
            case .message(let message):
                guard message.ticket != nil || conversation.mayRemark(uptimeSeconds: now) else { return true }
                take(message, bytes: bytes.count, from: life, uptimeSeconds: now)
            case .state(let sequence, let revision):
                news(.joins(sequence: sequence, revision: revision))
                enter(life)
            case .known(let records, _): news(.knows(records))
            case .configured(let number, _), .status(let number, _):
                // Nobody answers what another was asked.
                guard state.look({ $0.asked[number].map { $0.life === life } ?? true }) else {
                    throw BorderBreach("it answered what another data process was asked")
                }
                answer(number, value)
            case .paused: state.change { $0.lives[life.number]?.isPaused = true }
            }
            return true
        }
    }

    private func take(_ message: ToControl, bytes: Int, from life: DataLife, uptimeSeconds now: UInt64) {
        let marked = message.marked(life: life.number)
        if let ticket = marked.ticket {
            let isTaken = state.change {
                $0.lives[life.number]?.waiting.add(ticket, bytes: bytes, uptimeSeconds: now)
            }
            guard isTaken ?? true else { return refuse(message, life) }
        }
        news(.asks(marked))
    }

    /// More waits than a sound data process asks: at once, so that nothing more is kept for it.
    private func refuse(_ message: ToControl, _ life: DataLife) {
        guard let ticket = message.ticket, let answer = message.refused(.overloaded) else { return }
        let after = state.look { $0.lives[life.number]?.revoked ?? 0 }
        let value = ToData.message(answer, reactor: ticket.reactor & 0xff, after: after)
        guard let frame = try? Frames.frame(value, bytesMax: Frames.bytesMaxFromControl) else { return }
        _ = life.messages.append(frame)
    }

    /// From here on every revocation and every configuration reaches it; the first one now.
    private func enter(_ life: DataLife) {
        // In one step: a configuration that is being tried is told to those who were here before, and one that was
        // taken is told to whoever comes.
        let newest = state.wait { state -> GatewaySnapshot? in
            guard let made = state.snapshot, !state.isConfiguring else { return nil }
            let current = made()
            state.lives[life.number] = JoinedLife(life: life)
            var newest = state.configured.map { $0.revision > current.revision ? $0 : current } ?? current
            // Certificates that were revoked since that one was made.
            newest.revokedSerials = current.revokedSerials
            return newest
        }
        guard let newest else { return }
        ask(life, { .configure(number: $0, newest) }) { answer in
            guard case .configured(_, let failure?) = answer else { return }
            ConfigurationFile.report("gatepost: the data process does not take the configuration: \(failure)")
        }
    }

    /// Asks every data process to keep its questions for the next control process, and waits until what was asked is
    /// answered, at most so long.
    func pause(milliseconds: Int) {
        let lives = state.look { $0.lives.values.map(\.life) }
        if let frame = try? Frames.frame(ToData.pause, bytesMax: Frames.bytesMaxFromControl) {
            for life in lives { _ = life.messages.append(frame) }
        }
        _ = state.wait(milliseconds: milliseconds) { state in
            state.lives.values.allSatisfy { $0.isPaused && $0.waiting.count == 0 }.whenTrue
        }
        // What was answered last is still on its way through the lane's thread.
        for life in lives { life.messages.flush(milliseconds: 1_000) }
    }
}
