import Foundation

/// Orders to read the configuration again: one at a time, none lost. What is ordered while one is carried out is
/// carried out once more, because the files may have changed after they were read; and what is ordered before there is
/// anybody to carry it out waits.
final class ReloadOrders<Plane: Sendable>: Sendable {
    private struct State {
        var plane: Plane?
        var isOrdered = false
    }
    private let state = Watched(State())

    /// - Parameter reload: carries out one order; on a thread of its own.
    init(_ reload: @escaping @Sendable (Plane) -> Void) {
        Thread.detachNewThread { [state] in
            while true {
                let plane = state.wait { state -> Plane? in
                    guard state.isOrdered, let plane = state.plane else { return nil }
                    state.isOrdered = false
                    return plane
                }
                if let plane { reload(plane) }
            }
        }
    }

    func order() { state.change { $0.isOrdered = true } }

    /// From now on orders are carried out.
    func begin(_ plane: Plane) { state.change { $0.plane = plane } }
}
