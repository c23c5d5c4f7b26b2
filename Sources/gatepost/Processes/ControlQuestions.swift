import Access
import Border
import CLinux
import DataPlane
import Glibc
import Synchronization

/// What the reactors ask, on its way to the control process that is there or will be there.
extension ControlLink {
    /// Sends the next questions, or keeps them, and waits for more or for another control process.
    func forward() {
        bell.clear()
        let open = state.withLock { state in state.connection.flatMap { $0.takesQuestions ? $0 : nil } }
        guard let open else {
            keepQuestions()
            return wait(forQuestions: state.withLock { $0.held.count < Self.heldMax })
        }
        let held = state.withLock { state in
            defer { state.held = [] }
            return state.held
        }
        for message in held { ask(message, open) }
        while open.takesQuestions, let message = inbox.receive() { ask(message, open) }
        wait(forQuestions: true)
    }

    /// Until a connection came, ended or paused, which rings; with questions, also until there is one.
    private func wait(forQuestions: Bool) {
        var polled = [pollfd(fd: bell.descriptor, events: Int16(POLLIN), revents: 0)]
        if forQuestions { polled.append(pollfd(fd: inbox.fd, events: Int16(POLLIN), revents: 0)) }
        _ = poll(&polled, nfds_t(polled.count), -1)
    }

    private func ask(_ message: ToControl, _ connection: ControlConnection) {
        if let ticket = message.ticket { state.withLock { $0.asked[ticket] = message } }
        guard !connection.send(.message(message)) else { return }
        // It did not go out whole, so nobody has begun to answer it.
        connection.end()
        let isOurs = message.ticket.map { ticket in
            state.withLock { $0.asked.removeValue(forKey: ticket) != nil }
        }
        if isOurs ?? true { hold(message) }
    }

    private func hold(_ message: ToControl) {
        state.withLock { state in
            if state.held.count < Self.heldMax { state.held.append(message) }
        }
        bell.ring()
    }

    /// Nobody is there to ask. A page that may be shown is shown; the rest waits for its own deadline at most.
    private func keepQuestions() {
        while state.withLock({ $0.held.count < Self.heldMax }), let message = inbox.receive() {
            if case .request(let request) = message, request.purpose == .recheck {
                deliver(.proceed(request.ticket), to: request.ticket.reactor)
            } else {
                state.withLock { $0.held.append(message) }
            }
        }
    }

    /// The control process went with these questions unanswered.
    func abandonAsked(_ connection: ControlConnection) {
        let asked = state.withLock { state in
            guard state.connection === connection else { return [Ticket: ToControl]() }
            defer { state.asked = [:] }
            return state.asked
        }
        for (ticket, message) in asked {
            // Sessions, and pages, which change nothing when they are made twice.
            guard !message.mayBeAskedAgain else {
                hold(message)
                continue
            }
            guard let answer = message.refused(.controlPlaneUnavailable) else { continue }
            deliver(answer, to: ticket.reactor)
        }
    }
}

extension ToControl {
    /// Whether to ask twice changes nothing.
    fileprivate var mayBeAskedAgain: Bool {
        guard case .request(let request) = self else { return true }
        switch request.purpose {
        case .signIn, .refused: return true
        case .recheck, .reserved, .keepForm: return false
        }
    }

    /// What whoever waits for an answer gets instead of one; nil: nobody waits.
    func refused(_ reason: Reason) -> ToReactor? {
        switch self {
        case .pullSession(let ticket, _, _), .pullService(let ticket, _, _), .pullBearer(let ticket, _, _, _),
            .pullMachine(let ticket, _, _), .pullCertified(let ticket, _, _, _):
            return .sessionUnavailable(ticket, reason)
        case .request(let request):
            guard request.purpose != .recheck else { return .proceed(request.ticket) }
            let text = "The sign-in service cannot answer at this moment; try again soon.\n"
            return .response(
                ControlResponse(
                    ticket: request.ticket, status: 503,
                    fields: [
                        Field("Content-Type", "text/plain; charset=utf-8"),
                        Field("Cache-Control", "no-store"),
                        Field("Retry-After", "2"),
                    ], body: Array(text.utf8), reason: reason))
        case .renew, .cut, .upstream: return nil
        }
    }
}
