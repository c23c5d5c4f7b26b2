import Access

/// What to do when the directory's own device rule refused (Microsoft Entra Conditional Access). Its error
/// numbers are in Microsoft's "Microsoft Entra authentication and authorization error codes".
struct ProviderHelp: Sendable, Hashable {
    private enum Cause: CaseIterable {
        /// The device is known and breaks a rule.
        case notCompliant
        /// The device is not joined, or the browser did not say which device it is on.
        case notKnown
        /// Some rule; the number does not say which.
        case someRule
        /// Only apps that the directory approves, or that its broker vouches for.
        case wrongApp

        init?(_ code: String) {
            switch code {
            case "AADSTS53000": self = .notCompliant
            case "AADSTS53001", "AADSTS530003", "AADSTS50097", "AADSTS50129", "AADSTS50187": self = .notKnown
            case "AADSTS53003", "AADSTS50131": self = .someRule
            case "AADSTS53002", "AADSTS50127", "AADSTS53009": self = .wrongApp
            case _: return nil
            }
        }
    }

    private var cause: Cause
    private var platform: Platform?

    /// nil: the provider's refusal is about something else.
    init?(_ words: ProviderWords) {
        // A code in the sentence is found by whoever made the code out of it.
        guard let cause = words.code.flatMap(Cause.init) else { return nil }
        self.cause = cause
        platform = words.platform
    }

    private var happened: String {
        switch cause {
        case .notCompliant:
            "Your directory knows this device, and says that it breaks a rule of your organisation."
        case .notKnown:
            "Your directory could not see a managed device. Either this one is not managed, or this browser does "
                + "not show which device it is on."
        case .someRule:
            "A rule of your organisation’s directory forbids this sign-in. Often it wants a managed device, and the "
                + "browser has to show that it is on one."
        case .wrongApp:
            "Your directory lets only approved apps in here. On a phone, use the browser that your organisation "
                + "manages, with the company portal or authenticator app installed."
        }
    }

    private static let repair = """
        <li>Open your company portal app (Company Portal or Intelligent Hub), look at what it lists, and let it \
        check the device again. The directory may need some minutes to hear of it.</li>
        """
    /// How each platform's browsers show the device: Microsoft, "Conditional Access: Conditions", supported browsers,
    /// and "Microsoft Enterprise SSO plug-in for Apple devices".
    private static let onPlatforms: [(platforms: [Platform], step: String)] = [
        (
            [.windows],
            "Windows: Edge, signed in with the work account; Chrome with the policy CloudAPAuthEnabled or the "
                + "extension Microsoft Single Sign On; Firefox with “Allow Windows single sign-on” in its "
                + "settings."
        ),
        (
            [.macos, .ios],
            "macOS and iOS: a device with its organisation’s single sign-on extension (Company Portal, "
                + "Authenticator); Safari, Edge or Chrome."
        ),
        (
            [.android],
            "Android: Edge or Chrome in the work profile; it may ask for a certificate once."
        ),
        (
            [.linux],
            "Linux: Edge, signed in with the work account, on a device that the Intune app has enrolled."
        ),
    ]

    /// The line of the person's own platform; all of them where it is not known.
    private var browsers: String {
        let own = Self.onPlatforms.filter { entry in platform.map(entry.platforms.contains) ?? true }
        let steps = (own.isEmpty ? Self.onPlatforms : own).map { "<li>\($0.step)</li>" }.joined()
        return "<li>Not in a private window: there no browser shows its device.</li>" + steps
    }

    /// HTML; nothing in it comes from outside.
    var section: String {
        let steps =
            switch cause {
            case .notCompliant: Self.repair
            case .notKnown: browsers
            case .someRule: browsers + Self.repair
            case .wrongApp: ""
            }
        let list = steps.isEmpty ? "" : "<ul class=\"steps\">\(steps)</ul>"
        return """
            <section aria-label="What you can do"><p>\(happened)</p>\(list)\
            <p>Whatever else you are signed in to here stays open.</p></section>
            """
    }
}
