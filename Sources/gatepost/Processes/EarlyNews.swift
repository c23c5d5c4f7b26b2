/// What data processes say to a control process that begins. That one joins counts at once: revocations are numbered
/// on from it. What is asked waits until all that decides is loaded: an answer that is made without it would be kept,
/// and refuse people whose devices were not read yet.
final class EarlyNews<Plane: Sendable, News: Sendable>: Sendable {
    private struct State {
        var plane: Plane?
        var isOpen = false
        var kept: [News] = []
    }
    private let state = LockedValue(State())
    private let counts: @Sendable (News) -> Bool
    private let take: @Sendable (News, Plane, EarlyNews) -> Void

    /// - Parameters:
    ///   - counts: whether a piece of news counts at once.
    ///   - take: hands it on; called from the threads that bring the news. What it comes to may be news again.
    init(
        countsAtOnce counts: @escaping @Sendable (News) -> Bool,
        _ take: @escaping @Sendable (News, Plane, EarlyNews) -> Void
    ) {
        self.counts = counts
        self.take = take
    }

    func tell(_ news: News) {
        var ready: Plane?
        state.change {
            ready = $0.isOpen || counts(news) ? $0.plane : nil
            if ready == nil { $0.kept.append(news) }
        }
        if let ready { take(news, ready, self) }
    }

    /// From now on what counts at once reaches the plane, first of all what came before.
    func begin(_ plane: Plane) {
        drain(of: counts) {
            $0.plane = plane
        } through: {
            take($0, plane, self)
        }
    }

    /// From now on everything does, what waited in the order in which it came.
    func open(_ plane: Plane) {
        drain(of: { _ in true }) {
            $0.isOpen = true
        } through: {
            take($0, plane, self)
        }
    }

    /// Takes what is kept until nothing is left; in the same step what comes later goes to the plane itself.
    private func drain(
        of wanted: (News) -> Bool, _ finish: (inout State) -> Void, through take: (News) -> Void
    ) {
        while true {
            var next: [News] = []
            state.change {
                next = $0.kept.filter(wanted)
                $0.kept.removeAll(where: wanted)
                if next.isEmpty { finish(&$0) }
            }
            if next.isEmpty { return }
            for news in next { take(news) }
        }
    }
}
