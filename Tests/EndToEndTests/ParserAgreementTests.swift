import Foundation
import Testing

extension EndToEnd.Attacks {
    @Suite("What independent parsers read of what the gateway sends")
    struct ParserAgreementTests {
        private func agree(
            _ seed: Int, count: Int, over version: Attack.Version = .http1, asSent: Bool = false
        ) throws -> String {
            let stage = try AttackStage.current()
            let hosts = AttackStage.parsers.mapValues { _ in "" }.reduce(into: [String: String]()) {
                $0[$1.key] = "\($1.key).corp.test"
            }
            let job = try stage.job([
                "log": stage.path("gateway.log"), "seed": seed, "count": count, "hosts": hosts,
                "as_sent": asSent, "http2": version == .http2,
            ])
            let python = try version == .http2 ? Programs.httpClients() : "/usr/bin/python3"
            return try stage.run(python, ["-B", AttackStage.file("agree.py"), job], seconds: 110)
        }

        @Test(
            "Python, Node (also over HTTP/2), nginx and Apache read exactly the request that was judged, and no other",
            arguments: [1, 2, 3, Int.random(in: 4...1_000_000_000)], Attack.Version.allCases)
        func agreement(_ seed: Int, over version: Attack.Version) throws {
            let said = try agree(seed, count: 120, over: version)
            #expect(
                said == "agreed: 120 of 120 requests by 5 parsers\n",
                "seed \(seed) over \(version): \(said.prefix(3_000))")
        }

        @Test(
            "the comparison sees a path that arrives in another spelling than the one that was judged",
            arguments: Attack.Version.allCases)
        func theComparisonCanFail(over version: Attack.Version) throws {
            let said = try agree(1, count: 60, over: version, asSent: true)
            #expect(said.contains("path judged: got"), "\(said.suffix(300))")
            #expect(!said.contains("agreed: 60 of 60"))
        }
    }
}
