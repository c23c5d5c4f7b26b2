import Foundation
import Testing

@testable import Config

@Suite("gateway.listeners[].protocols")
struct ProtocolsKeyTests {
    private func text(_ key: String) throws -> String {
        try Sample.replacing("key: key.pem } ] } ]", "key: key.pem } ]\(key) } ]")
    }

    @Test(arguments: [
        ("", true), (", protocols: [h2, http/1.1]", true), (", protocols: [http/1.1, h2]", true),
        (", protocols: [http/1.1]", false),
    ])
    func `HTTP/2 is offered unless the list leaves it out`(_ key: String, _ isOffered: Bool) throws {
        let folder = try ConfigFolder()
        try folder.write("gatepost.yaml", text(key))
        #expect(try folder.load().gateway.listeners[0].offersHTTP2 == isOffered)
    }

    @Test(arguments: [
        (", protocols: [h2]", "lacks http/1.1"), (", protocols: []", "list is empty"),
        (", protocols: [http/1.1, spdy]", "is not known"), (", protocols: h2", "must be a list"),
        (", protocols: [http/1.1, http/1.1]", "listed twice"),
    ])
    func `a list that cannot be meant is an error`(_ key: String, _ problem: String) throws {
        let folder = try ConfigFolder()
        #expect(try folder.problems(text(key)).contains { $0.contains(problem) })
    }

    @Test func `as many listeners as a number can tell apart are enough`() throws {
        let folder = try ConfigFolder()
        func text(_ count: Int) throws -> String {
            let more = (1..<count).map {
                ", { address: \"127.0.0.1:\($0)\", certificates: [ { chain: chain.pem, key: key.pem } ] }"
            }
            return try self.text(", protocols: [http/1.1] }" + more.joined())
                .replacingOccurrences(of: "] } } ]", with: "] } ]")
        }
        try folder.write("gatepost.yaml", text(1_024))
        #expect(try folder.load().gateway.listeners.count == 1_024)
        let problems = try folder.problems(text(1_025))
        #expect(problems.contains { $0.contains("gateway.listeners: is a list of 1025") }, "\(problems)")
    }
}
