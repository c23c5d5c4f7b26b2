import Foundation
import Glibc
import Signatures
import Testing

@testable import gatepost_agent

/// A "chip" that answers every command with bytes of the test's choice.
private final class FakeChip: Sendable {
    let folder: TemporaryFolder
    var path: String { folder.path + "/chip" }
    private let listener: CInt

    /// - Parameter pieces: sent one by one after each command; nil ends the connection.
    init(_ pieces: [[UInt8]?]) throws {
        folder = try TemporaryFolder()
        let listener = socket(AF_UNIX, CInt(SOCK_STREAM.rawValue), 0)
        self.listener = listener
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        let path = Array((folder.path + "/chip").utf8)
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path) }
        let isBound = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(listener, $0, socklen_t(MemoryLayout<sockaddr_un>.size)) == 0
            }
        }
        try #require(isBound && listen(listener, 4) == 0)
        let thread = Thread {
            while true {
                let connection = accept(listener, nil, nil)
                guard connection >= 0 else {
                    // Here and nowhere else: closed from elsewhere while this thread is still at an earlier connection,
                    // its number would be another test's listener by the time it is accepted from.
                    close(listener)
                    return
                }
                var room = [UInt8](repeating: 0, count: 4096)
                while read(connection, &room, room.count) > 0 {
                    for piece in pieces {
                        guard let piece else {
                            shutdown(connection, CInt(SHUT_RDWR))
                            break
                        }
                        _ = send(connection, piece, piece.count, CInt(MSG_NOSIGNAL))
                    }
                }
                close(connection)
            }
        }
        thread.start()
    }

    deinit { shutdown(listener, CInt(SHUT_RDWR)) }
}

@Suite("A security chip that answers oddly is an error, never a wait without end")
struct TPMTransportTests {
    static let command: [UInt8] = [0x80, 0x01, 0, 0, 0, 0x0a, 0, 0, 1, 0x7b]
    static let answer: [UInt8] = [0x80, 0x01, 0, 0, 0, 0x0c, 0, 0, 0, 0, 1, 2]

    private func transmit(_ pieces: [[UInt8]?], milliseconds: Int64 = 10_000) throws -> [UInt8] {
        let chip = try FakeChip(pieces)
        let transport = try TPMTransport(path: chip.path)
        defer { transport.close() }
        // Nobody listens any more once the chip is gone, which it may be after its last use.
        defer { withExtendedLifetime(chip) {} }
        return try transport.transmit(Self.command, timeoutMilliseconds: milliseconds)
    }

    @Test("an answer is the same in one piece, byte by byte and split anywhere") func splits() throws {
        #expect(try transmit(Self.answer.map { [$0] }) == Self.answer)
        for index in 0...Self.answer.count {
            let pieces = [Array(Self.answer[..<index]), Array(Self.answer[index...])]
            #expect(try transmit(pieces) == Self.answer, "at \(index)")
        }
    }

    @Test("silence, half an answer, an end, a wrong length and too many bytes are refused") func odd() throws
    {
        let rows: [(String, [[UInt8]?])] = [
            ("silence", []), ("half", [Array(Self.answer.prefix(11))]),
            ("an end", [Array(Self.answer.prefix(11)), nil]), ("bytes behind it", [Self.answer + [3]]),
            ("shorter than a header", [[0x80, 1, 0, 0, 0, 9, 0, 0, 0, 0]]),
            ("exactly one too long", [[0x80, 1, 0, 0, 0x10, 1, 0, 0, 0, 0]]),
            ("huge", [[0x80, 1, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0]]),
        ]
        for (name, pieces) in rows {
            #expect(throws: TPMError.self, "\(name)") { try transmit(pieces, milliseconds: 200) }
        }
    }

    @Test("random answers never become a signature, a key or a trap", arguments: 1...40) func random(
        _ seed: UInt64
    ) throws {
        var state = seed &* 0x9e37_79b9_7f4a_7c15
        func next() -> UInt8 {
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return UInt8(truncatingIfNeeded: state >> 33)
        }
        let count = 10 + Int(next()) % 120
        var bytes = (0..<count).map { _ in next() }
        bytes.replaceSubrange(0..<10, with: [0x80, 0x02, 0, 0, 0, UInt8(count), 0, 0, 0, 0])
        let chip = try FakeChip([bytes])
        let device = try TPMDevice(path: chip.path)
        defer { device.close() }
        defer { withExtendedLifetime(chip) {} }
        for name in ["seed \(seed)"] {
            #expect(throws: TPMError.self, "\(name)") {
                _ = try device.certify(1, by: 2, nonce: [1])
                _ = try device.sign([1], with: 1)
            }
        }
    }

    @Test("what is no chip cannot be opened") func absent() throws {
        let folder = try TemporaryFolder()
        for path in ["/nonexistent", folder.path, folder.path + "/" + String(repeating: "x", count: 200)] {
            #expect(throws: TPMError.self) { try TPMTransport(path: path) }
        }
    }
}
