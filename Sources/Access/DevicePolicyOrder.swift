/// In which order the device policies of each platform are asked: by priority, those of one priority by name. Made once
/// for a snapshot, since every decision about a device asks for it.
struct DevicePolicyOrder: Sendable {
    /// Indices of `PolicySnapshot.devicePolicies`; a platform without policies is not there.
    private let platforms: [(platform: Platform, places: [Int])]

    init(_ policies: [DevicePolicy]) {
        platforms = Platform.allCases.compactMap { platform in
            let places = policies.indices.filter { policies[$0].platform == platform }.sorted {
                (policies[$0].priority, policies[$0].name) < (policies[$1].priority, policies[$1].name)
            }
            return places.isEmpty ? nil : (platform, places)
        }
    }

    /// The places of the policies for devices of a platform; nil: of one that is not known.
    func places(of platform: Platform?) -> [Int] {
        platforms.first { $0.platform == platform }?.places ?? []
    }
}

extension DevicePolicyOrder: Hashable {
    /// Two of the same policies are the same; the policies themselves are compared beside them.
    static func == (left: DevicePolicyOrder, right: DevicePolicyOrder) -> Bool { true }
    func hash(into hasher: inout Hasher) {}
}
