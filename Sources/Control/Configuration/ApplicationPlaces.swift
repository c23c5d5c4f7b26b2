import Access
import Config

/// Where each application stands in a configuration, by its name: found once, because thousands of sessions that are
/// decided anew in one change would walk a list of a thousand applications each.
struct ApplicationPlaces: Sendable {
    private struct Place: Sendable {
        var policy: Int?
        var settings: Int?
    }
    private let config: ConfigSnapshot
    private var places: [String: Place] = [:]

    init(_ config: ConfigSnapshot) {
        self.config = config
        // The first of a name counts; names are unique in what a configuration file can say.
        for (index, application) in config.policy.applications.enumerated()
        where places[application.name]?.policy == nil {
            places[application.name, default: Place()].policy = index
        }
        for (index, settings) in config.applications.enumerated()
        where places[settings.name]?.settings == nil {
            places[settings.name, default: Place()].settings = index
        }
    }

    /// The policies of an application.
    func policy(_ name: String) -> Application? {
        places[name]?.policy.map { config.policy.applications[$0] }
    }

    /// The settings of an application.
    func settings(_ name: String) -> ApplicationSettings? {
        places[name]?.settings.map { config.applications[$0] }
    }
}
