import JSON
import Testing

/// One browser with one agent (browsers.md 2 and 6), and what the page's script must make of it.
struct ScriptRow: Sendable, CustomTestStringConvertible {
    enum Engine: String, Sendable { case chromium, firefox, webkit }

    var name: String
    var engine: Engine
    var browser: JSONObject = [:]
    var agents = ["good"]
    /// Empty: the page went on to the application.
    var state: String
    var ways: [String] = []
    var told: [String] = []
    /// Where the browser went by itself or by a click, without its query.
    var went: [String] = []
    var opened: [String] = []

    var testDescription: String { name }

    var json: JSONValue {
        var row = browser
        row["name"] = .string(name)
        row["engine"] = .string(engine.rawValue)
        row["agents"] = .array(agents.map { .string($0) })
        return .object(row)
    }

    private static let popup = "http://127.0.0.1:17472/v1/popup"
    private static let visit = "http://127.0.0.1:17472/v1/nav"
    private static let both = ["popup", "visit"]

    static let all: [ScriptRow] = silent + asked + denied + webkit + answers + shared + bounds

    /// browsers.md 3, way 1.
    private static let silent: [ScriptRow] = [
        ScriptRow(
            name: "Chromium, granted", engine: .chromium, browser: ["permission": "granted"], state: ""),
        ScriptRow(name: "Firefox, granted", engine: .firefox, browser: ["permission": "granted"], state: ""),
        ScriptRow(
            name: "a page on the intranet is not asked about", engine: .firefox,
            browser: ["isIntranet": true],
            state: ""),
        ScriptRow(
            name: "Firefox with SkipDomains keeps saying prompt", engine: .firefox, browser: ["skips": true],
            state: ""),
        ScriptRow(
            name: "local network access is switched off: the permission is not known", engine: .firefox,
            browser: ["knowsNoPermission": true, "isIntranet": true], state: ""),
        ScriptRow(
            name: "without storage the check works all the same", engine: .chromium,
            browser: ["permission": "granted", "hasNoStorage": true], state: ""),
        ScriptRow(
            name: "granted, nothing listens", engine: .chromium, browser: ["permission": "granted"],
            agents: ["closed"], state: "agent-not-running", told: ["agent-not-running"]),
        ScriptRow(
            name: "granted, another program listens", engine: .chromium, browser: ["permission": "granted"],
            agents: ["squatter"], state: "not-our-agent", told: ["not-our-agent"]),
        ScriptRow(
            name: "granted, the agent starts a little later", engine: .firefox,
            browser: ["permission": "granted"],
            agents: ["starting"], state: "", told: ["agent-not-running"]),
        ScriptRow(
            name: "granted, the agent has slept and lacks the gateway's key at first", engine: .chromium,
            browser: ["permission": "granted"], agents: ["waking"], state: "", told: ["not-our-agent"]),
        ScriptRow(
            name: "granted, the agent never answers", engine: .chromium, browser: ["permission": "granted"],
            agents: ["hang"], state: "agent-not-running", told: ["agent-not-running"]),
    ]

    /// Way 2.
    private static let asked: [ScriptRow] = [
        ScriptRow(
            name: "asked, nothing listens: the question is pointless", engine: .chromium, agents: ["closed"],
            state: "agent-not-running", told: ["agent-not-running"]),
        ScriptRow(
            name: "asked, allowed after 3 s", engine: .firefox,
            browser: ["person": ["answer": "granted", "afterMilliseconds": 3_000]], state: ""),
        ScriptRow(
            name: "asked, allowed after 50 s", engine: .firefox,
            browser: ["person": ["answer": "granted", "afterMilliseconds": 50_000]], state: "",
            told: ["permission-prompt-pending"]),
        ScriptRow(
            name: "asked, blocked after 3 s", engine: .firefox,
            browser: ["person": ["answer": "denied", "afterMilliseconds": 3_000]], state: "permission-denied",
            ways: both, told: ["permission-denied"]),
        ScriptRow(
            name: "asked, never answered", engine: .chromium, state: "permission-prompt-pending", ways: both,
            told: ["permission-prompt-pending"]),
        ScriptRow(
            name: "asked, allowed when the page had given up", engine: .chromium,
            browser: ["clicks": ["granted"]], state: "", told: ["permission-prompt-pending"]),
        ScriptRow(
            name: "headless Chromium denies by itself", engine: .chromium, browser: ["isHeadless": true],
            state: "permission-denied", ways: both, told: ["permission-denied"]),
    ]

    private static let denied: [ScriptRow] = [
        ScriptRow(
            name: "denied", engine: .chromium, browser: ["permission": "denied"], state: "permission-denied",
            ways: both, told: ["permission-denied"]),
        ScriptRow(
            name: "denied, the application takes answers by script only", engine: .chromium,
            browser: ["permission": "denied", "transports": ["fetch"]], state: "permission-denied",
            told: ["permission-denied"]),
        ScriptRow(
            name: "denied, then a popup", engine: .firefox,
            browser: ["permission": "denied", "clicks": ["popup"]], state: "", told: ["permission-denied"],
            opened: [popup]),
        ScriptRow(
            name: "denied, then a popup that nobody answers", engine: .firefox,
            browser: ["permission": "denied", "clicks": ["popup"]], agents: ["closed"],
            state: "agent-not-running", ways: both, told: ["permission-denied", "agent-not-running"],
            opened: [popup]),
        ScriptRow(
            name: "a popup's word counts from that window and that origin only", engine: .chromium,
            browser: ["permission": "denied", "clicks": ["popup"], "isHostile": true],
            state: "agent-not-running", ways: both, told: ["permission-denied", "agent-not-running"],
            opened: [popup]),
        ScriptRow(
            name: "denied, then there and back", engine: .chromium,
            browser: ["permission": "denied", "clicks": ["visit"]], state: "agent-not-running", ways: both,
            told: ["permission-denied"], went: [visit]),
    ]

    /// Way 3, at once: the engine blocks scripts as mixed content.
    private static let webkit: [ScriptRow] = [
        ScriptRow(
            name: "WebKit sees the agent and goes there", engine: .webkit, state: "agent-not-running",
            ways: both, went: [visit]),
        ScriptRow(
            name: "WebKit was there already in this check: a click decides", engine: .webkit,
            browser: ["storage": ["gatepost-visits": "tx-1 1"]], state: "browser-unsupported", ways: both,
            told: ["browser-unsupported"]),
        ScriptRow(
            name: "WebKit was there in another check", engine: .webkit,
            browser: ["storage": ["gatepost-visits": "tx-0 1"]], state: "agent-not-running", ways: both,
            went: [visit]),
        ScriptRow(
            name: "WebKit sees nobody: it stays here", engine: .webkit, agents: ["closed"],
            state: "agent-not-running", ways: both, told: ["agent-not-running"]),
        ScriptRow(
            name: "WebKit sees the agent a little later", engine: .webkit, agents: ["starting"],
            state: "agent-not-running", ways: both, told: ["agent-not-running"], went: [visit]),
        ScriptRow(
            name: "WebKit, popups only", engine: .webkit,
            browser: ["transports": ["fetch", "popup"], "clicks": ["popup"]], state: "",
            told: ["browser-unsupported"], opened: [popup]),
        ScriptRow(
            name: "WebKit blocks the popup", engine: .webkit,
            browser: ["transports": ["fetch", "popup"], "clicks": ["popup"], "blocksPopups": true],
            state: "popup-blocked", ways: ["popup"], told: ["browser-unsupported", "popup-blocked"]),
        ScriptRow(
            name: "WebKit, scripts only", engine: .webkit, browser: ["transports": ["fetch"]],
            state: "browser-unsupported", told: ["browser-unsupported"]),
        ScriptRow(
            name: "an application that takes navigations only, in WebKit", engine: .webkit,
            browser: ["transports": ["navigation"]], state: "agent-not-running", ways: ["visit"],
            went: [visit]),
        ScriptRow(
            name: "an application that takes popups only", engine: .chromium,
            browser: ["permission": "granted", "transports": ["popup"]], state: "click-required",
            ways: ["popup"], told: ["click-required"]),
    ]

    private static let answers: [ScriptRow] = [
        ScriptRow(
            name: "a challenge that grew old is renewed once, silently", engine: .chromium,
            browser: ["permission": "granted"], agents: ["old"], state: ""),
        ScriptRow(
            name: "an old nonce as well", engine: .chromium,
            browser: ["permission": "granted", "refusals": ["nonce-expired"]], state: ""),
        ScriptRow(
            name: "and only once", engine: .chromium,
            browser: ["permission": "granted", "refusals": ["nonce-expired", "nonce-expired"]],
            state: "nonce-expired"),
        ScriptRow(
            name: "an agent that finds every challenge old", engine: .chromium,
            browser: ["permission": "granted"], agents: ["challenge-expired"], state: "challenge-expired",
            told: ["challenge-expired"]),
        ScriptRow(
            name: "a wrong clock", engine: .chromium, browser: ["permission": "granted"],
            agents: ["slow-clock"], state: "clock-skew", told: ["clock-skew"]),
        ScriptRow(
            name: "a gateway that the agent does not know", engine: .chromium,
            browser: ["permission": "granted"], agents: ["gateway-not-trusted"], state: "gateway-not-trusted",
            told: ["gateway-not-trusted"]),
        ScriptRow(
            name: "too many attempts", engine: .chromium, browser: ["permission": "granted"],
            agents: ["rate-limited"], state: "rate-limited", told: ["rate-limited"]),
        ScriptRow(
            name: "a word that is none of an agent's", engine: .chromium, browser: ["permission": "granted"],
            agents: ["<b>hello"], state: "not-our-agent", told: ["not-our-agent"]),
        ScriptRow(
            name: "a word of the gateway's own", engine: .chromium, browser: ["permission": "granted"],
            agents: ["certificate-revoked"], state: "not-our-agent", told: ["not-our-agent"]),
        ScriptRow(
            name: "an agent of another age", engine: .chromium, browser: ["permission": "granted"],
            agents: ["request-malformed"], state: "challenge-not-understood",
            told: ["challenge-not-understood"]),
        ScriptRow(
            name: "an agent that saw another address", engine: .firefox,
            browser: ["permission": "denied", "clicks": ["popup"]], agents: ["origin-not-allowed"],
            state: "origin-mismatch", told: ["permission-denied", "origin-mismatch"], opened: [popup]),
        ScriptRow(
            name: "back with word of an answer too long for an address", engine: .webkit,
            browser: ["failed": "answer-too-large", "storage": ["gatepost-visits": "tx-1 1"]],
            state: "answer-too-large", ways: ["popup"]),
        ScriptRow(
            name: "a verdict without a word", engine: .chromium,
            browser: ["permission": "granted", "refusals": ["without a word"]],
            state: "control-plane-unavailable", told: ["control-plane-unavailable"]),
        ScriptRow(
            name: "the gateway's refusal is not told to it", engine: .chromium,
            browser: ["permission": "granted", "refusals": ["certificate-revoked"]],
            state: "certificate-revoked"),
        ScriptRow(
            name: "seen too long ago", engine: .chromium,
            browser: ["permission": "granted", "refusals": ["last-seen-stale"]], state: "last-seen-stale"),
    ]

    /// Several agents of one machine.
    private static let shared: [ScriptRow] = [
        ScriptRow(
            name: "the second agent is this person's", engine: .chromium, browser: ["permission": "granted"],
            agents: ["wrong-user", "good"], state: ""),
        ScriptRow(
            name: "no agent is this person's", engine: .chromium, browser: ["permission": "granted"],
            agents: ["wrong-user", "wrong-user"], state: "wrong-user", told: ["wrong-user"]),
        ScriptRow(
            name: "the first port is closed", engine: .chromium, browser: ["permission": "granted"],
            agents: ["closed", "good"], state: ""),
        ScriptRow(
            name: "another program listens on a further port alone", engine: .chromium,
            browser: ["permission": "granted"], agents: ["closed", "squatter"], state: "not-our-agent",
            told: ["not-our-agent"]),
        ScriptRow(
            name: "no port of three has a listener", engine: .chromium, browser: ["permission": "granted"],
            agents: ["closed", "closed", "closed"], state: "agent-not-running", told: ["agent-not-running"]),
        ScriptRow(
            name: "the popup goes on to the second agent", engine: .firefox,
            browser: ["permission": "denied", "clicks": ["popup"]], agents: ["wrong-user", "good"], state: "",
            told: ["permission-denied"], opened: [popup, "http://127.0.0.1:17473/v1/popup"]),
        ScriptRow(
            name: "back from the first agent WebKit goes to the second", engine: .webkit,
            browser: ["failed": "wrong-user", "storage": ["gatepost-visits": "tx-1 1"]],
            agents: ["wrong-user", "good"], state: "agent-not-running", ways: both,
            went: ["http://127.0.0.1:17473/v1/nav"]),
        ScriptRow(
            name: "back from the last agent there is no other", engine: .webkit,
            browser: ["failed": "wrong-user", "storage": ["gatepost-visits": "tx-1 2"]],
            agents: ["wrong-user", "wrong-user"], state: "wrong-user", ways: both),
    ]

    private static let bounds: [ScriptRow] = [
        ScriptRow(
            name: "the sixth check of a minute does not begin by itself", engine: .chromium,
            browser: [
                "permission": "granted",
                "storage": [
                    "gatepost-runs:wiki":
                        "[1900000000000,1899999990000,1899999980000,1899999970000,1899999960000]"
                ],
            ], state: "device-check-repeated", told: ["device-check-repeated"]),
        ScriptRow(
            name: "the fifth does, and so does one after a minute", engine: .chromium,
            browser: [
                "permission": "granted",
                "storage": [
                    "gatepost-runs:wiki":
                        "[1900000000000,1899999990000,1899999980000,1899999970000,1899999940000]"
                ],
            ], state: ""),
        ScriptRow(
            name: "storage that is not ours counts for nothing", engine: .chromium,
            browser: ["permission": "granted", "storage": ["gatepost-runs:wiki": "{"]], state: ""),
        ScriptRow(
            name: "a state in the address is shown and does not begin by itself", engine: .chromium,
            browser: ["permission": "granted", "failed": "certificate-revoked"], state: "certificate-revoked"),
        ScriptRow(
            name: "the gateway does not answer", engine: .chromium,
            browser: ["permission": "granted", "isGatewayDown": true], state: "control-plane-unavailable"),
        ScriptRow(
            name: "the gateway has no challenge", engine: .chromium,
            browser: ["permission": "granted", "refusesChallenge": "session-mismatch"],
            state: "session-mismatch"),
        ScriptRow(
            name: "nobody clicks for an hour", engine: .chromium,
            browser: ["permission": "denied", "seconds": 3_600], state: "challenge-expired",
            told: ["permission-denied"]),
        ScriptRow(
            name: "a check ahead of time that is denied goes back without a word", engine: .chromium,
            browser: ["permission": "denied", "back": "https://wiki.corp.example/x"], state: "",
            told: ["permission-denied"]),
        ScriptRow(
            name: "a check ahead of time that hangs goes back", engine: .firefox,
            browser: ["back": "https://wiki.corp.example/x"], state: "", told: []),
    ]
}
