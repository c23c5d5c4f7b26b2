import Testing

@testable import Config
@testable import Posture

@Suite("Configuration and connectors")
struct ProviderNameTests {
    @Test("every kind of provider that can be configured has a connector, and the other way round")
    func names() {
        // A Shared Signals transmitter is not asked: it is heard.
        let heard = [SignalStreamSettings.provider]
        #expect(Set(ProviderKind.all.map(\.name)) == Set(Vendor.all.map(\.name) + heard))
        #expect(ProviderKind.all.count == Vendor.all.count + heard.count, "no name comes twice")
    }
}
