import Testing

@testable import DataPlane

@Suite("The end of an answer over HTTP/2")
struct HTTP2TailTests {
    /// Beside what one flush takes (96 KiB) and what its stream keeps.
    static let sizes = Array(stride(from: 60_000, through: 460_000, by: 13_337))

    @Test(
        "comes without a word of a client whose windows and socket have room for all of it", arguments: sizes)
    func silentClient(_ bytes: Int) throws {
        let origin = TestOrigin { connection in
            let body = String(repeating: "x", count: bytes)
            while connection.readHead() != nil { connection.answer(body) }
        }
        let gateway = try Gateway([Facts.open(origin.port)])
        // RFC 9113 §6.5.2: SETTINGS_INITIAL_WINDOW_SIZE; §6.9: the connection has a window of its own.
        let client = try HTTP2Client(gateway, settings: [(4, 1 << 24)])
        client.givesWindow = false
        client.send(HTTP2Frame.bytes(.windowUpdate, 0, 0, HTTP2Frame.big(1 << 24)))
        let answer = client.get(1)
        #expect(answer?.isEnded == true, "\(answer?.body.count ?? 0) of \(bytes) bytes came")
        #expect(answer?.body.count == bytes)
    }
}
