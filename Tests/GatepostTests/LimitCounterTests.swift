import Foundation
import Testing

@testable import Config
@testable import DataPlane

/// Whoever adds a limit says where it is counted, or this fails.
@Suite("Every limit has a counter that an administrator finds")
struct LimitCounterTests {
    /// What `gatepost status` shows of the reactors, by the words that it uses.
    private static let counters = Set(ReactorMetrics(ReactorCounters()).counters.keys)
    /// Of the control plane: among the device checks.
    private static let ofDeviceChecks: Set = ["first-contact-expired"]

    @Test("the counters that a key names exist", arguments: LimitsSection.counters.keys.sorted())
    func exists(_ key: String) throws {
        let named = try #require(LimitsSection.counters[key])
        #expect(!named.isEmpty, "gateway.limits.\(key) is counted nowhere")
        for counter in named {
            #expect(
                Self.counters.contains(counter) || Self.ofDeviceChecks.contains(counter),
                "gateway.limits.\(key): gatepost status has no \(counter)")
        }
    }

    @Test func `each key of the section has its counters, and its line of the reference names them`() {
        let keys = LimitsSection.table.keys
        #expect(Set(keys.map(\.name)) == Set(LimitsSection.counters.keys))
        #expect(keys.count > 25)
        for key in keys {
            for counter in LimitsSection.counters[key.name] ?? [] {
                #expect(key.summary.contains("`\(counter)`"), "gateway.limits.\(key.name)")
            }
        }
    }

    /// Two limits that are met together count together; all others are told apart.
    @Test func `no counter stands for two limits that are met apart`() {
        let together: Set = ["body-rate-min", "body-patience"]
        var keys: [String: [String]] = [:]
        for (key, counters) in LimitsSection.counters where !together.contains(key) {
            for counter in counters { keys[counter, default: []].append(key) }
        }
        for (counter, keys) in keys { #expect(keys.count == 1, "\(counter): \(keys.sorted())") }
    }
}
