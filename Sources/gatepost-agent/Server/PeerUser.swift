/// Which local user holds the other end of a loopback connection: the kernel's table, not anybody's word
/// (handshake.md 3.3).
enum PeerUser {
    /// nil when the kernel does not list the connection (any more).
    static func find(_ peer: Peer, root: HostRoot) -> UInt32? {
        let loopback: UInt32 = 127 << 24 | 1
        let local = "\(hexadecimal(peer.address)):\(portText(peer.port))"
        let remote = "\(hexadecimal(loopback)):\(portText(peer.localPort))"
        if let text = root.text("/proc/net/tcp"), let user = search(text, local: local, remote: remote) {
            return user
        }
        // A client with an IPv6 socket reaches 127.0.0.1 as ::ffff:127.0.0.1 and is listed here.
        let mapped = "0000000000000000FFFF0000"
        guard let text = root.text("/proc/net/tcp6") else { return nil }
        return search(text, local: mapped + local, remote: mapped + remote)
    }

    private static func search(_ table: String, local: String, remote: String) -> UInt32? {
        for line in table.split(separator: "\n").dropFirst() {
            let columns = line.split(separator: " ")
            guard columns.count > 7, columns[1] == local, columns[2] == remote else { continue }
            return UInt32(columns[7])
        }
        return nil
    }

    /// The kernel prints the address as a number in its own byte order: little-endian on every machine we
    /// run on.
    private static func hexadecimal(_ address: UInt32) -> String {
        padded(String(address.byteSwapped, radix: 16, uppercase: true), 8)
    }

    private static func portText(_ port: UInt16) -> String {
        padded(String(port, radix: 16, uppercase: true), 4)
    }

    private static func padded(_ text: String, _ count: Int) -> String {
        String(repeating: "0", count: max(0, count - text.count)) + text
    }
}
