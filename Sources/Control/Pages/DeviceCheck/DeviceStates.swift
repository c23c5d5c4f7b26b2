import Access
import JSON

/// The states of a device check as the page names them (handshake.md 4.5): each has a title of its own; what
/// happened and what to do is in `ReasonTexts`.
enum DeviceStates {
    /// What the page's script may ask for by its word.
    ///
    /// Whatever else a check is refused with comes with its own words from the gateway.
    static let titles: [Reason: String] = [
        .permissionPromptPending: "Your browser is asking you something",
        .permissionDenied: "Your browser keeps this page from the agent",
        .agentNotRunning: "The agent does not answer",
        .browserUnsupported: "This browser needs another way",
        .popupBlocked: "The small window was blocked",
        .notOurAgent: "Something else answers for the agent",
        .deviceCheckRepeated: "The device check goes in circles",
        .controlPlaneUnavailable: "The gateway does not answer",
        .clickRequired: "Show this device",
        .agentNotConfigured: "Device checks are not set up here",

        .gatewayNotTrusted: "The agent does not know this gateway",
        .originMismatch: "The agent was asked by another address",
        .challengeExpired: "This took too long",
        .challengeReplayed: "This device check was already answered",
        .clockSkew: "The clock of this device is wrong",
        .rateLimited: "Too many checks in a short time",
        .wrongUser: "Another person’s agent answered",
        .audienceMismatch: "The answer was for another gateway",
        .challengeNotUnderstood: "The agent did not understand",
        .answerTooLarge: "The agent’s answer is too large",
        .overloaded: "Too busy at the moment",

        .signatureInvalid: "The answer is not this device’s",
        .nonceUnknown: "This device check is not known here",
        .nonceUsed: "This device check was used before",
        .nonceExpired: "The answer came too late",
        .sessionMismatch: "This device check is not yours",
        .sessionEnded: "Your session has ended",
        .certificateUntrusted: "The device’s certificate is not ours",
        .certificateExpired: "The device’s certificate is out of date",
        .certificateRevoked: "This device is not let in any more",
        .statementInvalid: "The agent’s answer is not well formed",
        .statementExpired: "What its management said has ended",
        .agentOutdated: "The agent is too old",
        .deviceUnknown: "This device is not enrolled",
        .deviceNotManaged: "Nobody manages this device",
        .lastSeenStale: "This device was not seen for too long",
        .deviceOwnerMismatch: "This is somebody else’s device",
        .changeHeld: "This device has to wait",
        .storeUnavailable: "The gateway cannot write",
    ]

    static let otherTitle = "This device could not be checked"

    /// What an agent says (PROTOCOL.md 10), to the page or in the address that leads back, and the state that it is.
    ///
    /// Three of its words are those of HTTP requests that this gateway refuses, where they mean something else.
    static let ofAgent: [String: Reason] = [
        "request-malformed": .challengeNotUnderstood, "request-too-large": .answerTooLarge,
        "origin-not-allowed": .originMismatch, "gateway-not-trusted": .gatewayNotTrusted,
        "audience-mismatch": .audienceMismatch, "clock-skew": .clockSkew,
        "challenge-expired": .challengeExpired, "challenge-replayed": .challengeReplayed,
        "wrong-user": .wrongUser, "rate-limited": .rateLimited, "overloaded": .overloaded,
    ]

    /// What only the page can know: it tells the gateway, which writes it down and decides nothing by it.
    static let pageWords = Set(ofAgent.values).union([
        .permissionPromptPending, .permissionDenied, .agentNotRunning, .browserUnsupported, .popupBlocked,
        .notOurAgent, .deviceCheckRepeated, .controlPlaneUnavailable, .clickRequired,
    ])

    /// `{agent's word: state}` for the script.
    static let agentJSON = JSONValue.object(
        JSONObject(ofAgent.sorted { $0.key < $1.key }.map { ($0.key, .string($0.value.rawValue)) }))

    /// `{word: {title, happened, remedy}}` for the script, in the order of the words.
    static let json: JSONValue = {
        var members: [(String, JSONValue)] = []
        for (reason, title) in titles.sorted(by: { $0.key.rawValue < $1.key.rawValue }) {
            let text = ReasonTexts.text(of: reason)
            let words: JSONValue = [
                "title": .string(title), "happened": .string(text.happened), "remedy": .string(text.remedy),
            ]
            members.append((reason.rawValue, words))
        }
        return .object(JSONObject(members))
    }()
}
