import Access
import Fetch
import JSON
import Signatures
import Store
import Synchronization
import Testing

@testable import Identity
@testable import gatepost_lab

/// Everything that travels sealed through the browser, with every character changed, cut at every place, and of another
/// gateway: no code is sent to the provider for it and no session comes of it.
@Suite("Forged login cookies, states and codes")
struct ForgedValueTests {
    enum Place: String, CaseIterable, Sendable {
        case request, state, authCookie, code, applicationCookie
    }

    /// A browser just before the step that reads the value, the step's address, and the value.
    private struct Moment {
        var visitor: Visitor
        var url: String
        var value: String
    }

    private func moment(_ place: Place, _ stage: Stage) async throws -> Moment {
        let visitor = Visitor(stage)
        let begun = try #require(await visitor.step("https://wiki.corp.example/deep")?.url)
        if place == .request {
            return Moment(visitor: visitor, url: begun, value: try parameter("request", begun))
        }
        let authorize = try #require(await visitor.step(begun)?.url)
        let callback = try #require(try visitor.answerForm(authorize).location)
        if place == .state {
            return Moment(visitor: visitor, url: callback, value: try parameter("state", callback))
        }
        if place == .authCookie {
            let cookie = try #require(visitor.jars[Stage.authHost]?.first?.value)
            return Moment(visitor: visitor, url: callback, value: cookie)
        }
        let handoff = try #require(await visitor.step(callback)?.url)
        if place == .code {
            return Moment(visitor: visitor, url: handoff, value: try parameter("code", handoff))
        }
        let cookie = try #require(visitor.jars["wiki.corp.example"]?.first?.value)
        return Moment(visitor: visitor, url: handoff, value: cookie)
    }

    private func parameter(_ name: String, _ url: String) throws -> String {
        let mark = try #require(url.firstIndex(of: "?"))
        return try #require(FormText.parse(String(url[url.index(after: mark)...]))?[name])
    }

    /// Takes the step with `forged` in the value's place.
    private func attempt(_ moment: Moment, _ place: Place, _ forged: String) async -> FlowAnswer? {
        let visitor = Visitor(moment.visitor.stage)
        visitor.jars = moment.visitor.jars
        var url = moment.url
        switch place {
        case .request, .state, .code: url = url.replacing(moment.value, with: forged)
        case .authCookie, .applicationCookie:
            let host = place == .authCookie ? Stage.authHost : "wiki.corp.example"
            visitor.jars[host] = visitor.jars[host]?.map {
                ($0.name, $0.value == moment.value ? forged : $0.value)
            }
        }
        let answer = await visitor.step(url)
        #expect(
            !visitor.jars.values.joined().contains { pair in
                pair.name == SessionCookie.name
                    && !moment.visitor.jars.values.joined().contains { $0.value == pair.value }
            }, "a session for \(forged.count) characters")
        return answer
    }

    /// Every character once, by another one of the alphabet.
    private static func changed(_ value: String) -> [String] {
        let bytes = Array(value.utf8)
        return bytes.indices.map { at in
            var other = bytes
            // Bits that base64 has no use for stand in the last character too: each of these is another text.
            other[at] = bytes[at] == UInt8(ascii: "A") ? UInt8(ascii: "B") : UInt8(ascii: "A")
            return String(decoding: other, as: UTF8.self)
        }
    }

    @Test(arguments: Place.allCases)
    func `every character counts, and every cut is nothing`(_ place: Place) async throws {
        let stage = try Stage()
        let moment = try await moment(place, stage)
        let redeemed = stage.provider.evidence.withLock { $0.tokenRequests }
        let rows = try await stage.sessions.map(\.id).sorted()
        let cuts = (0..<moment.value.utf8.count).map { String(moment.value.prefix($0)) }
        for forged in Self.changed(moment.value) + cuts + [moment.value + "A", moment.value + "="] {
            let answer = await attempt(moment, place, forged)
            #expect(answer?.url?.contains("/handoff?code=") != true)
            if place == .request || place == .state {
                #expect(answer?.refusal?.reason == .loginStateLost, "\(forged.utf8.count)")
            }
        }
        #expect(stage.provider.evidence.withLock { $0.tokenRequests } == redeemed)
        #expect(try await stage.sessions.map(\.id).sorted() == rows)
        // The value itself is still good.
        #expect(try await moment.visitor.go(moment.url).session?.email == "alice@corp.example")
    }

    @Test(arguments: Place.allCases)
    func `what another gateway sealed, or this one under a key that is gone, is nothing`(
        _ place: Place
    ) async throws {
        let stage = try Stage()
        let foreign = try await moment(place, try Stage()).value
        let own = try await moment(place, stage)
        let redeemed = stage.provider.evidence.withLock { $0.tokenRequests }
        let answer = await attempt(own, place, foreign)
        #expect(answer?.url?.contains("/handoff?code=") != true)
        #expect(stage.provider.evidence.withLock { $0.tokenRequests } == redeemed)
    }

    @Test func `every sealed value in every other one's place is nothing`() async throws {
        let stage = try Stage()
        for place in Place.allCases {
            for other in Place.allCases where other != place {
                let own = try await moment(place, stage)
                let redeemed = stage.provider.evidence.withLock { $0.tokenRequests }
                let foreign = try await moment(other, stage).value
                let between = stage.provider.evidence.withLock { $0.tokenRequests } - redeemed
                let answer = await attempt(own, place, foreign)
                #expect(answer?.url?.contains("/handoff?code=") != true, "\(other) as \(place)")
                let after = stage.provider.evidence.withLock { $0.tokenRequests } - redeemed
                #expect(after == between, "\(other) as \(place)")
            }
        }
    }
}
