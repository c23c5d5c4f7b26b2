import Access

/// What a person can do about a state that is found here and not in a provider's record: a device that is
/// gone, or that several records claim to be.
enum ProviderRemedies {
    static func sentences(_ state: Verdict.State, provider: String) -> [String] {
        if provider == ManagedDevice.provider { return IntuneRemedies.sentences(state) }
        if provider == EntraConnector.vendor.name, state == .notFound {
            return [
                "Microsoft Entra does not know this device. Register or join it with your work account: "
                    + "on phones and Macs in the app that manages it, on Windows under “Access work or "
                    + "school”. If that is done, ask your administrator whether your licence and the "
                    + "assignment of the platform and of your group cover it."
            ]
        }
        let title = Vendor.all.first { $0.name == provider }?.title ?? provider
        switch state {
        case .notManaged, .notFound:
            return [
                "\(title) does not know this device. Install or enrol it as your organisation asks for; if "
                    + "that is done, ask your administrator whether the device still has its place there."
            ]
        case .ambiguous:
            return [
                "More than one device in \(title) answers to this device's ids, or the device stated "
                    + "contradicting ids. Ask your administrator to remove the old entries."
            ]
        case .compliant, .grace, .noncompliant, .unknown, .error, .delegated: return []
        }
    }
}
