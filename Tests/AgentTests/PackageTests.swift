import ChildPrograms
import Foundation
import Glibc
import Testing

@testable import gatepost_agent

/// dpkg, and root: packages make users and folders of their own.
private let hasTools =
    PackagingTests.hasSystemd && geteuid() == 0
    && FileManager.default.isExecutableFile(atPath: "/usr/bin/dpkg-deb")

@Suite("The Debian packages, installed into a folder that stands for a machine", .enabled(if: hasTools))
struct PackageTests {
    /// A machine without anything.
    private final class Root {
        let folder: TemporaryFolder
        var path: String { folder.path + "/root" }

        init() throws {
            folder = try TemporaryFolder()
            for name in ["info", "updates", "triggers"] {
                try FileManager.default.createDirectory(
                    atPath: path + "/var/lib/dpkg/" + name, withIntermediateDirectories: true)
            }
            try folder.put("/root/var/lib/dpkg/status", "")
            for name in ["gatepost", "gatepost-agent"] {
                try folder.put("/programs/" + name, "#!/bin/sh\n")
                chmod(folder.path + "/programs/" + name, 0o755)
            }
        }

        /// Makes both packages of a version.
        func packages(_ version: String) throws -> [String] {
            let output = folder.path + "/" + version
            let made = try PackagingTests.run(
                ProtocolTextTests.root + "/scripts/package",
                ["--programs", folder.path + "/programs", output], ["PACKAGE_VERSION": version])
            try #require(made.status == 0, "\(made.text)")
            return try FileManager.default.contentsOfDirectory(atPath: output).sorted().map {
                output + "/" + $0
            }
        }

        /// Scripts run in this machine and are told where the other one lies; its packages are of no account.
        func dpkg(_ arguments: [String]) throws {
            let done = try PackagingTests.run(
                "/usr/bin/dpkg",
                ["--root=" + path, "--force-script-chrootless", "--force-depends", "--log=/dev/null"]
                    + arguments)
            #expect(done.status == 0, "\(arguments): \(done.text)")
        }

        func has(_ file: String) -> Bool { access(path + file, F_OK) == 0 }

        func mode(_ file: String) -> mode_t? {
            var info = stat()
            return stat(path + file, &info) == 0 ? info.st_mode & 0o777 : nil
        }
    }

    @Test("installing makes users, folders and units, and starts nothing") func installed() throws {
        let machine = try Root()
        let packages = try machine.packages("0.1.0")
        #expect(packages.count == 2)
        try machine.dpkg(["--install"] + packages)
        for (file, mode) in [
            ("/usr/bin/gatepost", mode_t(0o755)), ("/usr/bin/gatepost-agent", 0o755),
            ("/usr/lib/systemd/system/gatepost.service", 0o644),
            ("/usr/lib/systemd/system/gatepost-agent.service", 0o644),
            ("/usr/share/man/man1/gatepost.1.gz", 0o644), ("/usr/share/man/man1/gatepost-agent.1.gz", 0o644),
            ("/usr/share/doc/gatepost/configuration.md", 0o644),
            ("/usr/share/doc/gatepost-agent/copyright", 0o644),
            ("/usr/share/doc/gatepost/examples/minimal.yaml", 0o644), ("/etc/gatepost", 0o750),
            ("/etc/gatepost-agent", 0o755), ("/var/lib/gatepost-agent", 0o700),
        ] {
            #expect(machine.mode(file) == mode, "\(file)")
        }
        let users = try String(contentsOfFile: machine.path + "/etc/passwd", encoding: .utf8)
        for name in ["gatepost", "gatepost-agent"] {
            #expect(users.contains("\n\(name):x:") || users.hasPrefix("\(name):x:"))
        }
        // The agent's state is the agent's, whatever number its user has there.
        var info = stat()
        #expect(stat(machine.path + "/var/lib/gatepost-agent", &info) == 0 && info.st_uid != 0)
    }

    @Test("an upgrade keeps keys and configuration, removing keeps them too, and purging takes the state")
    func life() throws {
        let machine = try Root()
        try machine.dpkg(["--install"] + (try machine.packages("0.1.0")))
        let kept = [
            "/var/lib/gatepost-agent/gateways/a/device-key.pem", "/etc/gatepost-agent/agent.json",
            "/etc/gatepost/gatepost.yaml", "/var/lib/gatepost/gatepost.sqlite",
        ]
        for file in kept { try machine.folder.put("/root" + file, "x") }
        try machine.folder.put("/programs/gatepost", "#!/bin/sh\necho newer\n")
        chmod(machine.folder.path + "/programs/gatepost", 0o755)
        try machine.dpkg(["--install"] + (try machine.packages("0.2.0")))
        let program = try String(contentsOfFile: machine.path + "/usr/bin/gatepost", encoding: .utf8)
        #expect(program.contains("newer"))
        for file in kept { #expect(machine.has(file), "after the upgrade: \(file)") }
        try machine.dpkg(["--remove", "gatepost", "gatepost-agent"])
        #expect(!machine.has("/usr/bin/gatepost") && !machine.has("/usr/lib/systemd/system/gatepost.service"))
        for file in kept { #expect(machine.has(file), "after the removal: \(file)") }
        try machine.dpkg(["--purge", "gatepost", "gatepost-agent"])
        for file in kept {
            // Somebody wrote the configuration, and the package did not.
            #expect(machine.has(file) == (file == "/etc/gatepost/gatepost.yaml"), "after the purge: \(file)")
        }
    }

    @Test("without programs, or with an odd version, no package is made") func refused() throws {
        let folder = try TemporaryFolder()
        let script = ProtocolTextTests.root + "/scripts/package"
        let none = try PackagingTests.run(script, ["--programs", folder.path, folder.path + "/out"])
        #expect(none.status == 1 && none.text.contains("is no program"))
        for name in ["gatepost", "gatepost-agent"] {
            try folder.put("/" + name, "#!/bin/sh\n")
            chmod(folder.path + "/" + name, 0o755)
        }
        let odd = try PackagingTests.run(
            script, ["--programs", folder.path, folder.path + "/out"], ["PACKAGE_VERSION": "../1"])
        #expect(odd.status == 1 && odd.text.contains("is no version"))
    }

    @Test("the scripts of packages are read by any shell, and touch no service of an image") func scripts()
        throws
    {
        let folder = ProtocolTextTests.root + "/packaging/debian"
        let names = try FileManager.default.contentsOfDirectory(atPath: folder)
        #expect(names.count == 6)
        for name in names {
            let text = try String(contentsOfFile: folder + "/" + name, encoding: .utf8)
            #expect(try PackagingTests.run("/bin/sh", ["-n", folder + "/" + name]).status == 0, "\(name)")
            let guarded = try #require(text.range(of: #"[ -z "$DPKG_ROOT" ]"#), "\(name)")
            let first = text.range(of: "systemctl")
            #expect(first.map { guarded.lowerBound < $0.lowerBound } ?? true, "\(name)")
        }
    }
}
