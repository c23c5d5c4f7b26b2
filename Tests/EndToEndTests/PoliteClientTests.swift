import Foundation
import Testing

extension EndToEnd.Attacks {
    @Suite("A polite client while another address abuses the gateway")
    struct PoliteClientTests {
        struct Report: Decodable {
            var polite: Int
            var lost: [String]
            var p50: Double
            var p99: Double
            var rssBefore: Int
            var rssPeak: Int
            var cpuSeconds: Double
            var seconds: Double
            var attempts: Int

            enum CodingKeys: String, CodingKey {
                case polite, lost, seconds, attempts
                case p50 = "p50_ms"
                case p99 = "p99_ms"
                case rssBefore = "rss_before"
                case rssPeak = "rss_peak"
                case cpuSeconds = "cpu_seconds"
            }
        }

        private static let growthBytesMax = 16 << 20

        private func abuse(_ kind: String, of gateway: String = "gateway", port: Int = AttackStage.port)
            throws -> Report
        {
            let stage = try AttackStage.current()
            let job = try stage.job(
                [
                    "host": "python.corp.test", "pid": Int(try stage.child(gateway).pid), "abuse": kind,
                    "seconds": 3,
                ], port: port)
            let json = try stage.run(
                "/usr/bin/python3", ["-B", AttackStage.file("abuse.py"), job], seconds: 100)
            let report = try JSONDecoder().decode(Report.self, from: Data(json.utf8))
            let growth = (report.rssPeak - report.rssBefore) / 1_024
            print(
                "measured: \(kind): \(report.polite) polite requests, \(report.lost.count) lost, p50 \(report.p50) ms, "
                    + "p99 \(report.p99) ms, +\(growth) KiB, \(report.attempts) attempts, \(report.cpuSeconds) s of CPU"
            )
            return report
        }

        @Test(
            "it loses no request, and the process grows by 16 MB at most",
            arguments: [
                "silent", "handshakes", "garbage", "head_dribble", "body_dribble", "never_reading",
                "large_heads", "malformed", "forged_cookies", "h2_rapid_reset", "h2_continuation",
                "h2_hpack_bomb",
                "h2_pings", "h2_settings", "h2_zero_window", "h2_data_dribble", "h2_stalled_uploads",
            ])
        func losesNothing(_ kind: String) throws {
            let report = try abuse(kind)
            #expect(report.lost.isEmpty, "\(report.lost)")
            #expect(report.polite > 10)
            #expect(report.attempts > 0)
            let growth = report.rssPeak - report.rssBefore
            #expect(growth <= Self.growthBytesMax, "\(growth) bytes")
        }

        @Test("with no descriptor left who is there stays, the gateway does not spin, and it recovers")
        func noDescriptors() throws {
            let stage = try AttackStage.current()
            let port = AttackStage.port + 1
            try stage.startGateway("narrow", port: port, descriptors: 100)
            defer { stage.stop("narrow") }
            let report = try abuse("exhaust", of: "narrow", port: port)
            #expect(report.lost.isEmpty, "\(report.lost)")
            #expect(report.polite > 10)
            #expect(report.cpuSeconds < report.seconds * 0.7, "\(report.cpuSeconds) s in \(report.seconds) s")
            let said = try stage.child("narrow").output
            #expect(said.contains("\"event\":\"descriptors-exhausted\""))
            // The abuser is gone: everybody is served again.
            let job = try stage.job(
                [
                    "cases": [
                        [
                            "name": "", "host": "python.corp.test",
                            "parts": [
                                Array("GET / HTTP/1.1\r\nHost: python.corp.test\r\n\r\n".utf8)
                                    .map { String(format: "%02x", $0) }.joined()
                            ],
                        ]
                    ]
                ], port: port)
            try poll("the narrow gateway to serve again", every: 0.5) {
                try stage.run("/usr/bin/python3", ["-B", AttackStage.file("raw.py"), job]).contains(
                    "\"status\": 200"
                )
                .whenTrue
            }
        }
    }
}
