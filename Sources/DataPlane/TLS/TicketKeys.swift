import COpenSSL
import Glibc

/// The rotating keys that seal session tickets: the first one seals, all of them open.
///
/// One flat block (name 16, AES-256 key 32, HMAC key 32 per entry) that C callbacks can read. Shared by the
/// contexts of one configuration and freed with the last of them.
final class TicketKeys {
    static let entryBytes = 80
    let entries: UnsafeMutablePointer<UInt8>
    let count: Int

    /// - Parameter keys: each 80 bytes; entries of another length are left out.
    init(_ keys: [[UInt8]]) {
        let valid = keys.filter { $0.count == Self.entryBytes }
        count = valid.count
        entries = .allocate(capacity: max(1, count * Self.entryBytes))
        for (index, key) in valid.enumerated() {
            for (offset, byte) in key.enumerated() { entries[index * Self.entryBytes + offset] = byte }
        }
    }

    deinit {
        OPENSSL_cleanse(entries, count * Self.entryBytes)
        entries.deallocate()
    }

    func index(named name: UnsafePointer<UInt8>) -> Int? {
        for index in 0..<count where memcmp(entries + index * Self.entryBytes, name, 16) == 0 { return index }
        return nil
    }
}

/// `SSL_CTX_set_tlsext_ticket_key_evp_cb`: 1 goes on, 2 goes on and renews the ticket, 0 makes a full
/// handshake, -1 fails it.
func sealOrOpenTicket(
    _ ssl: OpaquePointer?, _ name: UnsafeMutablePointer<UInt8>?, _ iv: UnsafeMutablePointer<UInt8>?,
    _ cipher: OpaquePointer?, _ mac: OpaquePointer?, _ isSealing: Int32
) -> Int32 {
    guard let keys = ServerContext.ticketKeys(of: ssl), let name, let iv, keys.count > 0 else { return 0 }
    if isSealing == 1 {
        memcpy(name, keys.entries, 16)
        guard RAND_bytes(iv, 16) == 1 else { return -1 }
        return prepare(keys.entries, iv, cipher, mac, isSealing: true) ? 1 : -1
    }
    guard let index = keys.index(named: name) else { return 0 }
    let entry = keys.entries + index * TicketKeys.entryBytes
    guard prepare(entry, iv, cipher, mac, isSealing: false) else { return -1 }
    return index == 0 ? 1 : 2
}

private func prepare(
    _ entry: UnsafeMutablePointer<UInt8>, _ iv: UnsafeMutablePointer<UInt8>, _ cipher: OpaquePointer?,
    _ mac: OpaquePointer?, isSealing: Bool
) -> Bool {
    // The parameters keep pointers to their names, so these must be constants, not passing Strings.
    let digest: StaticString = "sha256"
    var parameters = [
        OSSL_PARAM_construct_octet_string(pointer("key"), entry + 48, 32),
        OSSL_PARAM_construct_utf8_string(
            pointer("digest"), UnsafeMutablePointer(mutating: pointer(digest)), 0),
        OSSL_PARAM_construct_end(),
    ]
    let ready = EVP_MAC_CTX_set_params(mac, &parameters) == 1
    guard ready else { return false }
    return EVP_CipherInit_ex(cipher, EVP_aes_256_cbc(), nil, entry + 16, iv, isSealing ? 1 : 0) == 1
}

private func pointer(_ text: StaticString) -> UnsafePointer<CChar> {
    UnsafeRawPointer(text.utf8Start).assumingMemoryBound(to: CChar.self)
}
