import Access
import JSON

/// The device check: the browser brings the challenge to the local agent and its answer back.
struct DeviceCheckPage {
    var application: String
    var transaction: String
    /// Where the application asked; the way to begin again.
    var home: String
    /// `http://127.0.0.1:port` and `http://localhost:port` of every configured agent port.
    var agentURLs: [String]
    var links: [ShownLink] = []
    /// The state that a navigation came back with; nil: the check begins.
    var failed: Reason?
    /// Whole days, where age is what is the matter.
    var days: Int?
    /// Where the browser goes on when the check comes to nothing or takes long: for one ahead of time, which
    /// nobody waits for. nil: the page says what is the matter.
    var back: String?
    var requestID: String
    var nonce: String

    var page: Layout.Page {
        let title = "Checking this device"
        let main = """
            <h1 id="title" tabindex="-1">\(title)</h1>
            <p class="soft">\(Layout.escape(application)) is open to healthy devices only.</p>
            <div id="check" \(data)>
            <p class="status" role="status" aria-live="polite"><span class="spinner" id="spinner" aria-hidden="true">\
            </span><span id="status">Asking the agent on this device…</span></p>
            \(Self.question)
            <div class="remedy" id="remedy" hidden></div>
            <div class="links" id="links" hidden>\(Pages.list(links))</div>
            <div id="actions" hidden>
            <button id="popup" type="button" hidden>Check in a small window</button>
            <button id="visit" type="button" hidden>Go to the agent and come back</button>
            <button id="again" type="button">Try again</button>
            <a class="button quiet" id="leave" href="/.gatepost/sign-out">Sign out</a>
            </div></div>
            <noscript><p class="remedy">The device check needs JavaScript on this page.</p></noscript>
            \(Self.explanation)
            """
        return Layout(connectSources: agentURLs, imageSources: agentURLs).page(
            title: title, nonce: nonce,
            main: main + Pages.footer(reason: nil, requestID: requestID, isReasonLater: true),
            script: Scripts.deviceCheck)
    }

    private var data: String {
        var members = [
            ("tx", transaction), ("application", application), ("home", home),
            ("states", DeviceStates.json.serializedText()),
            ("agent-words", DeviceStates.agentJSON.serializedText()),
            ("other-title", DeviceStates.otherTitle),
        ]
        if let failed { members.append(("failed", failed.rawValue)) }
        if let back { members.append(("back", back)) }
        if let days { members.append(("days", "\(days)")) }
        return members.map { "data-\($0)=\"\(Layout.escape($1))\"" }.joined(separator: " ")
    }

    /// What the browser's question looks like, so that people know it when they see it.
    private static let question = """
        <div class="question" id="question" hidden aria-hidden="true"><p>Access other apps and services on this \
        device</p><p class="answers"><span>Block</span><b>Allow</b></p></div>
        """

    private static let explanation = """
        <details><summary>What happens here?</summary><p class="soft">This page asks the Gatepost agent on this device \
        for a signed statement of the device’s health, and hands it to the gateway. It goes to no one else, and the \
        agent answers only the gateway that this device is enrolled at.</p></details>
        """
}
