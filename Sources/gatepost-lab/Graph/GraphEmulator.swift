/// Microsoft Graph as far as Intune's compliance goes: tokens, managed devices, paging, throttling, errors.

import Foundation
import JSON
import Signatures
import Synchronization

final class GraphEmulator: Site {
    static let tenant = "72f988bf-0000-4000-8000-1a2b3c4d5e6f"
    static let clientID = "6d1f0c3a-0000-4000-8000-9b8c7d6e5f40"
    static let clientSecret = "intune-demo-secret"
    /// Of an administrator who signed in once.
    static let refreshToken = "graph-demo-refresh-token"

    let name = "graph"
    let address: String
    let clock: LabClock
    let faults = FaultSwitch<GraphFault>()
    let state: Mutex<GraphState>
    let directory: Mutex<DirectoryState>
    /// The certificate that is registered with the application, when one is.
    let certificate = Mutex<Certificate?>(nil)
    let consent = Mutex(ConsentState())

    init(port: UInt16, devices: [ManagedDevice], clock: LabClock, scheme: String = "http") {
        address = "\(scheme)://127.0.0.1:\(port)"
        self.clock = clock
        state = Mutex(GraphState(devices: devices))
        directory = Mutex(DirectoryState(devices))
    }

    func answer(_ exchange: Exchange) throws {
        directory.withLock { $0.writePushes(nowSeconds: exchange.nowSeconds) }
        let segments = exchange.head.path.split(separator: "/").map { Parameters.decode($0) ?? "" }
        if segments.first == "lab" {
            return try exchange.send(answerControl(exchange, Array(segments.dropFirst())))
        }
        if faults.fires(.down, at: exchange.head.path) != nil { throw DroppedConnection() }
        if let slow = faults.fires(.slow, at: exchange.head.path) {
            Thread.sleep(forTimeInterval: Double(slow.milliseconds) / 1000)
        }
        if segments.count == 4, segments[1...3] == ["oauth2", "v2.0", "token"] {
            return try exchange.send(token(exchange, tenant: segments[0]))
        }
        if let response = try consentEndpoint(exchange, segments) { return try exchange.send(response) }
        guard segments.first == "v1.0" else {
            return try exchange.send(
                error(exchange, 404, "ResourceNotFound", "Resource not found for the segment."))
        }
        let hasBody = ["POST", "PATCH"].contains(exchange.head.method)
        let body = hasBody ? try exchange.readBody(bytesMax: 1 << 20) : []
        if let refusal = admission(exchange) { return try exchange.send(refusal) }
        let route = Array(segments.dropFirst())
        if exchange.head.method == "POST", route == ["$batch"] {
            return try exchange.send(batch(exchange, body))
        }
        if exchange.head.method == "PATCH", route.count == 2, route[0] == "devices" {
            return try exchange.send(patchDevice(exchange, id: route[1], body))
        }
        guard exchange.head.method == "GET" else {
            return try exchange.send(error(exchange, 405, "BadRequest", "Only GET is supported here."))
        }
        try spoil(exchange, resource(exchange, route, query: exchange.head.query))
    }

    /// The resources themselves; also used for the parts of a batch.
    func resource(_ exchange: Exchange, _ route: [String], query: String) -> Response {
        guard let parameters = Parameters(parsing: query) else {
            return error(exchange, 400, "BadRequest", "The query is malformed or names an option twice.")
        }
        if let refusal = permissionRefusal(exchange, route, method: "GET") { return refusal }
        if let found = directoryResource(exchange, route, parameters) { return found }
        switch route.count {
        case 4
        where route[..<2] == ["deviceManagement", "managedDevices"]
            && route[3] == "deviceCompliancePolicyStates":
            return policyStates(exchange, id: route[2])
        case 2 where route == ["deviceManagement", "managedDevices"]:
            return list(exchange, parameters, user: nil)
        case 2 where route == ["deviceManagement", "managedDeviceOverview"]: return overview(exchange)
        case 3 where route == ["deviceManagement", "managedDevices", "$count"]:
            return .text(String(state.withLock { $0.devices.count }))
        case 3 where route[..<2] == ["deviceManagement", "managedDevices"]:
            return single(exchange, parameters, id: route[2], user: nil)
        case 3 where route[0] == "users" && route[2] == "managedDevices":
            return list(exchange, parameters, user: route[1])
        case 4 where route[0] == "users" && route[2] == "managedDevices":
            return single(exchange, parameters, id: route[3], user: route[1])
        default:
            return error(exchange, 404, "ResourceNotFound", "Resource not found for the segment.")
        }
    }

    /// Throttling first, then who asks, then what they may: a throttled request is not looked at any further.
    private func admission(_ exchange: Exchange) -> Response? {
        throttling(exchange, path: exchange.head.path) ?? authorization(exchange)
    }

    /// What comes before anybody looks at a call, or at one part of a batch.
    func throttling(_ exchange: Exchange, path: String) -> Response? {
        let isAdmitted = state.withLock { $0.admitRequest(nowSeconds: exchange.nowSeconds) }
        if let setting = faults.fires(.throttle, at: path) {
            return throttled(exchange, "\(setting.retryAfterSeconds)")
        }
        if let setting = faults.fires(.throttleDate, at: path) {
            let until = exchange.nowSeconds + Int64(setting.retryAfterSeconds)
            return throttled(exchange, Timestamp.httpDate(until))
        }
        if let setting = faults.fires(.throttleEpoch, at: path) {
            return throttled(exchange, "\(exchange.nowSeconds + Int64(setting.retryAfterSeconds))")
        }
        if let setting = faults.fires(.throttleEpochMilliseconds, at: path) {
            let until = exchange.nowSeconds + Int64(setting.retryAfterSeconds)
            return throttled(exchange, "\(until * 1_000)")
        }
        if faults.fires(.throttleSilent, at: path) != nil { return throttled(exchange, nil) }
        if !isAdmitted { return throttled(exchange, "\(GraphState.windowSeconds)") }
        return failure(exchange, path: path)
    }

    private func failure(_ exchange: Exchange, path: String) -> Response? {
        if let setting = faults.fires(.fail, at: path) {
            return error(exchange, setting.status, "UnknownError", "Told to fail.")
        }
        if faults.fires(.serverError, at: path) != nil {
            return error(exchange, 500, "InternalServerError", "Something went wrong.")
        }
        if faults.fires(.badGateway, at: path) != nil {
            return .html("<h1>502 Bad Gateway</h1>", status: 502)
        }
        if faults.fires(.gatewayTimeout, at: path) != nil { return .html("<h1>504</h1>", status: 504) }
        guard let setting = faults.fires(.unavailable, at: path) else { return nil }
        var response = error(
            exchange, 503, "serviceNotAvailable", "The service is temporarily unavailable.")
        response.fields.append(("Retry-After", "\(setting.retryAfterSeconds)"))
        return response
    }

    private func authorization(_ exchange: Exchange) -> Response? {
        let field = exchange.head.field("authorization") ?? ""
        let token = field.hasPrefix("Bearer ") ? String(field.dropFirst(7)) : ""
        guard state.withLock({ $0.accepts(token: token, nowSeconds: exchange.nowSeconds) }) else {
            var response = error(
                exchange, 401, "InvalidAuthenticationToken",
                "Access token is missing, unknown or has expired.")
            response.fields.append(("WWW-Authenticate", "Bearer realm=\"\", error=\"invalid_token\""))
            return response
        }
        if faults.fires(.claimsChallenge, at: exchange.head.path) != nil {
            var response = error(exchange, 401, "InvalidAuthenticationToken", "Continuous access evaluation.")
            let claims = Base64.encode(Array("{\"access_token\":{\"nbf\":{\"essential\":true}}}".utf8))
            let challenge = "Bearer realm=\"\", error=\"insufficient_claims\", claims=\"\(claims)\""
            response.fields.append(("WWW-Authenticate", challenge))
            return response
        }
        guard faults.fires(.missingScope, at: exchange.head.path) == nil else {
            return error(
                exchange, 403, "Forbidden", "Application is not authorized to perform this operation.")
        }
        return nil
    }

    private func throttled(_ exchange: Exchange, _ retryAfter: String?) -> Response {
        var response = error(exchange, 429, "TooManyRequests", "Too many requests; try again later.")
        if let retryAfter { response.fields.append(("Retry-After", retryAfter)) }
        return response
    }

    // MARK: answers

    /// The fields that every answer of Graph carries.
    func identityFields(_ exchange: Exchange) -> [(String, String)] {
        let requestID = UUID().uuidString.lowercased()
        return [
            ("request-id", requestID),
            ("client-request-id", exchange.head.field("client-request-id") ?? requestID),
        ]
    }

    func error(_ exchange: Exchange, _ status: Int, _ code: String, _ message: String) -> Response {
        let fields = identityFields(exchange)
        let inner: JSONValue = [
            "date": .string(String(Timestamp.rfc3339(exchange.nowSeconds).dropLast())),
            "request-id": .string(fields[0].1), "client-request-id": .string(fields[1].1),
        ]
        let body: JSONValue = [
            "error": ["code": .string(code), "message": .string(message), "innerError": inner]
        ]
        return .json(body, status: status, fields: fields)
    }

    /// Sends a good answer, or spoils it as a fault wants.
    private func spoil(_ exchange: Exchange, _ response: Response) throws {
        guard response.status == 200 else { return try exchange.send(response) }
        if faults.fires(.malformed, at: exchange.head.path) != nil {
            return try exchange.send(
                Response(
                    status: 200, fields: response.fields, body: response.body.dropLast() + Array(",}".utf8)))
        }
        if faults.fires(.truncated, at: exchange.head.path) != nil {
            let half = Array(response.body.prefix(response.body.count / 2))
            return try exchange.send(Response(status: 200, fields: response.fields, body: half))
        }
        if faults.fires(.headersOnly, at: exchange.head.path) != nil {
            return try exchange.sendHeadOnly(response)
        }
        if faults.fires(.hugePage, at: exchange.head.path) != nil {
            return try exchange.send(
                Response(status: 200, fields: response.fields, body: VendorEmulator.hugePage))
        }
        if let raw = faults.fires(.rawBody, at: exchange.head.path) {
            return try exchange.send(
                Response(status: 200, fields: [("Content-Type", raw.contentType)], body: raw.body))
        }
        if faults.fires(.halfBody, at: exchange.head.path) != nil {
            return try exchange.sendTruncated(response)
        }
        if faults.fires(.htmlAnswer, at: exchange.head.path) != nil {
            return try exchange.send(.html("<h1>Maintenance</h1>"))
        }
        if faults.fires(.wrongType, at: exchange.head.path) != nil {
            return try exchange.send(
                Response(status: 200, fields: [("Content-Type", "text/plain")], body: response.body))
        }
        if let drip = faults.fires(.drip, at: exchange.head.path) {
            let fields = response.fields.filter { $0.0 != "Content-Length" }
            return try exchange.sendStream(fields) { write in
                for byte in response.body {
                    try write([byte])
                    Thread.sleep(forTimeInterval: Double(drip.milliseconds) / 1000)
                }
            }
        }
        try exchange.send(response)
    }
}
