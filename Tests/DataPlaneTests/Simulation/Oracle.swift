import Access
import Border

@testable import DataPlane

/// What must be true whatever happens: every answer belongs to its request, and nothing is forwarded that policy forbids.
final class Oracle {
    private unowned let world: Simulation
    private var kernel: SimulatedKernel { world.kernel }

    init(_ world: Simulation) { self.world = world }

    // MARK: At an upstream

    /// A request has just been handed to the kernel for an upstream.
    func forwarded(_ request: ModelRequest) {
        switch request.kind {
        case .reserved, .malformed:
            kernel.fault("request \(request.id) of kind \(request.kind) was forwarded")
        case .plain, .tunnel, .events: break
        }
        world.cuts.forwarded(request)
        guard request.host == "wiki.test" else { return }
        guard let number = request.sessionNumber else {
            return kernel.fault("request \(request.id) was forwarded without a session")
        }
        let session = world.control.sessions[Int(number)]
        // It is applied at the beginning of the turn and holds for all of it.
        if let ended = session.endedInTurn, ended <= kernel.turn {
            kernel.fault(
                "request \(request.id) was forwarded in turn \(kernel.turn), after its end in turn \(ended)"
            )
        }
    }

    /// The upstream has read the whole head.
    func arrived(_ request: ModelRequest, _ reader: MessageReader) {
        let id = request.id
        kernel.trace("request \(id) is upstream")
        if let number = request.sessionNumber,
            let ended = world.control.sessions[Int(number)].endedInTurn, request.writtenInTurn >= ended
        {
            kernel.fault(
                "request \(id), written in turn \(request.writtenInTurn), came after its end in turn \(ended)"
            )
        }
        if request.host == "wiki.test", request.sessionNumber == nil {
            kernel.fault("request \(id) came upstream without a session")
        }
        if reader.startLine != "\(request.method) \(request.path) HTTP/1.1" {
            kernel.fault("request \(id) came as \(reader.startLine)")
        }
        let assertions = reader.fields["gatepost-assertion"] ?? []
        if assertions != (request.sessionNumber.map { ["token-\($0)"] } ?? []) {
            kernel.fault("request \(id) came as \(assertions)")
        }
        if reader.framing(isResponse: false) == nil { kernel.fault("request \(id) has two lengths upstream") }
        // Only what may be repeated is, and no oftener than is configured.
        let mayRepeat = request.bodyBytes == 0 && !request.isChunked && request.method != "POST"
        if request.timesAtUpstream > (mayRepeat ? 1 + UpstreamRules().retriesMax : 1) {
            kernel.fault("request \(id) came \(request.timesAtUpstream) times")
        }
    }

    // MARK: At the client

    func headReceived(_ request: ModelRequest, status: Int, _ reader: MessageReader) {
        if let reason = reader.field("gatepost-reason") {
            guard Reason(rawValue: reason) != nil else { return kernel.fault("reason \(reason)") }
        } else if reader.field("x-sim") != String(request.id) {
            kernel.fault("request \(request.id) got the answer of \(reader.field("x-sim") ?? "nobody")")
        }
    }

    /// A part of the body: already it must be the right one.
    func received(_ request: ModelRequest, _ reader: MessageReader) {
        guard reader.field("gatepost-reason") == nil, request.kind == .plain, request.script.fault == nil
        else {
            return
        }
        if !request.isAnswered(by: reader.body) {
            kernel.fault("request \(request.id) got bytes that are not its own")
        }
    }

    func answered(_ request: ModelRequest, status: Int, _ reader: MessageReader) {
        let reason = reader.field("gatepost-reason")
        if request.outcome != nil { kernel.fault("request \(request.id) has two answers") }
        request.outcome = .answered(status: status, reason: reason)
        kernel.trace("request \(request.id) is answered: \(status) \(reason ?? "")")
        world.cuts.answered(request, reason: reason)
        guard reason == nil else { return }
        if request.kind == .reserved {
            if reader.body != request.responseBody { kernel.fault("reserved \(request.id) got another body") }
            return
        }
        // The length of a body that no answer to HEAD has is nobody's fault.
        guard request.script.fault == nil || request.isHead else {
            return kernel.fault("request \(request.id): \(request.script.fault!) became a whole answer")
        }
        // An answer that goes wrong begins as it likes; to HEAD that beginning is all of it.
        guard request.script.fault == nil else { return }
        if status != expectedStatus(request) { kernel.fault("request \(request.id): \(status)") }
        guard request.kind == .plain else { return }
        let hasBody = !request.isHead && request.script.framing != .none
        if reader.body != (hasBody ? request.responseBody : []) {
            kernel.fault(
                "request \(request.id) got \(reader.body.count) bytes of \(request.script.bodyBytes) as a whole body"
            )
        }
    }

    func cut(_ request: ModelRequest) {
        request.outcome = .cut
        kernel.trace("request \(request.id) is cut")
    }

    // MARK: In the end

    private func expectedStatus(_ request: ModelRequest) -> Int {
        switch request.kind {
        case .tunnel: 101
        case .events, .reserved: 200
        case .plain: request.script.status
        case .malformed: 400
        }
    }

    /// Whoever was left alone by faults has exactly the answer that policy and upstream give.
    func judge(_ request: ModelRequest) {
        guard let outcome = request.outcome else {
            return kernel.fault("request \(request.id) never came to an end")
        }
        guard !world.mayBeCut(request) else { return }
        guard case .answered(let status, let reason) = outcome else {
            return kernel.fault(
                "request \(request.id) (\(request.kind)) was cut, and nothing had happened to it")
        }
        let expected: (Int, String?)
        if request.kind == .malformed {
            expected = (400, "request-malformed")
        } else if request.host == "wiki.test", request.sessionNumber == nil, request.kind != .reserved {
            expected = (401, "sign-in-required")
        } else {
            expected = (expectedStatus(request), nil)
        }
        if (status, reason) != expected {
            kernel.fault(
                "request \(request.id) (\(request.kind)) got \(status) \(reason ?? ""), not \(expected)")
        }
    }
}
