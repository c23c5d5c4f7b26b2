/// A management server that speaks for devices: it signs statements for the device check (mode A).

import JSON
import Signatures
import Synchronization

/// One signing key with its certificate, the next one beside it, and what it says of each device.
final class ManagementServer: Sendable {
    /// What the server knows of a device; a test changes it.
    struct Record: Sendable {
        var thumbprint: String
        var ownerEmail: String?
        var isManaged = true
        /// nil: the device is talking to the server right now.
        var lastSeenSeconds: Int64?
        var deviceIDs = JSONObject()
    }

    struct State: Sendable {
        var records: [String: Record] = [:]
        /// Signs with the next key instead of the current one: half of a rotation.
        var signsWithNext = false
    }

    static let lifeSeconds: Int64 = 86_400

    let issuer: String
    /// PEM of both certificates, the current one first.
    let certificatesPEM: [[UInt8]]
    let state = Mutex(State())
    private let keys: [SigningKey]
    private let clock: LabClock

    init(issuer: String, clock: LabClock) {
        self.issuer = issuer
        self.clock = clock
        let now = clock.nowSeconds
        let pairs = ["Lab management 1", "Lab management 2"].compactMap { name in
            try? EnrollmentAuthority.generateSelfSigned(commonName: name, nowSeconds: now)
        }
        certificatesPEM = pairs.map(\.certificatePEM)
        keys = pairs.compactMap { try? SigningKey(pem: $0.keyPEM) }
        precondition(keys.count == 2, "the crypto library made no certificate")
    }

    /// The statement about a device; nil when it is not known.
    func statement(of device: String) -> String? {
        let (found, index) = state.withLock { ($0.records[device], $0.signsWithNext ? 1 : 0) }
        guard let record = found else { return nil }
        let now = clock.nowSeconds
        var payload = JSONObject([
            ("iss", .string(issuer)), ("sub", .string(device)), ("iat", .integer(now)),
            ("exp", .integer(now + Self.lifeSeconds)), ("managed", .bool(record.isManaged)),
            ("last_seen", .integer(record.lastSeenSeconds ?? now)),
            ("cnf", ["jkt": .string(record.thumbprint)]), ("device_ids", .object(record.deviceIDs)),
        ])
        if let email = record.ownerEmail { payload["owner"] = ["email": .string(email)] }
        let header = JSONObject([("typ", "device-statement+jwt")])
        return JWS.sign(header: header, payload: payload, with: keys[index])
    }

    /// Its paths, below `/management`:
    /// `GET certificates.pem`; `PUT devices/<id>` with `{jkt, owner_email?, managed?, last_seen?, device_ids?}`;
    /// `GET devices/<id>/statement`; `POST rotate`.
    func answer(_ path: [String], _ exchange: Exchange) throws {
        switch (exchange.head.method, path.count, path.first) {
        case ("GET", 1, "certificates.pem"):
            let text = String(decoding: certificatesPEM.flatMap { $0 }, as: UTF8.self)
            try exchange.send(.text(text))
        case ("POST", 1, "rotate"):
            state.withLock { $0.signsWithNext.toggle() }
            try exchange.send(.text("ok\n"))
        case ("PUT", 2, "devices"): try keep(path[1], exchange)
        case ("GET", 3, "devices") where path[2] == "statement":
            guard let statement = statement(of: path[1]) else {
                return try exchange.send(.text("No such device.\n", status: 404))
            }
            try exchange.send(.text(statement + "\n"))
        case (_, _, _):
            let paths = "certificates.pem, devices/<id>, devices/<id>/statement, rotate"
            try exchange.send(.text("No such path; there are: \(paths)\n", status: 404))
        }
    }

    private func keep(_ device: String, _ exchange: Exchange) throws {
        guard let body = try? JSONValue(parsing: try exchange.readBody()),
            let thumbprint = body["jkt"]?.string
        else {
            return try exchange.send(.text("Send {\"jkt\": …}.\n", status: 400))
        }
        let record = Record(
            thumbprint: thumbprint, ownerEmail: body["owner_email"]?.string,
            isManaged: body["managed"]?.bool ?? true, lastSeenSeconds: body["last_seen"]?.integer,
            deviceIDs: body["device_ids"]?.object ?? JSONObject())
        state.withLock { $0.records[device] = record }
        try exchange.send(.text("ok\n"))
    }
}
