@testable import DataPlane

/// The order of every turn, as far as system calls show it: what was revoked before it is in force before anybody is
/// served; whoever was ready is served before a deadline passes; and newcomers come last.
final class TurnLaw {
    private unowned let world: Simulation
    private unowned let reactor: Reactor
    /// Revocations that were sent before the turn began, and deadlines that had passed.
    private var sent: UInt64 = 0
    private var passed: UInt64 = 0
    private var hasCalled = false
    private var hasAccepted = false
    /// Connections in their handshake that epoll called readable. Nothing keeps a reactor from reading those.
    private var waiting: Set<ObjectIdentifier> = []
    private var hasServed = false
    /// Turns in which deadlines passed and one of those was ready: only they tell which came first.
    private(set) var telling = 0

    init(_ world: Simulation, _ reactor: Reactor) {
        self.world = world
        self.reactor = reactor
    }

    func began(_ readable: [Link]) {
        let handshaking = readable.filter { ($0.peer as? SimulatedClient)?.isHandshaking == true }
        waiting = Set(handshaking.map(ObjectIdentifier.init))
        sent = world.control.sequence
        passed = reactor.counters.value(.deadlinesPassed)
        hasCalled = false
        hasAccepted = false
        hasServed = false
    }

    /// The turn is over.
    func ended() {
        if hasServed, reactor.counters.value(.deadlinesPassed) > passed { telling += 1 }
    }

    func called(_ call: SimulatedKernel.Call) {
        if !hasCalled, reactor.counters.value(.revocations) < sent {
            world.kernel.fault("somebody is served in front of a revocation")
        }
        hasCalled = true
        guard case .moves(let link) = call else {
            hasAccepted = true
            return
        }
        if hasAccepted { world.kernel.fault("bytes move behind newcomers") }
        guard waiting.remove(ObjectIdentifier(link)) != nil else { return }
        hasServed = true
        if reactor.counters.value(.deadlinesPassed) > passed {
            world.kernel.fault("a deadline passed in front of somebody who was ready")
        }
    }
}
