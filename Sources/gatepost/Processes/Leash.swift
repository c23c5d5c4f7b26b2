import CLinux
import Glibc

/// What the supervisor and a process of its own say to each other: whole messages of a kind, some text and descriptors.
/// Where one end closes, the other process is gone.
struct Leash: Sendable {
    /// The supervisor's: a peer, with its life's number in `text` and two sockets, for messages and for revocations.
    static let peer = UInt8(ascii: "P")
    /// Read the configuration again.
    static let reload = UInt8(ascii: "H")
    /// End, after what is open had its time.
    static let stop = UInt8(ascii: "S")
    /// End; another process has the place already.
    static let retire = UInt8(ascii: "D")
    /// What runs, as JSON.
    static let processes = UInt8(ascii: "I")
    /// The child's: it does its work now.
    static let ready = UInt8(ascii: "R")
    /// The control process's: the data process whose life's number is in `text` says what none may say.
    static let broken = UInt8(ascii: "B")

    struct Message {
        var kind: UInt8
        var text: [UInt8]
        var descriptors: [Int32]
    }

    let descriptor: Int32

    /// Two ends; nil: no descriptor left.
    static func pair() -> (supervisor: Leash, child: Int32)? {
        // Whole messages, in order, and an end that is seen: SOCK_SEQPACKET (unix(7)).
        guard let (one, other) = sockets(Int32(SOCK_SEQPACKET.rawValue)) else { return nil }
        return (Leash(descriptor: one), other)
    }

    /// A pair of connected sockets that are closed at exec.
    static func sockets(_ kind: Int32) -> (Int32, Int32)? {
        var both: [Int32] = [-1, -1]
        guard socketpair(AF_UNIX, kind | Int32(SOCK_CLOEXEC.rawValue), 0, &both) == 0 else { return nil }
        return (both[0], both[1])
    }

    /// - Returns: false when the other end is gone, or does not read what it is sent.
    @discardableResult
    func send(_ kind: UInt8, _ text: [UInt8] = [], _ descriptors: [Int32] = []) -> Bool {
        let bytes = [kind] + text
        while true {
            let sent = bytes.withUnsafeBytes {
                gatepost_send(descriptor, $0.baseAddress, $0.count, descriptors, Int32(descriptors.count))
            }
            if sent == bytes.count { return true }
            guard sent < 0, errno == EINTR else { return false }
        }
    }

    /// Waits for the next message.
    /// - Returns: nil at the end.
    func receive() -> Message? {
        var bytes = [UInt8](repeating: 0, count: 8_192)
        var descriptors = [Int32](repeating: -1, count: Int(GATEPOST_DESCRIPTORS_MAX))
        var count: Int32 = 0
        while true {
            let length = bytes.withUnsafeMutableBytes {
                gatepost_receive(descriptor, $0.baseAddress, $0.count, &descriptors, &count)
            }
            if length < 0, errno == EINTR { continue }
            guard length > 0 else { return nil }
            return Message(
                kind: bytes[0], text: Array(bytes[1..<length]), descriptors: Array(descriptors[..<Int(count)])
            )
        }
    }
}
