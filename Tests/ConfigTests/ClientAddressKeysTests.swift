import Access
import Testing

@testable import Config

@Suite("Whose word counts for a client's address")
struct ClientAddressKeysTests {
    let folder: ConfigFolder
    init() throws { folder = try ConfigFolder() }

    private func text(_ keys: String) -> String {
        Sample.text.replacing("certificates: [ {", with: keys + ", certificates: [ {")
    }

    @Test func `without them nobody is believed`() throws {
        try folder.write("gatepost.yaml", Sample.text)
        let listener = try #require(try folder.load().gateway.listeners.first)
        #expect(listener.clientAddresses == ClientAddressSettings())
    }

    @Test func `every key reaches its setting`() throws {
        try folder.write(
            "gatepost.yaml",
            text(
                "proxy-protocol: { from: [10.0.0.8/31] }, forwarded: { from: [\"2001:db8::/32\"], field: forwarded }"
            ))
        let settings = try #require(try folder.load().gateway.listeners.first).clientAddresses
        #expect(settings.proxyProtocolFrom == [NetworkRange(parsing: "10.0.0.8/31")])
        #expect(settings.forwardedFrom == [NetworkRange(parsing: "2001:db8::/32")])
        #expect(settings.readsForwardedField)
    }

    @Test(
        "what names no balancer is refused",
        arguments: [
            "proxy-protocol: {}", "proxy-protocol: { from: [] }", "proxy-protocol: true",
            "proxy-protocol: { from: [0.0.0.0/0] }", "proxy-protocol: { from: [\"::/0\"] }",
            "proxy-protocol: { from: [10.0.0.1/8] }", "proxy-protocol: { from: [balancer.test] }",
            "proxy-protocol: { from: [10.0.0.1], version: 1 }", "forwarded: { from: [10.0.0.0/33] }",
            "forwarded: { from: [10.0.0.1], field: x-real-ip }", "forwarded: { field: forwarded }",
        ])
    func refused(_ keys: String) throws {
        let problems = try folder.problems(text(keys))
        let key = String(keys.prefix { $0 != ":" })
        #expect(problems.contains { $0.contains("gateway.listeners[0].\(key)") }, "\(problems)")
    }
}
