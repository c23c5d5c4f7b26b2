import Foundation
import Testing

extension EndToEnd.Attacks {
    @Suite("What independent parsers read of what the gateway sends")
    struct ParserAgreementTests {
        private func agree(_ seed: Int, count: Int, asSent: Bool = false) throws -> String {
            let stage = try AttackStage.current()
            let hosts = AttackStage.parsers.mapValues { _ in "" }.reduce(into: [String: String]()) {
                $0[$1.key] = "\($1.key).corp.test"
            }
            let job = try stage.job([
                "log": stage.path("gateway.log"), "seed": seed, "count": count, "hosts": hosts,
                "as_sent": asSent,
            ])
            return try stage.run("/usr/bin/python3", ["-B", AttackStage.file("agree.py"), job], seconds: 110)
        }

        @Test(
            "Python, Node, nginx and Apache read exactly the request that was judged, and no other",
            arguments: [1, 2, 3, Int.random(in: 4...1_000_000_000)])
        func agreement(_ seed: Int) throws {
            let said = try agree(seed, count: 120)
            #expect(
                said == "agreed: 120 of 120 requests by 4 parsers\n", "seed \(seed): \(said.prefix(3_000))")
        }

        @Test("the comparison sees a path that arrives in another spelling than the one that was judged")
        func theComparisonCanFail() throws {
            let said = try agree(1, count: 60, asSent: true)
            #expect(said.contains("path judged: got"), "\(said.suffix(300))")
            #expect(!said.contains("agreed: 60 of 60"))
        }
    }
}
