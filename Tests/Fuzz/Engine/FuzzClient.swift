/// One TLS connection to the gateway: says what it was given, reads to the end, and hands on what it reads.
final class FuzzClient: Peer {
    private let kernel: SimulatedKernel
    private let link: Link
    private let tls: TLSEnd
    private let bytes: [UInt8]
    private let leavesAfterNanoseconds: UInt64
    private let receive: ([UInt8]) -> Void
    private var hasStarted = false
    private var hasEnded = false

    init(
        _ bench: EngineBench, _ context: OpaquePointer, sends bytes: [UInt8],
        leavesAfterSeconds seconds: UInt64, receive: @escaping ([UInt8]) -> Void
    ) {
        kernel = bench.kernel
        link = Link(bench.kernel)
        tls = TLSEnd(context, serverName: EngineBench.host)
        self.bytes = bytes
        leavesAfterNanoseconds = seconds * 1_000_000_000
        self.receive = receive
        bench.connect(self, link)
        tls.handshake()
        travel()
    }

    func gatewayWrote(_ bytes: [UInt8], wasBlocked: Bool) {}

    func received(_ bytes: [UInt8]) {
        guard !hasEnded else { return }
        let plain = tls.receive(bytes)
        travel()
        guard !tls.hasFailed else { return kernel.fault("a client's TLS broke") }
        if tls.isEstablished, !hasStarted { start() }
        if !plain.isEmpty { receive(plain) }
    }

    func ended() { leave() }
    func reset() { hasEnded = true }

    private func start() {
        hasStarted = true
        var rest = bytes[...]
        while !rest.isEmpty {
            // Records as large and as small as the input is cut on its way.
            let count = kernel.random.chance(70) ? rest.count : 1 + kernel.random.below(rest.count)
            tls.write(Array(rest.prefix(min(count, 16_000))))
            rest = rest.dropFirst(min(count, 16_000))
        }
        travel()
        kernel.after(leavesAfterNanoseconds) { [weak self] in self?.leave() }
    }

    private func leave() {
        guard !hasEnded else { return }
        hasEnded = true
        tls.end()
        travel()
        link.end()
    }

    private func travel() {
        let bytes = tls.take()
        if !bytes.isEmpty { link.send(bytes) }
    }
}
