import Border
import Foundation
import Synchronization
import Testing

@testable import DataPlane

@Suite("HTTP/2 towards upstreams")
struct HTTP2UpstreamTests {
    @Test func `an HTTP/1.1 client is answered by an h2c upstream, and the next one on the same connection`()
        throws
    {
        let origin = HTTP2Origin.echo()
        let gateway = try Gateway([HTTP2Origin.route(origin.port)])
        for number in 0..<3 {
            let answer = try #require(try gateway.client().get("/a/\(number)?b=c", fields: "X-Mine: 1\r\n"))
            #expect(answer.status == 200 && answer.isComplete)
            #expect(
                answer.text.hasPrefix(
                    ":method: GET\r\n:scheme: http\r\n:path: /a/\(number)?b=c\r\n:authority: wiki.test\r\n"))
            #expect(answer.text.contains("\r\nx-mine: 1\r\n"))
            #expect(answer.text.contains("\r\ngatepost-request-id: "))
            for name in ["host", "connection", "transfer-encoding", "upgrade"] {
                #expect(!answer.text.contains("\r\n\(name): "))
            }
        }
        #expect(origin.connectionCount == 1)
    }
}
