extension FactRemedy {
    /// By fact, every one that agents tell. Menus are those of Windows 11, macOS 14, iOS 17, Android 14, GNOME and
    /// Plasma.
    static let table: [String: FactRemedy] = encryption.merging(protection) { first, _ in first }
        .merging(updates) { first, _ in first }.merging(software) { first, _ in first }
        .merging(identity) { first, _ in first }

    private static let whoManages = "ask whoever manages this device"

    private static let encryption: [String: FactRemedy] = [
        "disk-encryption": FactRemedy(
            "Switch on the encryption of this device’s disk in its settings, and let it finish.",
            on: [
                .windows: "Switch on the encryption of the disk: Settings › Privacy & security › Device "
                    + "encryption, or BitLocker in the Control Panel. Let it finish.",
                .macos: "Switch on FileVault: System Settings › Privacy & Security › FileVault. Let it "
                    + "finish.",
                .linux: "The system’s disk is not encrypted (LUKS). That is chosen when Linux is installed: "
                    + "\(whoManages) to set it up anew with encryption.",
                .ios: "Set a passcode, which encrypts this device: Settings › Face ID & Passcode.",
                .android: "Set a screen lock, which protects the encryption of this device: Settings › "
                    + "Security.",
            ], leadsTo: true),
        "home-encryption": FactRemedy(
            "The disk that your own files are on is not encrypted. Switch its encryption on in the settings.",
            on: [
                .windows: "The disk that your own files are on is not encrypted. Switch on BitLocker for it "
                    + "in the Control Panel.",
                .macos: "The disk that your own files are on is not encrypted. Switch on FileVault: System "
                    + "Settings › Privacy & Security › FileVault.",
                .linux: "The volume of people’s own files (/home) is not encrypted: \(whoManages) to move it "
                    + "to an encrypted one (LUKS).",
            ], leadsTo: true),
        "swap-encryption": FactRemedy(
            "What the memory writes to the disk is not encrypted. Switch on the encryption of the disk.",
            on: [
                .linux: "What the memory writes to the disk (swap) is not encrypted: \(whoManages) to "
                    + "encrypt it, or to use compressed memory instead."
            ], leadsTo: true),
        "secure-boot": FactRemedy(
            "Switch on Secure Boot in the firmware settings, which open while the device starts. If you have "
                + "never done that, \(whoManages).",
            on: [
                .macos: "Choose Full Security in the Startup Security Utility, which is in the recovery "
                    + "system. If you have never done that, \(whoManages)."
            ], leadsTo: true),
        "tpm": FactRemedy(
            "The security chip of this device (TPM) is missing, switched off or too old. Switch it on in the "
                + "firmware settings, or use a device that has one.",
            asked: .value),
    ]

    private static let protection: [String: FactRemedy] = [
        "firewall": FactRemedy(
            "Switch on this device’s firewall in its settings.",
            on: [
                .windows: "Switch on the firewall for every kind of network: Windows Security › Firewall & "
                    + "network protection.",
                .macos: "Switch on the firewall: System Settings › Network › Firewall.",
                .linux: "Switch on the firewall: sudo ufw enable (Debian, Ubuntu) or sudo systemctl enable "
                    + "--now firewalld (Fedora, Red Hat, SUSE).",
            ], leadsTo: true),
        "screen-lock": FactRemedy(
            "Let the screen lock by itself, and ask for the password afterwards. That goes for everybody who "
                + "has an account on this device.",
            on: [
                .windows: "Let the screen lock by itself: Settings › Accounts › Sign-in options, and the "
                    + "screen’s time under Settings › System › Power. That goes for every account of this "
                    + "device.",
                .macos: "Let the screen lock by itself: System Settings › Lock Screen, with the password "
                    + "required immediately. That goes for every account of this device.",
                .linux: "Let the screen lock by itself: Settings › Privacy › Screen Lock (GNOME) or System "
                    + "Settings › Screen Locking (Plasma). That goes for every account of this device.",
            ], leadsTo: true),
        "screen-lock-seconds": FactRemedy(
            "Let the screen lock sooner. That goes for everybody who has an account on this device.",
            on: [
                .windows: "Let the screen lock sooner: Settings › System › Power, and Settings › Accounts › "
                    + "Sign-in options. That goes for every account of this device.",
                .macos: "Let the screen lock sooner: System Settings › Lock Screen. That goes for every "
                    + "account of this device.",
                .linux: "Let the screen lock sooner: Settings › Power and Settings › Privacy › Screen Lock "
                    + "(GNOME) or System Settings › Screen Locking (Plasma). That goes for every account of "
                    + "this device.",
            ], asked: .seconds),
        "edr-running": FactRemedy(
            "No protection software runs on this device. Start it, or restart the device; if it stays off, "
                + "\(whoManages).",
            on: [
                .windows: "No protection software runs on this device. Open Windows Security › Virus & "
                    + "threat protection and switch it on, or restart the device; if it stays off, "
                    + "\(whoManages).",
                .linux: "No protection software runs on this device. Start its service, for example: sudo "
                    + "systemctl start falcon-sensor, or mdatp. If it stays off, \(whoManages).",
            ], leadsTo: true),
        "av-edr": FactRemedy(
            "The protection software that your organisation asks for does not run here. Install or start it.",
            asked: .value),
        "edr-units": FactRemedy(
            "Protection software on this device has stopped or failed. Restart the device; if it does not "
                + "come back, \(whoManages).",
            asked: .value),
        "defender-healthy": FactRemedy(
            "Microsoft Defender on this device is not in order. Restart the device and let Defender update "
                + "itself; if it stays, \(whoManages).",
            on: [
                .linux: "Microsoft Defender on this device is not in order. See what “mdatp health” says, "
                    + "and restart the device; if it stays, \(whoManages)."
            ], leadsTo: true),
        "defender-real-time": FactRemedy(
            "Switch on the real-time protection of Microsoft Defender.",
            on: [
                .windows: "Switch on real-time protection: Windows Security › Virus & threat protection › "
                    + "Manage settings.",
                .linux: "Switch on real-time protection: sudo mdatp config real-time-protection --value "
                    + "enabled.",
                .macos: "Switch on real-time protection in Microsoft Defender’s window: Virus & threat "
                    + "protection.",
            ], leadsTo: true),
        "falcon-reduced": FactRemedy(
            "CrowdStrike’s sensor runs with reduced function, mostly because the system is newer than it "
                + "knows. Restart the device; if it stays, ask for a newer sensor.",
            leadsTo: false),
    ]

    private static let updates: [String: FactRemedy] = {
        /// The way to each platform's updates.
        func ways(_ before: String) -> [Platform: String] {
            [
                .windows: "\(before): Settings › Windows Update.",
                .macos: "\(before): System Settings › General › Software Update.",
                .linux: "\(before): your software centre, or sudo apt update && sudo apt upgrade (Debian, "
                    + "Ubuntu), sudo dnf upgrade (Fedora, Red Hat).",
                .ios: "\(before): Settings › General › Software Update.",
                .android: "\(before): Settings › System › Software updates.",
                .chromeos: "\(before): Settings › About ChromeOS.",
            ]
        }
        var systems = ways("Install the newer version of the operating system")
        systems[.linux] =
            "This release of the distribution is too old. Upgrade it to a newer one, or \(whoManages)."
        return [
            "os-version": FactRemedy(
                "Install the newer version of this device’s operating system.", on: systems, asked: .value),
            "kernel-version": FactRemedy(
                "Install the updates of the operating system and restart the device: a newer kernel counts "
                    + "once it runs.",
                asked: .value),
            "patch-age-days": FactRemedy(
                "This device has not looked for updates for too long. Let it look now, and install what it "
                    + "finds.",
                on: ways("This device has not looked for updates for too long. Let it look now"), asked: .days
            ),
            "pending-updates": FactRemedy(
                "Install the updates that wait, and restart the device where it asks for it.",
                on: ways("Install the updates that wait"), asked: .value),
            "pending-security-updates": FactRemedy(
                "Install the security updates that wait, and restart the device where it asks for it.",
                on: ways("Install the security updates that wait"), asked: .value),
            "reboot-required": FactRemedy(
                "Restart this device: an update that is installed waits for it.", leadsTo: false),
            "vulnerability-score": FactRemedy(
                "Put right what this device’s vulnerability scanner lists; its number changes with its next "
                    + "run.",
                asked: .value),
        ]
    }()

    private static let software: [String: FactRemedy] = [
        "os-name": FactRemedy(
            "This operating system is not let in here. Use a device with one that is.", asked: .value),
        "platform": FactRemedy("This kind of device is not let in here. Use one that is.", asked: .value),
        "virtualization": FactRemedy(
            "This runs in a virtual machine or container of a kind that is not let in. Use the device "
                + "itself, or another one."),
        "falcon-cid": FactRemedy(
            "CrowdStrike’s sensor on this device belongs to another organisation: \(whoManages) to install "
                + "yours."),
        "defender-org-id": FactRemedy(
            "Microsoft Defender on this device belongs to another organisation: \(whoManages) to connect it "
                + "to yours."
        ),
    ]

    private static let identity: [String: FactRemedy] = {
        let other =
            "This device is not one of those that are let in here. Use one that your organisation "
            + "gave you, or"
        return [
            "hostname": FactRemedy("\(other) ask your administrator to add its name."),
            "machine-id": FactRemedy("\(other) ask your administrator to add it."),
            "mac-addresses": FactRemedy("\(other) ask your administrator to add its network addresses."),
            "defender-machine-id": FactRemedy("\(other) ask your administrator to add it."),
        ]
    }()
}
