import Posture

/// The page that ends connecting an integration: what happened, and what to do next.
struct ConnectPage {
    var integration: String
    var outcome: ConnectOutcome
    /// After the probe; nil when there was none or it goes on.
    var status: IntegrationStatus?

    var httpStatus: Int {
        switch outcome {
        case .connected: 200
        case .declined, .privilegeMissing, .wrongTenant: 403
        case .refused, .stateUnknown, .stateUsed, .noSuchIntegration: 400
        case .unavailable: 503
        }
    }

    func page(requestID: String, nonce: String) -> Layout.Page {
        let text = text
        let main =
            "<h1>\(Layout.escape(text.title))</h1>"
            + text.sentences.map { "<p>\(Layout.escape($0))</p>" }.joined()
            + "<p class=\"remedy\">\(Layout.escape(text.next))</p>"
            + "<footer>Request <code>\(Layout.escape(requestID))</code> · Gatepost</footer>"
        return Layout().page(title: text.title, nonce: nonce, main: main)
    }

    private struct Text {
        var title: String
        var sentences: [String]
        var next: String
    }

    private var again: String { "Make a new link with: gatepost integrations connect \(integration)" }

    private var text: Text {
        switch outcome {
        case .connected(let account): return connected(account)
        case .declined:
            return Text(
                title: "Nothing was connected", sentences: ["The request for permissions was declined."],
                next: again + ", and accept the permissions there.")
        case .privilegeMissing(let role):
            return Text(
                title: "This account may not grant the permissions",
                sentences: ["The directory lets only certain roles do that: \(role)."],
                next: again + ", and have somebody with that role open it.")
        case .wrongTenant(let tenant):
            return Text(
                title: "That was another directory",
                sentences: [
                    "The answer came from directory \(tenant), which is not the configured one. Nothing was "
                        + "connected."
                ], next: again + ", and sign in with an account of the configured directory.")
        case .refused(let word):
            return Text(
                title: "The directory refused", sentences: ["It said: \(word)."],
                next: again + ". If it is refused again, look the number up at the directory’s vendor.")
        case .unavailable(let what):
            return Text(
                title: "The directory could not be asked", sentences: [what + "."],
                next: again + ". This one is used up.")
        case .stateUsed:
            return Text(
                title: "This link was used before",
                sentences: ["Each link counts once, so that nobody can repeat it."], next: again + ".")
        // One answer: whoever tries names learns none.
        case .stateUnknown, .noSuchIntegration:
            return Text(
                title: "This link is not valid",
                sentences: ["It was not made by this gateway for this, or it is older than 15 minutes."],
                next: "Make a new link with: gatepost integrations connect, and the integration’s name.")
        }
    }

    private func connected(_ account: String?) -> Text {
        var sentences = [
            account.map { "\(integration) is read in the name of \($0) from now on." }
                ?? "The permissions were granted to the application of \(integration)."
        ]
        guard let status else {
            return Text(
                title: "\(integration) is connected", sentences: sentences,
                next: "It is being tried out. The outcome: gatepost integrations")
        }
        guard status.state == .configured else {
            sentences.append("Trying it out failed: \(status.pendingReason ?? "it is still pending").")
            return Text(
                title: "\(integration) is connected, but does not work yet", sentences: sentences,
                next: "When that is mended: gatepost integrations reconnect \(integration)")
        }
        let missing = status.connection.missingPermissions
        if !missing.isEmpty { sentences.append("It works without \(missing.joined(separator: ", ")).") }
        return Text(
            title: "\(integration) is connected and works", sentences: sentences,
            next: "You can close this window.")
    }
}
