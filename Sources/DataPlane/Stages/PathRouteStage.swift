import Access
import HTTP

/// The routes of an application beside the proxied one, found on the canonical path before anybody is looked for.
///
/// From here on there is one path: the one that is forwarded is the one that policy judges. Where the gateway
/// answers by itself, it answers only after policy has let the request in.
extension Reactor {
    @inline(never)
    func takePathRoute(_ slot: Int32, _ request: CanonicalRequest, _ route: Route) -> Step {
        let head = downstreams[slot].pointee.input.bytes.span
        let path = (request.path.isInScratch ? work.pointee.scratch.bytes.span : head)
            .extracting(request.path.range.indices)
        guard let prepared = route.pathRoutes, let index = prepared.routes.index(for: path) else {
            return goUnrouted(slot, request, route)
        }
        work.pointee.pathRoute = index
        defer { work.pointee.pathRoute = -1 }
        guard prepared.routes.routes[index].isForwarded else { return go(slot, request, route) }
        let prefix = prepared.added[index]
        guard
            let judged = request.replacingPath(
                dropping: prepared.routes.strippedBytes(index), behind: prefix.span, head: head,
                scratch: &work.pointee.scratch)
        else { return refuse(slot, 414, .requestTooLarge) }
        // What is ours on the application's host is nobody's below a prefix either.
        guard !isReserved(slot, judged) else { return refuse(slot, 404, .routeNotFound) }
        rememberPath(slot, judged)
        return go(slot, judged, route)
    }

    /// A route that took the path before the request had to wait may be gone by now.
    @inline(never)
    func goUnrouted(_ slot: Int32, _ request: CanonicalRequest, _ route: Route) -> Step {
        rememberPath(slot, request)
        return go(slot, request, route)
    }

    /// Whether the request in this walk is answered by the gateway, once policy lets it in.
    func isAnsweredHere(_ route: Route) -> Bool {
        let index = work.pointee.pathRoute
        guard index >= 0, let prepared = route.pathRoutes else { return false }
        return !prepared.routes.routes[index].isForwarded
    }

    /// - Returns: nil when the request is to be forwarded.
    @inline(never)
    func answerPathRoute(_ slot: Int32, _ request: CanonicalRequest, _ route: Route, _ session: Int32)
        -> Step?
    {
        let index = work.pointee.pathRoute
        guard let prepared = route.pathRoutes, isAnsweredHere(route) else { return nil }
        if downstreams[slot].pointee.limits != nil,
            let step = enforceLimits(on: request, slot, route, session)
        {
            return step
        }
        noteRewriting(slot, route)
        if !downstreams[slot].pointee.exchange.isRequestComplete {
            downstreams[slot].pointee.endsAfterResponse = true
        }
        switch prepared.routes.routes[index].action {
        case .forward: return nil
        case .redirect(let status, _, let keepsRest, let keepsQuery):
            return redirect(slot, request, prepared, index, status, keepsRest, keepsQuery)
        case .answer(let status, let type, let body):
            return answer(slot, request, status, type, body)
        }
    }

    /// Scheme and host are the configuration's, and end before the first byte that a client chose: that is
    /// "/" or "?".
    private func redirect(
        _ slot: Int32, _ request: CanonicalRequest, _ prepared: PreparedPathRoutes, _ index: Int,
        _ status: Int, _ keepsRest: Bool, _ keepsQuery: Bool
    ) -> Step {
        var output = HeadOutput(work.pointee.output)
        beginOwnResponse(slot, status, into: &output)
        output.append("Location: ")
        let target = prepared.targets[index]
        output.append(target.span)
        let head = downstreams[slot].pointee.input.bytes.span
        if keepsRest {
            let matched = prepared.routes.routes[index].path
            let path = (request.path.isInScratch ? work.pointee.scratch.bytes.span : head)
                .extracting(request.path.range.indices)
            output.append(path, (matched == "/" ? 0 : matched.utf8.count)..<path.count)
        }
        if keepsQuery, let query = request.query {
            output.append("?")
            output.append(head, query.indices)
        }
        output.append("\r\n")
        return finishAnswer(slot, status, &output, [])
    }

    private func answer(
        _ slot: Int32, _ request: CanonicalRequest, _ status: Int, _ type: String, _ body: [UInt8]
    ) -> Step {
        if downstreams[slot].pointee.limits?.blocksDownloads == true,
            ResponseLimits.isDownload(
                contentType: type.utf8.span, disposition: Span(), bodyBytes: Int64(body.count))
        {
            return turnAway(slot, request, .restrictedDownload)
        }
        var output = HeadOutput(work.pointee.output)
        beginOwnResponse(slot, status, into: &output)
        if !body.isEmpty {
            output.append("Content-Type: ")
            output.append(type.utf8.span)
            output.append("\r\n")
        }
        return finishAnswer(slot, status, &output, body)
    }

    /// The fields that policy and configuration write into every answer of the application stand in these as well.
    private func finishAnswer(_ slot: Int32, _ status: Int, _ output: inout HeadOutput, _ body: [UInt8])
        -> Step
    {
        let limits = downstreams[slot].pointee.limits
        if let lines = limits?.responses.lines { output.append(lines.span) }
        let names = limits?.responses.names ?? .none
        if !names.contains("x-content-type-options") { output.append("X-Content-Type-Options: nosniff\r\n") }
        let changes = downstreams[slot].pointee.route?.responseChanges
        // Whether somebody gets it is policy's word, which may be another one tomorrow.
        if !names.contains("cache-control"), changes?.names.contains("cache-control") != true {
            output.append("Cache-Control: private, no-cache\r\n")
        }
        changes?.write(except: names, into: &output)
        writeCrossOriginAnswer(slot, into: &output)
        guard !output.isOverflowed else { return refuse(slot, 414, .requestTooLarge) }
        return body.withUnsafeBufferPointer {
            finishOwnResponse(slot, status, &output, $0.baseAddress, $0.count)
        }
    }

    /// The application may build its own addresses from what was taken away. Clients cannot send this field.
    @inline(never)
    func writeStrippedPrefix(_ route: Route, into output: inout HeadOutput) {
        let index = work.pointee.pathRoute
        guard let prepared = route.pathRoutes, prepared.routes.strippedBytes(index) > 0 else { return }
        output.append("X-Forwarded-Prefix: ")
        let prefix = prepared.routes.routes[index].path
        output.append(prefix.utf8.span)
        output.append("\r\n")
    }
}

/// The routes with the bytes that they write.
final class PreparedPathRoutes {
    let routes: PathRoutes
    /// For each route what stands in front of the forwarded path.
    let added: [[UInt8]]
    /// For each route the `Location` up to what is the client's.
    let targets: [[UInt8]]

    /// - Parameter own: the application's own origin.
    /// - Returns: nil when there are no routes.
    init?(_ routes: PathRoutes, own: String) {
        guard !routes.routes.isEmpty else { return nil }
        self.routes = routes
        added = routes.routes.map {
            if case .forward(_, let prefix) = $0.action { Array(prefix.utf8) } else { [] }
        }
        targets = routes.routes.map { route in
            guard case .redirect(_, let target, let keepsRest, _) = route.action else { return [] }
            var whole = target.hasPrefix("/") ? own + target : target
            if keepsRest, whole.hasSuffix("/") { whole.removeLast() }
            return Array(whole.utf8)
        }
    }
}

@available(*, unavailable) extension PreparedPathRoutes: Sendable {}
