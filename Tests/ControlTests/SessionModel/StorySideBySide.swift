@testable import Control

/// Tabs of one browser that sign in at the same moment.
extension SessionStory {
    /// Two tabs begin before either has an answer, and come back before either has one; then perhaps the person signs
    /// out, before or after the provider has spoken.
    func sideBySide(_ index: Int) async throws {
        guard browsers[index].signIn.map({ model.signIns[$0] == nil }) ?? true else { return }
        let before = browsers[index].jars
        let count = callbacks.count
        var all = before
        for application in ModelConfig.applications {
            let accepted = (model.config.accepted[application] ?? []).filter {
                model.config.providers.contains($0)
            }
            browsers[index].jars = before
            try await beginSignIn(index, application, wanted: accepted.randomElement(using: &chance))
            // In one slot the later one displaces the earlier.
            for (host, jar) in browsers[index].jars {
                for (name, value) in jar where before[host]?[name] != value {
                    all[host, default: [:]][name] = value
                }
            }
        }
        browsers[index].jars = all
        guard callbacks.count == count + 2 else { return }
        meet("tabs side by side")
        for _ in 0..<2 { try await comeBack(count) }
        let isLate = isLikely(1, of: 4)
        for _ in 0..<2 where !isLate { try await answerSideBySide(index) }
        guard isLikely(1, of: 2) else { return }
        try await run(signOut(index, everywhere: false), kind: .signOut)
        try await finishCallbacks()
    }

    /// The provider grants one of the two, whichever is asked about.
    private func answerSideBySide(_ index: Int) async throws {
        let held = house.provider.held
        guard held > 0 else { return }
        say(.granted, to: isLikely(1, of: 2) ? held - 1 : max(0, held - 2))
        await house.settle()
        try await finishCallbacks()
        if let place = handoffs.lastIndex(where: { $0.browser == index }) { try await handOff(place) }
    }
}
