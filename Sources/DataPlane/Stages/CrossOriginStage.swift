import Access
import Border
import HTTP

/// Scripts of other origins: who may read refusals, whose preflights are answered, and what is said of answers.
extension Reactor {
    /// A CORS preflight (Fetch standard §4.8) at an application with rules of its own, answered before
    /// anybody is asked to sign in, because browsers send it without cookies. Any other OPTIONS is a request
    /// like all others.
    ///
    /// - Returns: nil when it is none.
    @inline(never)
    func preflight(_ slot: Int32, _ request: CanonicalRequest, _ route: Route) -> Step? {
        // The rules may be others than in the walk before.
        downstreams[slot].pointee.exchange.isPreflight = false
        guard let rules = route.crossOrigin, isPreflight(slot, request) else { return nil }
        guard let number = listed(slot, in: rules.origins) else {
            downstreams[slot].pointee.exchange.decision = .originNotAllowed
            return refuse(slot, 403, .originNotAllowed)
        }
        guard let answer = rules.preflights?[number] else {
            // Where the gateway answers there is no application to ask: policy decides about this one too.
            guard !isAnsweredHere(route) else { return nil }
            // What the connection's request before was limited to is nothing of this one's.
            if downstreams[slot].pointee.limits != nil { noteLimits(slot, nil, 0) }
            downstreams[slot].pointee.exchange.isPreflight = true
            return forward(slot, request, route, -1)
        }
        var head = HeadOutput(work.pointee.output)
        beginOwnResponse(slot, 204, into: &head)
        head.append(answer.span)
        return finishOwnResponse(slot, 204, &head, nil, 0)
    }

    /// As a browser writes it: one origin, one method, and no body. Whatever could be read in two ways is none.
    private func isPreflight(_ slot: Int32, _ request: CanonicalRequest) -> Bool {
        guard downstreams[slot].pointee.exchange.isBodyless, request.form == .origin,
            work.pointee.fields.onlyValue(.origin) != nil,
            let method = work.pointee.fields.onlyValue(.accessControlRequestMethod)
        else { return false }
        return !method.isEmpty
    }

    /// Notes whose script asks, while the request's head is there. Anew in every walk: a number that was noted means
    /// nothing under other rules.
    @inline(never)
    func noteCrossOrigin(_ slot: Int32, _ route: Route) {
        guard route.writesCrossOrigin, let rules = route.crossOrigin else {
            downstreams[slot].pointee.exchange.crossOrigin = .asSent
            return
        }
        downstreams[slot].pointee.exchange.crossOrigin =
            listed(slot, in: rules.origins).map { .origin(UInt8($0)) } ?? .nobodys
    }

    func writeCrossOriginAnswer(_ slot: Int32, into output: inout HeadOutput) {
        guard let rules = downstreams[slot].pointee.route?.crossOrigin else { return }
        switch downstreams[slot].pointee.exchange.crossOrigin {
        case .asSent: break
        case .nobodys: output.append("Vary: Origin\r\n")
        case .origin(let number):
            let lines = rules.answers[Int(number)]
            output.append(lines.span)
        }
    }

    /// Scripts of the own host and of listed origins may read why; an origin is never reflected unseen.
    func writeCrossOrigin(_ slot: Int32, _ status: Int, into head: inout HeadOutput) {
        guard status == 401 || status == 403 else { return }
        // What decides whether somebody gets this or a page.
        head.append("Vary: Origin, Cookie, Accept, Sec-Fetch-Mode, Sec-Fetch-Dest, Sec-Purpose\r\n")
        guard let reader = reader(slot) else { return }
        let origin = reader.origin
        head.append("Access-Control-Allow-Origin: ")
        head.append(origin.span)
        if reader.allowsCredentials { head.append("\r\nAccess-Control-Allow-Credentials: true") }
        head.append(
            "\r\nAccess-Control-Expose-Headers: Gatepost-Reason, Gatepost-Request-Id, WWW-Authenticate\r\n")
    }

    /// Whose scripts may read this refusal.
    private func reader(_ slot: Int32) -> (origin: [UInt8], allowsCredentials: Bool)? {
        if let origin = allowedOrigin(slot) { return (origin, true) }
        guard let rules = downstreams[slot].pointee.route?.crossOrigin,
            let number = listed(slot, in: rules.origins)
        else { return nil }
        return (rules.origins[number], rules.allowsCredentials)
    }

    /// The origin that the request's Origin field equals: the own one, or one of `origins`.
    func allowedOrigin(_ slot: Int32) -> [UInt8]? {
        guard let route = downstreams[slot].pointee.route else { return nil }
        return listed(slot, in: route.origins).map { route.origins[$0] }
    }

    /// The place of the request's only Origin in a list; compared byte for byte.
    private func listed(_ slot: Int32, in origins: [[UInt8]]) -> Int? {
        guard !downstreams[slot].pointee.input.isEmpty,
            let range = work.pointee.fields.onlyValue(.origin),
            range.end <= downstreams[slot].pointee.input.count
        else { return nil }
        let sent = downstreams[slot].pointee.input.bytes.span.extracting(range.indices)
        return origins.firstIndex { Plan.equal($0.span, sent) }
    }
}

/// Which `Access-Control-*` an answer carries.
enum CrossOriginAnswer: Equatable {
    /// The application's own.
    case asSent
    /// None: the request came from nobody that is listed.
    case nobodys
    /// Those of one listed origin.
    case origin(UInt8)
}

/// The rules of one application, as the lines that are sent.
final class CrossOrigin {
    let origins: [[UInt8]]
    /// For each origin the fields of the answer to its preflights; nil: the application answers them.
    let preflights: [[UInt8]]?
    /// For each origin the lines of all other answers.
    let answers: [[UInt8]]
    let allowsCredentials: Bool

    init(_ rules: CrossOriginRules) {
        precondition(rules.origins.count <= CrossOriginRules.originsMax, "\(rules.origins.count) origins")
        origins = rules.origins.map { Array($0.utf8) }
        allowsCredentials = rules.allowsCredentials
        let credentials = rules.allowsCredentials ? "Access-Control-Allow-Credentials: true\r\n" : ""
        func list(_ name: String, _ values: [String]) -> String {
            values.isEmpty ? "" : "Access-Control-\(name): \(values.joined(separator: ", "))\r\n"
        }
        let exposed = list("Expose-Headers", rules.responseFields)
        answers = rules.origins.map {
            Array("Access-Control-Allow-Origin: \($0)\r\n\(credentials)\(exposed)Vary: Origin\r\n".utf8)
        }
        let said =
            credentials + list("Allow-Methods", rules.methods) + list("Allow-Headers", rules.requestFields)
            + "Access-Control-Max-Age: \(rules.maxAgeSeconds)\r\n"
            + "Vary: Origin, Access-Control-Request-Method, Access-Control-Request-Headers\r\n"
        preflights =
            rules.preflight == .forward
            ? nil : rules.origins.map { Array("Access-Control-Allow-Origin: \($0)\r\n\(said)".utf8) }
    }
}

@available(*, unavailable) extension CrossOrigin: Sendable {}
