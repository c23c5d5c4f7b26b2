@testable import DataPlane

/// What must be true of the streams of a session that has ended: from that turn on nothing of them moves, every turn
/// ends as many as it may, and none is open when the promised number of turns is over.
final class CutLaw {
    private struct Ended {
        var open: [SimulatedUpstream]
        /// The last turn in which any of them may be open.
        let lastTurn: Int
    }

    private unowned let world: Simulation
    private var sessions: [Ended] = []
    /// The most streams that one turn has ended, and in how many turns some were.
    private(set) var cutInOneTurnMax = 0
    private(set) var turnsOfCutting = 0
    /// In how many that could be, by the streams that were open when their session ended.
    private(set) var turnsPossible = 0
    /// Between the first turn of the cutting and the last: requests of others that went upstream, and those of the
    /// ended session that were refused.
    private(set) var othersForwarded = 0
    private(set) var refused = 0
    private var isCutting = false

    init(_ world: Simulation) { self.world = world }

    /// A session has just ended: the turn that begins now applies it.
    func ended(_ number: UInt8, among upstreams: [SimulatedUpstream]) {
        let open = upstreams.filter { $0.openStream?.sessionNumber == number }
        for upstream in open {
            upstream.isCut = true
            upstream.openStream?.client?.lost()
        }
        turnsPossible += (open.count + world.profile.cutsPerTurn - 1) / world.profile.cutsPerTurn
        // Whatever the gateway has open may stand in front of them.
        let ahead = max(1, upstreams.count { $0.isOccupied })
        let turns = (ahead + world.profile.cutsPerTurn - 1) / world.profile.cutsPerTurn
        sessions.append(Ended(open: open, lastTurn: world.kernel.turn + turns - 1))
    }

    /// - Parameter turn: the turn that is over.
    func check(after turn: Int) {
        var cut = 0
        for index in sessions.indices {
            let before = sessions[index].open.count
            sessions[index].open.removeAll { $0.openStream == nil }
            cut += before - sessions[index].open.count
            for upstream in sessions[index].open {
                guard let request = upstream.openStream else { continue }
                if let told = request.client?.toldSinceLoss, told > 0 {
                    world.kernel.fault("request \(request.id) is answered on after its session's end")
                }
                if turn >= sessions[index].lastTurn {
                    world.kernel.fault(
                        "the stream of request \(request.id) is open after the turn that was to end it")
                }
            }
        }
        sessions.removeAll { $0.open.isEmpty || turn >= $0.lastTurn }
        isCutting = cut > 0 && !sessions.isEmpty
        if cut > 0 { turnsOfCutting += 1 }
        cutInOneTurnMax = max(cutInOneTurnMax, cut)
    }

    func forwarded(_ request: ModelRequest) {
        if isCutting { othersForwarded += 1 }
    }

    func answered(_ request: ModelRequest, reason: String?) {
        if isCutting, reason != nil, request.sessionNumber != nil { refused += 1 }
    }
}
