import Access
import Border

/// The client certificate that a refusal is about: whoever is asked for help finds it by this. Not escaped.
struct ShownCertificate {
    private static let namesMax = 2
    private static let nameCharactersMax = 128

    /// The common name.
    var subject: String?
    /// What it calls the device, at most two.
    var names: [String]
    /// Lower-case hexadecimal.
    var serial: String
    /// No agent says which device it is.
    var isAlone: Bool

    /// - Returns: nil where the application takes no certificate for a device, or none was shown.
    init?(_ claim: MachineClaim?, of device: DeviceFacts?, at application: Application) {
        guard let claim, application.accepts(.certificate) else { return nil }
        func short(_ text: String) -> String { String(text.prefix(Self.nameCharactersMax)) }
        subject = claim.subject.map(short)
        let kind = "dns:"
        names = claim.names.filter { $0.hasPrefix(kind) }.prefix(Self.namesMax).map {
            short(String($0.dropFirst(kind.count)))
        }
        serial = claim.serial
        isAlone = device?.certificate?.isAlone ?? true
    }

    /// What happened and what to do, where the device is known by its certificate alone; nil: as for every device.
    func text(of reason: Reason) -> (happened: String, remedy: String)? {
        isAlone ? ReasonTexts.certified[reason] : nil
    }

    /// Whether a refusal for this reason may be about it.
    static func concerns(_ reason: Reason) -> Bool {
        switch reason {
        case .deviceCertificateRequired, .deviceCertificateUnknown, .deviceCertificateConflict,
            .deviceUnknown, .deviceOwnerMismatch:
            true
        case _: false
        }
    }

    /// Everything in it was written by whoever issued it.
    var line: String {
        let codes = ([subject].compactMap { $0 } + names).map { "<code>\(Layout.escape($0))</code>" }
        let name = codes.isEmpty ? "It names nobody" : "It is called \(codes.joined(separator: ", "))"
        return """
            <p class="soft">\(name); its serial number is <code>\(Layout.escape(serial))</code>. Tell that to whoever \
            manages your devices.</p>
            """
    }
}
