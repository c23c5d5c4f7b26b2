import Glibc
import Synchronization

/// The pthreads of the data plane. A reactor is handed to its thread once and touched by nobody else.
final class Threads: @unchecked Sendable {
    // Unchecked because reactors and thread numbers are no Sendable values: they are written before `start…`
    // and read by the one caller that starts and joins.
    private var waiting: [Unmanaged<Reactor>] = []
    private var reactors: [pthread_t] = []
    private var log: pthread_t?

    deinit { for reactor in waiting { reactor.release() } }

    func prepare(_ reactor: Reactor) { waiting.append(Unmanaged.passRetained(reactor)) }

    func startReactors() {
        for reactor in waiting {
            if let thread = Self.start(reactor.toOpaque(), runReactor) { reactors.append(thread) }
        }
        waiting = []
    }

    func startLog(_ thread: LogThread) {
        log = Self.start(Unmanaged.passRetained(thread).toOpaque(), runLog)
    }

    func joinReactors() {
        for thread in reactors { pthread_join(thread, nil) }
        reactors = []
    }

    func joinLog() {
        if let log { pthread_join(log, nil) }
        log = nil
    }

    private static func start(
        _ argument: UnsafeMutableRawPointer,
        _ body: @convention(c) (UnsafeMutableRawPointer?) -> UnsafeMutableRawPointer?
    ) -> pthread_t? {
        var thread = pthread_t()
        let result = pthread_create(&thread, nil, body, argument)
        precondition(result == 0, "pthread_create: error \(result)")
        return thread
    }
}

private func runReactor(_ argument: UnsafeMutableRawPointer?) -> UnsafeMutableRawPointer? {
    guard let argument else { return nil }
    // Takes over the reference of `prepare`: the reactor is destroyed on its own thread.
    let reactor = Unmanaged<Reactor>.fromOpaque(argument).takeRetainedValue()
    CrashNotes.enter(reactor)
    Liveness.enter()
    reactor.run()
    CrashNotes.leave(reactor.number)
    return nil
}

private func runLog(_ argument: UnsafeMutableRawPointer?) -> UnsafeMutableRawPointer? {
    guard let argument else { return nil }
    Unmanaged<LogThread>.fromOpaque(argument).takeRetainedValue().run()
    return nil
}
