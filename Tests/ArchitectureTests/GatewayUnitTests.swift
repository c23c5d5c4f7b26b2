import ChildPrograms
import Foundation
import Testing

@Suite("The units of packaging/gateway")
struct GatewayUnitTests {
    static let folder = URL(filePath: #filePath).resolvingSymlinksInPath()
        .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
        .appending(path: "packaging/gateway")
    static let hasSystemd = FileManager.default.isExecutableFile(atPath: "/usr/bin/systemd-analyze")

    private static func analyze(_ arguments: [String]) throws -> ChildProgram.Outcome {
        try ChildProgram("/usr/bin/systemd-analyze", arguments, output: .kept, errors: .kept).outcome()
    }

    @Test("systemd finds nothing wrong with service and socket", .enabled(if: hasSystemd)) func verified()
        throws
    {
        let copy = FileManager.default.temporaryDirectory.appending(path: "units-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: copy, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: copy) }
        for name in ["gatepost.service", "gatepost.socket"] {
            let text = try String(contentsOf: Self.folder.appending(path: name), encoding: .utf8)
            // The program is not installed where tests run.
            try text.replacingOccurrences(of: "/usr/bin/gatepost", with: "/bin/true")
                .write(to: copy.appending(path: name), atomically: true, encoding: .utf8)
        }
        let names = ["gatepost.service", "gatepost.socket"].map { copy.appending(path: $0).path }
        let verified = try Self.analyze(["verify"] + names)
        #expect(verified.status == 0 && verified.output.isEmpty, "\(verified.text)")
    }

    @Test("systemd's own measure of exposure stays low", .enabled(if: hasSystemd)) func exposure() throws {
        let file = Self.folder.appending(path: "gatepost.service").path
        let measured = try Self.analyze(
            ["security", "--offline=true", "--no-pager", "--threshold=25", file])
        #expect(measured.status == 0, "\(measured.text.split(separator: "\n").last ?? "")")
    }

    @Test("a stop leaves the gateway the time that it takes, and only its supervisor is told") func stopping()
        throws
    {
        let text = try String(contentsOf: Self.folder.appending(path: "gatepost.service"), encoding: .utf8)
        #expect(text.contains("KillMode=mixed") && text.contains("TimeoutStopSec=40"))
        #expect(text.contains("ExecReload=/usr/bin/kill -HUP $MAINPID"))
    }
}
