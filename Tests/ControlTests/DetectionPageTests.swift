import Access
import Foundation
import Testing

@testable import Config
@testable import Control
@testable import Posture

@Suite("docs/providers/detection.md: how long a change stays unknown, from the schedule's own constants")
struct DetectionPageTests {
    private static let root = URL(fileURLWithPath: #filePath).resolvingSymlinksInPath()
        .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent().path

    /// What a cut may take, for a hundredth of 10,000 streams and for all of them.
    private static let cut = "≤ 50 ms, all ≤ 500 ms"

    private static func text(_ seconds: Int64) -> String { Quantity.durationText(seconds) }

    private static func row(_ cells: [String]) -> String { "| \(cells.joined(separator: " | ")) |\n" }

    private static func row(of kind: ProviderKind) -> String {
        guard kind.name != SignalStreamSettings.provider else {
            return row(["`\(kind.name)`", "its transmitter's", "at once", "", "", cut])
        }
        return row([
            "`\(kind.name)`", VendorDelay.seconds[kind.name].map { "up to \(text($0))" } ?? "not published",
            text(kind.pace.refresh), text(kind.pace.refreshMin),
            text(RefreshSchedule.prioritySpacingSeconds), cut,
        ])
    }

    private static var page: String {
        let handshake = HandshakeSettings(integration: "agents", authOrigin: "https://auth.example")
        var page = """
            # How long a change stays unknown, and how long the cut takes

            From a change at a device to the end of what it has open three times add up: the way to the vendor, the way from there to the
            gateway, and the cut. The last is by far the shortest.

            | provider | the vendor's own way | then known here within (`refresh`) | shortest `refresh` | while its person waits | then cut |
            | --- | --- | --- | --- | --- | --- |

            """
        for kind in ProviderKind.all { page += row(of: kind) }
        page += row([
            "`endpoint-agent`", "none", "\(text(handshake.ageSecondsMax)) (`max-age`)", "1m", "at once", cut,
        ])
        page += """

            - **The vendor's own way** is what its documentation says, where it says anything. No `refresh` makes it shorter.
            - **Known here within**: each device is asked about so often by default, up to \(Int(RefreshSchedule.jitter * 100)) % earlier. With more devices than a provider can
              answer for, the list is read at that pace instead ([README.md](README.md), "Many devices"); `gatepost integrations` shows
              the configured time as "notices within" and warns when it falls behind.
            - **While its person waits** in front of a block page or in the device check, the providers are asked about that one device, at most
              once in the time given.
            - **`shared-signals`** tells by itself, by push or by a poll that is held open. The stream is verified each \(text(SignalStream.verificationSeconds)); it is shown as degraded
              when no verification comes within \(text(SignalStream.verificationSecondsMax)), and what it said of devices counts no more after \(text(SignalVerdicts.unverifiedSecondsMax)) without one. Beside a provider
              that is asked, it is what shortens the first two columns: name that one in `confirmed-by`.
            - **Webhooks and subscriptions** of the vendors themselves are not received: Microsoft Graph has none for devices, and the others are hints
              after which the vendor has to be asked all the same.
            - **`endpoint-agent`**: what a device says of itself is as old as its last statement. A device that is revoked with `gatepost device revoke`
              is cut at once, one on a revocation list of a file within \(Int(PostureService.revocationLookSeconds)) s of the file.
            - **The cut**, from the moment when the gateway knows: of 10,000 open streams 1 % within 50 ms, all within 500 ms. What was measured stands in
              [loadtest/README.md](../../loadtest/README.md).

            """
        return page
    }

    @Test("003.2 003.6 the page says what the schedule, the vendors' table and the streams do") func isTrue()
        throws
    {
        let path = "\(Self.root)/docs/providers/detection.md"
        if ProcessInfo.processInfo.environment["UPDATE_GOLDEN"] == "1" {
            try Data(Self.page.utf8).write(to: URL(fileURLWithPath: path))
        }
        #expect(
            try String(contentsOfFile: path, encoding: .utf8) == Self.page,
            "run with UPDATE_GOLDEN=1 and review")
    }

    @Test("every vendor whose own way is known is a provider") func vendors() {
        #expect(Set(VendorDelay.seconds.keys).isSubset(of: ProviderKind.all.map(\.name)))
    }

    @Test("the promise of the last column is the one that is measured") func promise() throws {
        let measured = try String(contentsOfFile: "\(Self.root)/loadtest/README.md", encoding: .utf8)
        #expect(measured.contains("1 % of 10,000 streams \(Self.cut)"))
    }

    @Test("001.26 what the page says of a provider is what its integration does by default, and shows")
    func integration() async throws {
        let house = try Gatehouse(
            Gatehouse.config.replacing(
                "integrations:\n",
                with: "integrations:\n  kolide: { provider: kolide, api-token: { file: secrets/corp } }\n"),
            fetcher: RotatedProvider(accepting: "secret"))
        let shown = await house.control.services.posture.integrationStatus()
        let status = try #require(shown.first { $0.integration == "kolide" })
        let kind = try #require(ProviderKind.all.first { $0.name == "kolide" })
        #expect(status.noticedWithinSeconds == kind.pace.refresh)
        #expect(status.vendorDelaySeconds == VendorDelay.seconds["kolide"])
    }
}
