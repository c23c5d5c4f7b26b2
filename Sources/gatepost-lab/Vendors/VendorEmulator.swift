import Foundation
import JSON
import Signatures
import Synchronization

/// A posture provider for laptops and tests: a real server that enforces the vendor's authentication, paging
/// and limits, and misbehaves when told to (providers.md 1.2).
final class VendorEmulator: Sendable {
    static let tokensMax = 10_000
    /// Beyond every reader's bound (providers.md 1.1: 16 MiB).
    static let hugePage =
        Array("{\"padding\":\"".utf8) + [UInt8](repeating: 0x61, count: 20 << 20) + Array("\"}".utf8)

    struct State: Sendable {
        var devices: [VendorDevice]
        var tokens: [String: Int64] = [:]
        var cursors: [String: (offset: Int, sinceSeconds: Int64)] = [:]
        var callSeconds: [Int64] = []
        /// When calls came with a token that is none.
        var refusedSeconds: [Int64] = []
        /// Calls by path, for tests that count.
        var calls: [String: Int] = [:]
        var callsMax: Int?
        /// A page holds no more, whatever is asked for.
        var pageMax: Int?
        /// Fields that this version of a vendor's interface does not have.
        var hiddenFields: Set<String> = []
    }

    let vendor: any Vendor
    let clock: LabClock
    let faults = FaultSwitch<VendorFault>()
    /// The certificate that is registered with the application, where the vendor takes such and one is.
    let certificate = Mutex<Certificate?>(nil)
    let state: Mutex<State>
    /// `http://127.0.0.1:port/vendor`, set once the port is known.
    let address: String

    init(_ vendor: any Vendor, port: UInt16, clock: LabClock, scheme: String = "http") {
        self.vendor = vendor
        self.clock = clock
        address = "\(scheme)://127.0.0.1:\(port)/\(vendor.name)"
        state = Mutex(State(devices: vendor.demo))
    }

    /// - Parameter path: segments behind the vendor's name, percent-decoded.
    func answer(_ path: [String], _ exchange: Exchange) throws {
        if path.first == "lab" { return try exchange.send(control(Array(path.dropFirst()), exchange)) }
        let place = "/" + path.joined(separator: "/")
        if faults.fires(.down, at: place) != nil { throw DroppedConnection() }
        if let slow = faults.fires(.slow, at: place) {
            Thread.sleep(forTimeInterval: Double(slow.milliseconds) / 1000)
        }
        if let early = try vendor.open(path, exchange, self) { return try exchange.send(early) }
        if var refusal = admission(path, exchange) {
            refusal.fields += limitFields()
            return try exchange.send(refusal)
        }
        var response = try vendor.answer(path, exchange, self) ?? vendor.error(404, exchange)
        response.fields += limitFields()
        try spoil(exchange, response, at: place)
    }

    private func limitFields() -> [(String, String)] {
        vendor.limitFields(calls: state.withLock { $0.callSeconds.count })
    }

    // MARK: For vendors

    func issueToken(nowSeconds: Int64, lifeSeconds: Int64) -> String {
        let token = Base64URL.encode(Random.bytes(48))
        state.withLock { state in
            if state.tokens.count >= Self.tokensMax { state.tokens = [:] }
            state.tokens[token] = nowSeconds + lifeSeconds
        }
        return token
    }

    func accepts(token: String, nowSeconds: Int64) -> Bool {
        state.withLock { ($0.tokens[token] ?? 0) > nowSeconds }
    }

    /// The records as the device faults want them.
    func records(nowSeconds: Int64) -> [JSONObject] {
        var records = state.withLock { $0.devices }.map { device in
            var record = device.record
            if record[vendor.members.lastSeen] == nil {
                record[vendor.members.lastSeen] = vendor.members.time(nowSeconds - 300)
            }
            return record
        }
        let members = vendor.members
        if faults.fires(.deviceMissing) != nil { records = Array(records.dropFirst()) }
        if faults.fires(.duplicateSerial) != nil, records.count > 1 {
            records[1][members.serial] = records[0][members.serial]
        }
        let rows: [(VendorFault, String, JSONValue)] = [
            (.unknownEnum, members.state, "somethingNew"), (.nullFields, members.state, .null),
            (.nullFields, members.serial, .null), (.nullFields, members.lastSeen, .null),
            (.futureSeen, members.lastSeen, members.time(nowSeconds + 172_800)),
            (.staleSeen, members.lastSeen, members.time(nowSeconds - 90 * 86_400)),
        ]
        for (fault, name, value) in rows where faults.fires(fault) != nil {
            for index in records.indices { records[index][name] = value }
        }
        return records
    }

    // MARK: Admission

    /// Throttling first, then who asks, then what they may: a throttled request is not looked at any further.
    private func admission(_ path: [String], _ exchange: Exchange) -> Response? {
        let now = exchange.nowSeconds
        let place = "/" + path.joined(separator: "/")
        let full = state.withLock { state -> Int64? in
            state.calls[path.joined(separator: "/"), default: 0] += 1
            return Self.note(now, in: &state.callSeconds, vendor.windows, callsMax: state.callsMax)
        }
        if let hint = throttleHint(now, at: place) { return throttled(exchange, hint.isEmpty ? nil : hint) }
        if let full { return throttled(exchange, vendor.hint(seconds: full, nowSeconds: now)) }
        if let setting = faults.fires(.fail, at: place) { return vendor.error(setting.status, exchange) }
        if faults.fires(.serverError, at: place) != nil { return vendor.error(500, exchange) }
        if faults.fires(.badGateway, at: place) != nil {
            return .html("<h1>502 Bad Gateway</h1>", status: 502)
        }
        if faults.fires(.gatewayTimeout, at: place) != nil { return .html("<h1>504</h1>", status: 504) }
        if let setting = faults.fires(.unavailable, at: place) {
            var response = vendor.error(503, exchange)
            response.fields.append(("Retry-After", "\(setting.retryAfterSeconds)"))
            return response
        }
        guard vendor.isAuthorized(exchange, self) else { return unauthorized(exchange) }
        return faults.fires(.missingScope, at: place) == nil ? nil : vendor.error(403, exchange)
    }

    private func unauthorized(_ exchange: Exchange) -> Response {
        guard let window = vendor.refusedWindow else { return vendor.error(401, exchange) }
        let full = state.withLock {
            Self.note(exchange.nowSeconds, in: &$0.refusedSeconds, [window], callsMax: nil)
        }
        guard let full else { return vendor.error(401, exchange) }
        return throttled(exchange, vendor.hint(seconds: full, nowSeconds: exchange.nowSeconds))
    }

    /// Counts a call in sliding windows; requests made while throttled count, too.
    ///
    /// - Returns: how long the fullest window lasts, nil when none is full.
    private static func note(
        _ now: Int64, in times: inout [Int64], _ windows: [(calls: Int, seconds: Int64)], callsMax: Int?
    ) -> Int64? {
        guard let longest = windows.map(\.seconds).max() else { return nil }
        times.removeAll { $0 <= now - longest }
        times.append(now)
        return windows.filter { window in
            times.count { $0 > now - window.seconds } > callsMax ?? window.calls
        }.map(\.seconds).max()
    }

    /// nil: not throttled; empty: throttled without a hint.
    private func throttleHint(_ now: Int64, at place: String) -> String? {
        if let setting = faults.fires(.throttle, at: place) { return "\(setting.retryAfterSeconds)" }
        if let setting = faults.fires(.throttleDate, at: place) {
            return Timestamp.httpDate(now + Int64(setting.retryAfterSeconds))
        }
        if let setting = faults.fires(.throttleEpoch, at: place) {
            return "\(now + Int64(setting.retryAfterSeconds))"
        }
        if let setting = faults.fires(.throttleEpochMilliseconds, at: place) {
            return "\((now + Int64(setting.retryAfterSeconds)) * 1_000)"
        }
        return faults.fires(.throttleSilent, at: place) == nil ? nil : ""
    }

    private func throttled(_ exchange: Exchange, _ hint: String?) -> Response {
        var response = vendor.error(429, exchange)
        if let hint { response.fields.append((vendor.hintField, hint)) }
        return response
    }

    /// Sends a good answer, or spoils it as a fault wants.
    private func spoil(_ exchange: Exchange, _ response: Response, at place: String) throws {
        guard (200...299).contains(response.status) else { return try exchange.send(response) }
        var spoiled = response
        if faults.fires(.malformed, at: place) != nil {
            spoiled.body = response.body.dropLast() + Array(",}".utf8)
        }
        if faults.fires(.truncated, at: place) != nil {
            spoiled.body = Array(response.body.prefix(response.body.count / 2))
        }
        if faults.fires(.hugePage, at: place) != nil {
            spoiled.body = Self.hugePage
        }
        if faults.fires(.wrongType, at: place) != nil { spoiled.fields = [("Content-Type", "text/plain")] }
        if faults.fires(.headersOnly, at: place) != nil { return try exchange.sendHeadOnly(response) }
        if let raw = faults.fires(.rawBody, at: place) {
            spoiled = Response(
                status: 200, fields: [("Content-Type", raw.contentType)], body: raw.body)
        }
        if faults.fires(.halfBody, at: place) != nil { return try exchange.sendTruncated(response) }
        if faults.fires(.htmlAnswer, at: place) != nil {
            return try exchange.send(.html("<h1>Maintenance</h1>"))
        }
        if let drip = faults.fires(.drip, at: place) {
            return try exchange.sendStream(response.fields) { write in
                for byte in response.body {
                    try write([byte])
                    Thread.sleep(forTimeInterval: Double(drip.milliseconds) / 1000)
                }
            }
        }
        try exchange.send(spoiled)
    }
}
