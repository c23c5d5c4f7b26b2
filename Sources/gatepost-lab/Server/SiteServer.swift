/// Accepts connections on 127.0.0.1 and gives each its thread.

import Foundation
import Glibc
import JSON
import Synchronization

/// Something that answers requests: the provider, the emulator, the applications.
protocol Site: Sendable {
    var name: String { get }
    /// Answers with exactly one of the exchange's send functions, or throws.
    func answer(_ exchange: Exchange) throws
}

/// Why a port could not be opened, with the remedy.
struct ListenError: Error, CustomStringConvertible {
    var description: String
}

/// A bound port. The port is known before the site is made, because sites name their own address.
final class SiteServer: Sendable {
    static let connectionsMax = 512

    let port: UInt16
    private let descriptor: Int32
    private let connections = Mutex<Int>(0)
    private let tls = Mutex<ServerTLS?>(nil)

    /// `port` 0 takes any free one. Only ever on loopback: what runs here has known passwords.
    init(port wanted: UInt16) throws(ListenError) {
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        guard descriptor >= 0 else { throw ListenError(description: "no socket (errno \(errno))") }
        self.descriptor = descriptor
        var one: Int32 = 1
        setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &one, socklen_t(MemoryLayout<Int32>.size))
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = wanted.bigEndian
        address.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let listening = withUnsafeMutablePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { generic in
                bind(descriptor, generic, length) == 0 && listen(descriptor, 512) == 0
                    && getsockname(descriptor, generic, &length) == 0
            }
        }
        guard listening else {
            let code = errno
            _ = Glibc.close(descriptor)
            throw ListenError(
                description:
                    "port \(wanted) of 127.0.0.1 cannot be opened (\(String(cString: strerror(code)))); "
                    + "stop what uses it, or give another port (0 takes any free one)")
        }
        port = UInt16(bigEndian: address.sin_port)
    }

    /// Accepts until `stop`. Returns at once; the work is on threads of its own.
    ///
    /// - Parameter tls: nil: plain HTTP. With it each connection has one exchange, so that the next one is shown the
    ///   certificate of its own moment.
    func start(_ site: any Site, clock: LabClock, log: LabLog, tls: ServerTLS? = nil) {
        self.tls.withLock { $0 = tls }
        Thread.detachNewThread { [self] in
            while true {
                let peer = accept(descriptor, nil, nil)
                guard peer >= 0 else {
                    if errno == EINTR || errno == ECONNABORTED { continue }
                    return
                }
                admit(peer, site: site, clock: clock, log: log)
            }
        }
    }

    func stop() { shutdown(descriptor, Int32(SHUT_RDWR)) }

    private func admit(_ peer: Int32, site: any Site, clock: LabClock, log: LabLog) {
        let isAdmitted = connections.withLock { count in
            guard count < Self.connectionsMax else { return false }
            count += 1
            return true
        }
        guard isAdmitted else {
            _ = Glibc.close(peer)
            log.write([("site", .string(site.name)), ("event", "too many connections")])
            return
        }
        var one: Int32 = 1
        setsockopt(peer, Int32(IPPROTO_TCP), TCP_NODELAY, &one, socklen_t(MemoryLayout<Int32>.size))
        Thread.detachNewThread { [self] in
            defer { connections.withLock { $0 -= 1 } }
            let tls = tls.withLock { $0 }
            let session = tls?.accept(peer)
            let stream = ByteStream(descriptor: peer, tls: session)
            if tls == nil || session != nil {
                SiteConnection(
                    stream: stream, site: site, clock: clock, log: log, isSingle: tls != nil
                ).run()
            }
            stream.close()
        }
    }
}

/// The requests of one connection, one after the other.
struct SiteConnection {
    let stream: ByteStream
    let site: any Site
    let clock: LabClock
    let log: LabLog
    /// One exchange and no more.
    var isSingle = false

    func run() {
        while true {
            do {
                guard let bytes = try stream.readHead(bytesMax: RequestHead.bytesMax) else { return }
                let exchange = Exchange(
                    head: try RequestHead(parsing: bytes), stream: stream, nowSeconds: clock.nowSeconds)
                if isSingle { exchange.endsConnection() }
                try answer(exchange)
                guard exchange.isReusable else { return }
            } catch let refusal as HeadRefusal {
                let fields = [("Content-Length", "0"), ("Connection", "close")]
                try? stream.write(Response.head(status: refusal.status, fields: fields))
                record([("event", "request refused"), ("what", .string(refusal.what))])
                return
            } catch let failure as StreamError {
                record([("event", "connection ended"), ("what", .string(failure.what))])
                return
            } catch {
                return
            }
        }
    }

    private func answer(_ exchange: Exchange) throws {
        let begun = ContinuousClock.now
        defer {
            let took = (ContinuousClock.now - begun).components
            let milliseconds = took.seconds * 1000 + took.attoseconds / 1_000_000_000_000_000
            // Without the query: authorization codes and tokens stay out of logs.
            record([
                ("method", .string(exchange.head.method)), ("path", .string(exchange.head.path)),
                ("status", .integer(Int64(exchange.status))), ("milliseconds", .integer(milliseconds)),
            ])
        }
        do {
            try site.answer(exchange)
        } catch is BodyTooLarge {
            try exchange.send(.text("The body is too large.\n", status: 413))
        }
    }

    private func record(_ members: [(String, JSONValue)]) {
        log.write(
            [("at", .string(Timestamp.rfc3339(clock.nowSeconds))), ("site", .string(site.name))] + members)
    }
}
