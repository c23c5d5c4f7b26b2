import Fetch
import Foundation

/// Renews the certificate when it is due; a gateway that is down is asked again every few minutes.
struct RenewalLoop: Sendable {
    static let retrySeconds: Int64 = 300

    let identity: DeviceIdentity
    let clock: AgentClock
    var fetcher: any Fetcher = CurlFetcher(connectionsMax: 2)

    func run() async {
        var notBefore: Int64 = 0
        while !Task.isCancelled {
            let now = clock.nowSeconds()
            if now >= notBefore, isDue(nowSeconds: now) {
                do throws(AgentError) {
                    try await step(nowSeconds: now)
                } catch {
                    FileHandle.standardError.write(Data("gatepost-agent: renewal: \(error)\n".utf8))
                }
                // Also after a success: a gateway that speaks of keys that it does not hand out must not be
                // asked four times a minute.
                notBefore = now + Self.retrySeconds
            }
            try? await Task.sleep(for: .seconds(15))
        }
    }

    func isDue(nowSeconds: Int64) -> Bool {
        identity.enrolment.isRenewalDue(nowSeconds: nowSeconds) || identity.isBehind
    }

    /// One renewal; the old enrolment stays when anything fails.
    func step(nowSeconds: Int64) async throws(AgentError) {
        let fresh = try await GatewayExchange(fetcher: fetcher).renew(identity, nowSeconds: nowSeconds)
        try identity.replace(fresh)
    }
}
