import Testing

@testable import Config

@Suite("Where requests go, and how")
struct UpstreamsKeyTests {
    let folder: ConfigFolder
    init() throws { folder = try ConfigFolder() }

    private func wiki(_ upstreams: String) throws -> ApplicationSettings {
        try folder.write("gatepost.yaml", text(upstreams))
        return try #require(try folder.load().applications.first)
    }

    private func text(_ upstreams: String) -> String {
        Sample.text.replacing("[ \"http://127.0.0.1:8080\" ]", with: upstreams)
    }

    @Test func `a list of URLs is all that it takes`() throws {
        let wiki = try wiki("[ \"http://127.0.0.1:8080\", \"http://[::1]:8081\" ]")
        #expect(wiki.upstreams.map(\.host) == ["127.0.0.1", "::1"])
        #expect(wiki.upstreamUse == UpstreamUseSettings())
    }

    @Test func `every key reaches its setting`() throws {
        let wiki = try wiki(
            "{ endpoints: [ \"https://a.test\", { url: \"https://b.test:8443\", weight: 3 } ], balance: session-hash, "
                + "tls: { authorities: chain.pem, server-name: in.test, certificate: chain.pem, key: key.pem }, "
                + "health: { path: /up, interval: 5s, timeout: 1s, status: [200, 204], healthy: 1, unhealthy: 2 }, "
                + "ejection: { failures: 3, error-share: 50%, time: 10s, time-max: 5m }, retries: 1, connect: 2s, "
                + "first-byte: 30s, idle: 5m, concurrency: 200, queue: 100, queue-wait: 2s, resolve: 10s }")
        #expect(wiki.upstreams.map(\.weight) == [1, 3] && wiki.upstreams[1].port == 8443)
        let use = wiki.upstreamUse
        #expect(use.balance == .sessionHash && use.retries == 1 && use.resolveSeconds == 10)
        #expect(use.tls.serverName == "in.test" && use.tls.authoritiesPEM != nil && !use.tls.isUnverified)
        #expect(use.tls.chainPEM != nil && use.tls.key != nil)
        var health = UpstreamHealthSettings(path: "/up")
        health.intervalSeconds = 5
        health.timeoutSeconds = 1
        health.statuses = [200, 204]
        health.healthyAfter = 1
        health.unhealthyAfter = 2
        #expect(use.health == health)
        var ejection = UpstreamEjectionSettings()
        ejection.failures = 3
        ejection.errorPercent = 50
        ejection.seconds = 10
        ejection.secondsMax = 300
        #expect(use.ejection == ejection)
        #expect(use.connectSeconds == 2 && use.headSeconds == 30 && use.idleSeconds == 300)
        #expect(use.concurrency == 200 && use.queue == 100 && use.queueSeconds == 2)
    }

    @Test func `the scheme says which protocol an endpoint speaks`() throws {
        let wiki = try wiki(
            "{ endpoints: [ \"h2://a.test\", \"https://b.test\", \"h2://[::1]:5\" ], connections: 4 }")
        #expect(wiki.upstreams.map(\.speaksHTTP2) == [true, false, true])
        #expect(wiki.upstreams.map(\.isTLS) == [true, true, true])
        #expect(wiki.upstreams.map(\.port) == [443, 443, 5])
        #expect(wiki.upstreams.map(\.host) == ["a.test", "b.test", "::1"])
        #expect(wiki.upstreamUse.connections == 4)
        let plain = try self.wiki("[ \"h2c://a.test\" ]")
        #expect(
            plain.upstreams.map(\.port) == [80] && !plain.upstreams[0].isTLS && plain.upstreams[0].speaksHTTP2
        )
        #expect(plain.upstreamUse.connections == nil)
    }

    @Test func `ejection can be off, and a long first one makes the longest longer`() throws {
        #expect(
            try wiki("{ endpoints: [ \"http://127.0.0.1:1\" ], ejection: off }").upstreamUse.ejection == nil)
        let long = try wiki("{ endpoints: [ \"http://127.0.0.1:1\" ], ejection: { time: 2m } }").upstreamUse
        #expect(long.ejection?.secondsMax == 120)
    }

    @Test(
        "what would not work is refused, with the key named",
        arguments: [
            ("{}", "upstreams.endpoints: is missing"),
            ("{ endpoints: [] }", "upstreams.endpoints: list is empty"),
            ("[ { url: \"http://a.test\" } ]", "upstreams[0]: must be a single value"),
            ("{ endpoints: [ \"http://a.test\" ], weight: 2 }", "upstreams.weight: is not a key"),
            ("{ endpoints: [ { url: \"http://a.test\", weight: 0 } ] }", "upstreams.endpoints[0].weight"),
            ("{ endpoints: [ { url: \"http://a.test\", weight: 101 } ] }", "upstreams.endpoints[0].weight"),
            (
                "{ endpoints: [ { url: \"http://a.test/x\" } ] }",
                "upstreams.endpoints[0].url: \"http://a.test/x\" has a path"
            ),
            ("{ endpoints: [ \"http://a.test\", \"http://a.test\" ] }", "is listed twice"),
            ("{ endpoints: [ \"http://a.test\", \"https://b.test\" ] }", "mixes http and https"),
            ("{ endpoints: [ \"h2://a.test\", \"h2c://b.test\" ] }", "mixes http and https"),
            ("[ \"h2://a.test/x\" ]", "upstreams[0]: \"h2://a.test/x\" has a path"),
            ("[ \"h3://a.test\" ]", "upstreams[0]"),
            ("[ \"h2c:a.test\" ]", "upstreams[0]"),
            ("{ endpoints: [ \"h2://a.test\" ], connections: 0 }", "upstreams.connections"),
            ("{ endpoints: [ \"h2://a.test\" ], connections: 257 }", "upstreams.connections"),
            ("{ endpoints: [ \"https://a.test\" ], connections: 4 }", "upstreams.connections: has no effect"),
            ("{ endpoints: [ \"http://a.test\" ], balance: random }", "upstreams.balance"),
            (
                "{ endpoints: [ \"http://a.test\" ], tls: { server-name: b.test } }",
                "upstreams.tls: has no effect"
            ),
            (
                "{ endpoints: [ \"https://a.test\" ], tls: { certificate: chain.pem } }",
                "upstreams.tls.certificate: is of no use without key"
            ),
            (
                "{ endpoints: [ \"https://a.test\" ], tls: { key: key.pem } }",
                "upstreams.tls.key: is of no use without certificate"
            ),
            (
                "{ endpoints: [ \"https://a.test\" ], tls: { server-name: \"*.test\" } }",
                "upstreams.tls.server-name"
            ),
            (
                "{ endpoints: [ \"https://a.test\" ], tls: { no-verification: true } }",
                "upstreams.tls.no-verification"
            ),
            (
                "{ endpoints: [ \"https://a.test\" ], tls: { unsafe-no-verification: true, authorities: chain.pem } }",
                "upstreams.tls.authorities: has no effect"
            ),
            ("{ endpoints: [ \"http://a.test\" ], health: { path: up } }", "upstreams.health.path"),
            ("{ endpoints: [ \"http://a.test\" ], health: { path: \"/a b\" } }", "upstreams.health.path"),
            (
                "{ endpoints: [ \"http://a.test\" ], health: { path: /, status: 199 } }",
                "upstreams.health.status"
            ),
            (
                "{ endpoints: [ \"http://a.test\" ], health: { path: /, status: 600 } }",
                "upstreams.health.status"
            ),
            (
                "{ endpoints: [ \"http://a.test\" ], health: { path: /, interval: 0s } }",
                "upstreams.health.interval"
            ),
            ("{ endpoints: [ \"http://a.test\" ], ejection: on }", "upstreams.ejection"),
            (
                "{ endpoints: [ \"http://a.test\" ], ejection: { time: 10s, time-max: 9s } }",
                "upstreams.ejection.time-max"
            ),
            (
                "{ endpoints: [ \"http://a.test\" ], ejection: { error-share: 0% } }",
                "upstreams.ejection.error-share"
            ),
            ("{ endpoints: [ \"http://a.test\" ], retries: 6 }", "upstreams.retries"),
            ("{ endpoints: [ \"http://a.test\" ], queue: 5 }", "upstreams.queue: has no effect"),
            (
                "{ endpoints: [ \"http://a.test\" ], concurrency: 1, queue-wait: 5s }",
                "upstreams.queue-wait: has no effect"
            ),
            ("{ endpoints: [ \"http://a.test\" ], concurrency: 0 }", "upstreams.concurrency"),
            ("{ endpoints: [ \"http://10.0.0.1\" ], resolve: 5s }", "upstreams.resolve: has no effect"),
        ])
    func refused(_ upstreams: String, _ message: String) throws {
        let problems = try folder.problems(text(upstreams))
        #expect(
            problems.contains { $0.contains("applications.wiki." + message) || $0.contains(message) },
            "\(problems)")
    }

    @Test func `authorities in two places are one too many`() throws {
        let tls = "{ endpoints: [ \"https://a.test\" ], tls: { authorities: chain.pem } }"
        let both = text(tls + "\n    upstream-authorities: chain.pem")
        #expect(try folder.problems(both).contains { $0.contains("upstream-authorities: has no effect") })
    }
}
