import CLinux
import CSimulatedKernel
import Glibc

/// The C side's view of a `SimulatedKernel`: one function for each call that the linker sends here.
struct KernelTable: ~Copyable {
    private let kernel: SimulatedKernel
    private let table: UnsafeMutablePointer<simulated_kernel>

    /// From now on the calling thread's system calls are the kernel's, until the end of this value.
    init(entering kernel: SimulatedKernel) {
        self.kernel = kernel
        table = .allocate(capacity: 1)
        table.initialize(
            to: simulated_kernel(
                context: Unmanaged.passUnretained(kernel).toOpaque(), make_socket: makeSocket,
                make_event: makeEvent, make_epoll: makeEpoll, connect_to: connectTo, accept_on: acceptOn,
                receive: receive, transmit: transmit, end_writing: endWriting, close_it: closeIt,
                take_error: takeError, listen_on: listenOn, control: control, wait: wait,
                nanoseconds: nanoseconds))
        simulated_kernel_enter(table)
        simulated_random_seed(kernel.random.next())
    }

    deinit {
        simulated_kernel_enter(nil)
        simulated_random_end()
        table.deallocate()
        withExtendedLifetime(kernel) {}
    }
}

private func kernel(_ context: UnsafeMutableRawPointer?) -> SimulatedKernel {
    // `KernelTable` holds it for as long as calls come here.
    Unmanaged<SimulatedKernel>.fromOpaque(context!).takeUnretainedValue()
}

private func makeSocket(_ context: UnsafeMutableRawPointer?) -> Int32 {
    let kernel = kernel(context)
    let link = Link(kernel)
    link.isConnected = false
    link.descriptor = kernel.open(.link(link))
    return link.descriptor
}

private func makeEvent(_ context: UnsafeMutableRawPointer?) -> Int32 {
    kernel(context).open(.event(count: 0))
}

private func makeEpoll(_ context: UnsafeMutableRawPointer?) -> Int32 { kernel(context).open(.epoll) }

private func connectTo(_ context: UnsafeMutableRawPointer?, _ descriptor: Int32, _ port: UInt16) -> Int32 {
    kernel(context).connect(descriptor, port: port)
}

private func acceptOn(_ context: UnsafeMutableRawPointer?, _ descriptor: Int32) -> Int32 {
    guard case .listener = kernel(context).entry(descriptor, "accept") else { return -EINVAL }
    return kernel(context).accept()
}

private func receive(
    _ context: UnsafeMutableRawPointer?, _ descriptor: Int32, _ target: UnsafeMutableRawPointer?, _ count: Int
) -> Int {
    let kernel = kernel(context)
    switch kernel.entry(descriptor, "receive") {
    case .link(let link): return link.receive(target!, count)
    case .event(let signals):
        guard signals > 0 else { return -Int(EAGAIN) }
        target!.storeBytes(of: signals, as: UInt64.self)
        kernel.set(descriptor, .event(count: 0))
        return 8
    case .free, .epoll, .listener: return -Int(EBADF)
    }
}

private func transmit(
    _ context: UnsafeMutableRawPointer?, _ descriptor: Int32, _ source: UnsafeRawPointer?, _ count: Int
) -> Int {
    let kernel = kernel(context)
    switch kernel.entry(descriptor, "transmit") {
    case .link(let link): return link.transmit(source!, count)
    case .event(let signals):
        kernel.set(descriptor, .event(count: signals + 1))
        kernel.wake(descriptor)
        return 8
    case .free, .epoll, .listener: return -Int(EBADF)
    }
}

private func endWriting(_ context: UnsafeMutableRawPointer?, _ descriptor: Int32) -> Int32 {
    let kernel = kernel(context)
    switch kernel.entry(descriptor, "shutdown") {
    case .link(let link): return link.endWriting()
    case .listener:
        kernel.stopListening()
        return 0
    case .free, .epoll, .event: return -EBADF
    }
}

private func closeIt(_ context: UnsafeMutableRawPointer?, _ descriptor: Int32) -> Int32 {
    kernel(context).close(descriptor)
}

private func takeError(_ context: UnsafeMutableRawPointer?, _ descriptor: Int32) -> Int32 {
    guard case .link(let link) = kernel(context).entry(descriptor, "getsockopt") else { return EBADF }
    return link.takeError()
}

/// What was made by socket(2) turns out to be a listener.
private func listenOn(_ context: UnsafeMutableRawPointer?, _ descriptor: Int32) -> Int32 {
    kernel(context).set(descriptor, .listener)
    return 0
}

private func control(
    _ context: UnsafeMutableRawPointer?, _ operation: Int32, _ descriptor: Int32, _ events: UInt32,
    _ token: UInt64
) -> Int32 { kernel(context).control(operation, descriptor, events, token) }

private func wait(
    _ context: UnsafeMutableRawPointer?, _ events: UnsafeMutablePointer<epoll_event>?, _ capacity: Int32,
    _ milliseconds: Int32
) -> Int32 { kernel(context).wait(events!, Int(capacity), milliseconds) }

private func nanoseconds(_ context: UnsafeMutableRawPointer?, _ clock: Int32) -> UInt64 {
    kernel(context).read(clock: clock)
}
