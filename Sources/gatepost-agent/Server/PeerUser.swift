/// Which local user holds the other end of a loopback connection: the kernel's table, not anybody's word
/// (handshake.md 3.3).
enum PeerUser {
    /// Asks the kernel for the one socket; where that is forbidden or missing, reads the whole table.
    static func find(_ peer: Peer) -> UInt32? {
        switch SocketDiagnosis.find(peer) {
        case .user(let user): user
        case .nobody: nil
        case .unavailable: find(peer, root: HostRoot())
        }
    }

    /// From /proc/net/tcp and tcp6.
    ///
    /// - Returns: nil when the kernel does not list the connection, or nobody holds it any more.
    static func find(_ peer: Peer, root: HostRoot) -> UInt32? {
        let local = portText(peer.port)
        let remote = portText(peer.localPort)
        switch peer.address {
        case .ipv4(let number):
            let loopback: UInt32 = 127 << 24 | 1
            let source = "\(hexadecimal(number)):\(local)"
            let destination = "\(hexadecimal(loopback)):\(remote)"
            if let text = root.text("/proc/net/tcp"),
                let user = search(text, local: source, remote: destination)
            {
                return user
            }
            // A client with an IPv6 socket reaches 127.0.0.1 as ::ffff:127.0.0.1 and is listed here.
            let mapped = "0000000000000000FFFF0000"
            guard let text = root.text("/proc/net/tcp6") else { return nil }
            return search(text, local: mapped + source, remote: mapped + destination)
        case .ipv6Loopback:
            let address = "00000000000000000000000001000000"
            guard let text = root.text("/proc/net/tcp6") else { return nil }
            return search(text, local: "\(address):\(local)", remote: "\(address):\(remote)")
        case .ipv6Other: return nil
        }
    }

    /// Columns of proc(5): 1 and 2 the addresses, 3 the state, 7 the user, 9 the inode.
    private static func search(_ table: String, local: String, remote: String) -> UInt32? {
        for line in table.split(separator: "\n").dropFirst() {
            let columns = line.split(separator: " ")
            guard columns.count > 9, columns[1] == local, columns[2] == remote else { continue }
            // A socket that nobody holds any more is listed as root's.
            guard ["01", "04", "05"].contains(columns[3]), columns[9] != "0" else { return nil }
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
