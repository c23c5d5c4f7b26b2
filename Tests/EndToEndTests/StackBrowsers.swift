import Foundation

/// What browsers need around them beside a driver.
extension Stack {
    /// A display of the suite's own, started at the first use: Xvfb takes a free number and says which.
    func display() throws -> String {
        try ready("xvfb") {
            // Its first output descriptor is its log.
            try start(
                "xvfb", "/usr/bin/Xvfb",
                ["-displayfd", "1", "-screen", "0", "1280x1024x24", "-nolisten", "tcp"])
        }
        let server = try child("xvfb")
        return try poll("Xvfb to open a display") {
            if let status = server.status {
                throw Failure(description: "Xvfb ended with \(status): \(server.output.suffix(500))")
            }
            return server.output.split(separator: "\n").first { Int($0) != nil }.map { ":\($0)" }
        }
    }

    /// WebKit trusts the system's authorities and no others: in here the suite's own is one of them. Nothing
    /// changes on the machine.
    func trustAuthorityInSystem() throws {
        try ready("authority") {
            let system = URL(filePath: Self.systemAuthorities)
            let both =
                try Data(contentsOf: system) + Data("\n".utf8)
                + Data(contentsOf: folder.appending(path: "certs/dev-ca.pem"))
            let bundle = folder.appending(path: "authorities.pem")
            try both.write(to: bundle)
            try run("/bin/mount", ["--bind", bundle.path, Self.systemAuthorities])
        }
    }

    /// Undoes the above.
    func forgetAuthorityInSystem() {
        guard FileManager.default.fileExists(atPath: path("authorities.pem")) else { return }
        _ = try? run("/bin/umount", [Self.systemAuthorities])
    }

    private static let systemAuthorities = "/etc/ssl/certs/ca-certificates.crt"
}

extension PrivateNetwork {
    /// Gives the Firefoxes that start during `body` a managed policy; the machine's own stay untouched.
    ///
    /// Debian's folder for policies inside of the program, because a mount needs a folder that is there.
    func withFirefoxPolicy(_ json: String, in folder: URL, _ body: () throws -> Void) throws {
        let settings = folder.appending(path: "firefox-settings")
        try FileManager.default.createDirectory(at: settings, withIntermediateDirectories: true)
        try json.write(to: settings.appending(path: "policies.json"), atomically: true, encoding: .utf8)
        let place = "/usr/share/firefox-esr/distribution"
        let (status, text) = try Child.output(of: "/bin/mount", ["--bind", settings.path, place], in: self)
        guard status == 0 else { throw Failure(description: "mount over \(place): \(text)") }
        defer { _ = try? Child.output(of: "/bin/umount", [place], in: self) }
        try body()
    }
}
