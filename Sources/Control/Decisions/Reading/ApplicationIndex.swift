import Access

/// Where each application stands in a policy, by its name: to walk a list of a thousand for every decision takes longer
/// than to decide it.
struct ApplicationIndex: Sendable {
    private let places: [ExactKey: Int]

    init(_ policy: PolicySnapshot) {
        // The first of a name counts, as it does where the list is walked.
        places = Dictionary(
            policy.applications.enumerated().map { (ExactKey($0.element.name), $0.offset) },
            uniquingKeysWith: { first, _ in first })
    }

    /// nil: the policy has none of that name.
    func place(of name: String) -> Int? { places[ExactKey(name)] }
}
