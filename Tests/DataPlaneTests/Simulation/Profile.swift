@testable import DataPlane

/// What goes wrong in one simulation. Where nothing does, every answer must be exactly the expected one.
struct Profile: CustomStringConvertible {
    var movesMuch = false
    var clientsMisbehave = false
    var upstreamsMisbehave = false
    var upstreamsCloseIdle = false
    var controlMisbehaves = false
    var kernelFails = false
    var revokes = false
    var reloads = false
    var reloadsOften = false
    /// Fewer sessions are kept than are used: who comes last may be refused.
    var hasSmallCache = false
    var hasShortRecords = false
    var hasSlowReaders = false
    var hasTLSUpstreams = false
    /// Fewer places than clients.
    var isCrowded = false
    /// The order to stop comes while requests are open.
    var drainsEarly = false
    /// Connections may be idle for moments only: somebody's deadline passes all the time, and requests are lost.
    var restsShortly = false
    /// Streams that the reactor ends in one turn.
    var cutsPerTurn = 2
    /// Clients beside the others, each with a stream of the same session, which ends soon (`planStreams`).
    var streams = 0
    /// When all is quiet, revocations come as fast as they are applied.
    var floodsRevocations = false
    /// Planted: revocations are said to be sent and are not.
    var withholdsRevocations = false
    /// Planted: they come so many turns later than is said.
    var revocationsLateTurns = 0
    /// Planted: a turn ends one stream, whatever was promised.
    var cutsTooFew = false

    static let calm = Profile()

    /// A quarter of all seeds is calm; of the others each has a few kinds of trouble.
    init(_ random: inout SeededGenerator) {
        movesMuch = random.chance(10)
        hasTLSUpstreams = random.chance(20)
        reloads = random.chance(25)
        hasShortRecords = random.chance(20)
        hasSlowReaders = random.chance(20)
        guard !random.chance(25) else { return }
        clientsMisbehave = random.chance(35)
        upstreamsMisbehave = random.chance(35)
        upstreamsCloseIdle = random.chance(25)
        controlMisbehaves = random.chance(20)
        kernelFails = random.chance(15)
        revokes = random.chance(40)
        hasSmallCache = random.chance(15)
        isCrowded = random.chance(8)
        drainsEarly = random.chance(10)
        cutsPerTurn = random.pick([1, 2, Reactor.cutsPerTurnMax])
    }

    init() {}

    var description: String {
        let set = Mirror(reflecting: self).children.filter { $0.value as? Bool == true }
        return set.isEmpty ? "none" : set.compactMap(\.label).joined(separator: ", ")
    }
}
