import Access
import Border
import Foundation
import Glibc
import Testing

@testable import gatepost

/// The other end of the border: two socket pairs, one end of each for the process under test.
final class FakePeer: Sendable {
    struct Failure: Error, CustomStringConvertible { var description: String }

    let messages: Int32
    let revocations: Int32
    /// Given to the process under test, which owns them from then on.
    let theirs: (messages: Int32, revocations: Int32)

    init() throws {
        let kind = Int32(SOCK_STREAM.rawValue)
        guard let one = Leash.sockets(kind), let other = Leash.sockets(kind) else {
            throw Failure(description: "no sockets")
        }
        (messages, revocations) = (one.0, other.0)
        theirs = (one.1, other.1)
        // A test that waits in vain has to end.
        var limit = timeval(tv_sec: 60, tv_usec: 0)
        for socket in [messages, revocations] {
            setsockopt(socket, SOL_SOCKET, SO_RCVTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
        }
    }

    deinit {
        close(messages)
        close(revocations)
    }

    func say(_ value: some Encodable) throws {
        try write(try Frames.frame(value, bytesMax: Frames.bytesMaxFromControl))
    }

    /// On the lane of its own.
    func revoke(_ revocation: Revocation) throws {
        try write(try Frames.frame(revocation, bytesMax: Frames.bytesMaxFromControl), to: revocations)
    }

    func write(_ bytes: [UInt8]) throws { try write(bytes, to: messages) }

    private func write(_ bytes: [UInt8], to socket: Int32) throws {
        var sent = 0
        while sent < bytes.count {
            let count = bytes[sent...].withUnsafeBytes {
                Glibc.send(socket, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL))
            }
            guard count > 0 else { throw Failure(description: "send: \(errno)") }
            sent += count
        }
    }

    /// The next value on one of the sockets; nil: the end. Without blocking a thread of the tests, of which there
    /// are no more than cores.
    func hear<Value: Decodable & Sendable>(_ type: Value.Type) async throws -> Value? {
        try await offPool { try self.hearBlocking(type, on: self.messages) }
    }

    func hearBlocking<Value: Decodable>(_ type: Value.Type, on socket: Int32) throws -> Value? {
        guard let header = try bytes(4, socket) else { return nil }
        let length = (0..<4).reduce(0) { $0 | Int(header[$1]) << (8 * $1) }
        guard let body = try bytes(length, socket) else { return nil }
        return try BinaryDecoding.value(type, from: body)
    }

    private func bytes(_ count: Int, _ socket: Int32) throws -> [UInt8]? {
        var all: [UInt8] = []
        while all.count < count {
            var chunk = [UInt8](repeating: 0, count: count - all.count)
            let got = recv(socket, &chunk, chunk.count, 0)
            if got == 0 { return nil }
            guard got > 0 else {
                if errno == ECONNRESET { return nil }
                throw Failure(description: "recv: \(errno)")
            }
            all += chunk[..<got]
        }
        return all
    }
}

/// What was told, to be waited for.
final class Told<Value: Sendable>: Sendable {
    private let all = Watched<[Value]>([])
    func add(_ value: Value) { all.change { $0.append(value) } }
    var count: Int { all.look { $0.count } }
    func first(_ count: Int = 1, seconds: Int = 60) async throws -> [Value] {
        try await offPool { [all] in
            guard let found = all.wait(milliseconds: seconds * 1_000, { $0.count >= count ? $0 : nil }) else {
                throw FakePeer.Failure(description: "told \(all.look { $0.count }) of \(count)")
            }
            return found
        }
    }
}

/// Runs what blocks on a thread that nobody else needs.
func offPool<Result: Sendable>(_ body: @escaping @Sendable () throws -> Result) async throws -> Result {
    try await withCheckedThrowingContinuation { continuation in
        Thread.detachNewThread { continuation.resume(with: Swift.Result { try body() }) }
    }
}

enum Samples {
    static func snapshot(_ revision: UInt64) -> GatewaySnapshot {
        GatewaySnapshot(
            revision: revision, authHost: "auth.corp.test", publicPort: 443, certificates: [],
            applications: [], limits: Limits(), cookieKeys: [], ticketKeys: [], accessLog: false)
    }

    static func pull(_ slot: UInt32) -> ToControl {
        .pullSession(
            Ticket(reactor: 0, slot: slot, generation: 1), tokenDigest: [UInt8](repeating: 7, count: 32),
            application: "wiki")
    }
}

extension SessionRecord {
    static let sample = SessionRecord(
        sequence: 0, tokenDigest: [UInt8](repeating: 7, count: 32), session: "s", person: "p", device: nil,
        application: "wiki",
        residual: Residual(
            policyIdentity: "abc", isSignedIn: true, validUntilSeconds: 2_000_000_000, policies: [],
            refusal: .noPolicyMatches, dependsOn: []),
        identityFields: [], expiresAtSeconds: 2_000_000_000)
}
