import Access
import Border
import HTTP

/// The only place that makes responses out of failures and of the control plane's answers.
extension Reactor {
    /// Answers with a status and a reason as JSON, in the gateway's own name.
    ///
    /// - Parameter way: the stronger sign-in that would help.
    func refuse(_ slot: Int32, _ status: Int, _ reason: Reason, _ way: StepUpWay? = nil) -> Step {
        let connection = downstreams[slot]
        // Nothing may be said after a response has begun: the connection breaks instead.
        guard !connection.pointee.exchange.isResponseBegun else { return abandon(slot) }
        counters.add(.refusals)
        noteUpstreamFailure(slot, reason)
        releaseUpstream(slot, isReusable: false)
        if !connection.pointee.exchange.isRequestComplete || reason == .requestMalformed || status == 421 {
            connection.pointee.endsAfterResponse = true
        }
        connection.pointee.exchange.reason = reason
        if connection.pointee.exchange.isGRPC { return refuseCall(slot, status, reason) }
        var body = HeadOutput(UnsafeMutableRawBufferPointer(rebasing: work.pointee.output[16_384..<65_536]))
        writeRefusalBody(slot, reason, way, into: &body)
        var head = HeadOutput(UnsafeMutableRawBufferPointer(rebasing: work.pointee.output[0..<16_384]))
        beginOwnResponse(slot, status, into: &head)
        head.append("Content-Type: application/json\r\nCache-Control: no-store\r\nGatepost-Reason: ")
        head.append(reason.rawValue.utf8.span)
        head.append("\r\n")
        if reason == .upstreamBusy {
            writeRetryAfter(slot, into: &head)
        } else if status == 503 {
            head.append("Retry-After: 2\r\n")
        }
        if status == 401 { writeChallenge(slot, reason, way, into: &head) }
        writeCrossOrigin(slot, status, into: &head)
        return finishOwnResponse(
            slot, status, &head, work.pointee.outputBytes.map { $0 + 16_384 }, body.count)
    }

    /// Sends what the control plane answered.
    func answer(_ slot: Int32, _ response: ControlResponse) -> Step {
        let connection = downstreams[slot]
        connection.pointee.exchange.reason = response.reason
        guard (200...599).contains(response.status), response.fields.allSatisfy(Self.isSafe) else {
            return refuse(slot, 500, .controlPlaneUnavailable)
        }
        var head = HeadOutput(work.pointee.output)
        beginOwnResponse(slot, response.status, into: &head)
        for field in response.fields {
            head.append(field.name.utf8.span)
            head.append(": ")
            head.append(field.value.utf8.span)
            head.append("\r\n")
        }
        if let reason = response.reason {
            head.append("Gatepost-Reason: ")
            head.append(reason.rawValue.utf8.span)
            head.append("\r\n")
        }
        guard !head.isOverflowed else { return refuse(slot, 500, .controlPlaneUnavailable) }
        return response.body.withUnsafeBufferPointer {
            finishOwnResponse(slot, response.status, &head, $0.baseAddress, $0.count)
        }
    }

    func beginOwnResponse(_ slot: Int32, _ status: Int, into head: inout HeadOutput) {
        head.append("HTTP/1.1 ")
        head.append(decimal: Int64(status))
        head.append(" ")
        head.append(Self.phrase(status))
        head.append("\r\nDate: ")
        HTTPDate.write(nowSeconds, into: &head)
        head.append("\r\nGatepost-Request-Id: ")
        Hex.write(downstreams[slot].pointee.exchange.names.requestIDHigh, into: &head)
        Hex.write(downstreams[slot].pointee.exchange.names.requestIDLow, into: &head)
        head.append("\r\n")
    }

    func finishOwnResponse(
        _ slot: Int32, _ status: Int, _ head: inout HeadOutput, _ body: UnsafePointer<UInt8>?,
        _ bodyBytes: Int
    ) -> Step {
        let connection = downstreams[slot]
        let hasBody = status != 204 && status != 304
        if hasBody {
            head.append("Content-Length: ")
            head.append(decimal: Int64(bodyBytes))
            head.append("\r\n")
        }
        if connection.pointee.endsAfterResponse {
            head.append("Connection: close\r\n")
        } else if connection.pointee.exchange.isHTTP10 {
            head.append("Connection: keep-alive\r\n")
        }
        head.append("\r\n")
        let transport = transports + Int(slot)
        transport.pointee.isCorked = true
        if let start = work.pointee.outputBytes { transport.write(start, head.count) }
        var sent = head.count
        if hasBody, connection.pointee.exchange.method != .head, let body {
            transport.write(body, bodyBytes)
            sent += bodyBytes
        }
        transport.uncork()
        connection.pointee.exchange.status = UInt16(status)
        connection.pointee.exchange.bytesOut &+= UInt64(sent)
        return finishExchange(slot)
    }

    /// RFC 9110 §10.2.3. Who waited in vain, or found the queue full, may expect a place once as much time has passed.
    private func writeRetryAfter(_ slot: Int32, into head: inout HeadOutput) {
        let milliseconds = downstreams[slot].pointee.route?.upstreams.state.pointee.rules.waitingMilliseconds
        head.append("Retry-After: ")
        head.append(decimal: Int64(max(1, ((milliseconds ?? 0) + 999) / 1_000)))
        head.append("\r\n")
    }

    private func writeChallenge(
        _ slot: Int32, _ reason: Reason, _ way: StepUpWay?, into head: inout HeadOutput
    ) {
        // RFC 6750 §3.1: the code only where a token was sent.
        if reason == .bearerTokenInvalid {
            head.append("WWW-Authenticate: Bearer realm=\"gatepost\", error=\"invalid_token\"\r\n")
            return
        }
        if downstreams[slot].pointee.route?.readsBearerTokens == true {
            head.append("WWW-Authenticate: Bearer realm=\"gatepost\"\r\n")
        }
        head.append("WWW-Authenticate: Gatepost realm=\"gatepost\"")
        if let way {
            head.append(", ")
            head.append(way.challenge.utf8.span)
        }
        head.append("\r\n")
    }

    private func writeRefusalBody(
        _ slot: Int32, _ reason: Reason, _ way: StepUpWay?, into body: inout HeadOutput
    ) {
        body.append("{\"reason\":\"")
        body.append(reason.rawValue.utf8.span)
        if let route = downstreams[slot].pointee.route, route.application != nil {
            body.append("\",\"open_url\":\"")
            body.append(route.openURL.utf8.span)
            if let way {
                body.append("?")
                body.append(way.query.utf8.span)
            } else if reason == .postureRequired {
                body.append("?device-check=1")
            }
        }
        body.append("\"")
        if let certificate = shownCertificate(slot, reason) {
            body.append(",\"certificate\":")
            body.append(certificate.span)
        }
        body.append(",\"request_id\":\"")
        Hex.write(downstreams[slot].pointee.exchange.names.requestIDHigh, into: &body)
        Hex.write(downstreams[slot].pointee.exchange.names.requestIDLow, into: &body)
        body.append("\"}")
    }

    /// A line end inside of a field would begin another field.
    private static func isSafe(_ field: Field) -> Bool {
        !field.name.isEmpty
            && field.name.utf8.allSatisfy { $0 > 0x20 && $0 < 0x7F && $0 != UInt8(ascii: ":") }
            && field.value.utf8.allSatisfy { $0 >= 0x20 || $0 == 0x09 }
    }

    private static func phrase(_ status: Int) -> StaticString {
        if status == 200 { return "OK" }
        if status == 204 { return "No Content" }
        if status == 302 { return "Found" }
        if status == 303 { return "See Other" }
        if status == 401 { return "Unauthorized" }
        if status == 403 { return "Forbidden" }
        if status == 404 { return "Not Found" }
        if status == 421 { return "Misdirected Request" }
        if status == 502 { return "Bad Gateway" }
        if status == 503 { return "Service Unavailable" }
        if status == 504 { return "Gateway Timeout" }
        return status < 300 ? "Success" : status < 400 ? "Redirect" : status < 500 ? "Refused" : "Failure"
    }
}
