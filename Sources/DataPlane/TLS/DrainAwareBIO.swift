import COpenSSL

/// OpenSSL's view of a transport. The stock socket BIO asks the kernel once more after every short read; this
/// one knows that the socket is empty and answers "later" by itself (5.7 → 4.0 system calls per request).
enum DrainAwareBIO {
    /// Made once per process, never freed: OpenSSL keeps method tables by address.
    // Unchecked because OpenSSL types are not Sendable; the table is complete before anyone can read it.
    nonisolated(unsafe) private static let method: OpaquePointer? = makeMethod()

    /// - Returns: a BIO over `transport`, which must stay where it is until the BIO's SSL is freed.
    static func make(over transport: TransportPointer) -> OpaquePointer? {
        guard let method, let bio = BIO_new(method) else { return nil }
        BIO_set_data(bio, UnsafeMutableRawPointer(transport))
        BIO_set_init(bio, 1)
        return bio
    }

    private static func makeMethod() -> OpaquePointer? {
        guard let method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "gatepost transport")
        else {
            return nil
        }
        BIO_meth_set_read(method, drainAwareRead)
        BIO_meth_set_write(method, drainAwareWrite)
        BIO_meth_set_ctrl(method, drainAwareControl)
        return method
    }
}

/// `BIO_FLAGS_RWS | BIO_FLAGS_SHOULD_RETRY`, which `BIO_clear_retry_flags` clears (a macro that is not
/// imported).
private let retryFlags: Int32 = 0x0F

private func transport(of bio: OpaquePointer?) -> TransportPointer? {
    BIO_get_data(bio)?.assumingMemoryBound(to: Transport.self)
}

private func drainAwareRead(
    _ bio: OpaquePointer?, _ target: UnsafeMutablePointer<CChar>?, _ capacity: Int32
) -> Int32 {
    BIO_clear_flags(bio, retryFlags)
    guard let transport = transport(of: bio), let target, capacity > 0 else { return -1 }
    let bytes = UnsafeMutableRawPointer(target).assumingMemoryBound(to: UInt8.self)
    let count = transport.receive(bytes, Int(capacity))
    if count < 0, !transport.pointee.isFailed { BIO_set_flags(bio, BIO_FLAGS_READ | BIO_FLAGS_SHOULD_RETRY) }
    return Int32(truncatingIfNeeded: count)
}

private func drainAwareWrite(_ bio: OpaquePointer?, _ source: UnsafePointer<CChar>?, _ count: Int32) -> Int32
{
    BIO_clear_flags(bio, retryFlags)
    guard let transport = transport(of: bio), let source, count > 0 else { return -1 }
    let bytes = UnsafeRawPointer(source).assumingMemoryBound(to: UInt8.self)
    return transport.send(bytes, Int(count)) ? count : -1
}

private func drainAwareControl(
    _ bio: OpaquePointer?, _ command: Int32, _ number: Int, _ pointer: UnsafeMutableRawPointer?
) -> Int {
    // libssl only needs flush to succeed; everything else is for BIOs that can do it.
    command == BIO_CTRL_FLUSH ? 1 : 0
}
