import Fetch
import Foundation

/// Renews one gateway's certificate when it is due; a gateway that is down is asked again ever more seldom,
/// up to once an hour.
struct RenewalLoop: Sendable {
    /// How often it is looked whether anything is due. It counts while the machine sleeps too.
    static let tickSeconds = 15

    let identity: DeviceIdentity
    let clock: AgentClock
    var fetcher: any Fetcher = CurlFetcher(connectionsMax: 2)
    var log = EventLog.standard

    func run() async {
        var schedule = RenewalSchedule()
        while !Task.isCancelled {
            await tick(&schedule, chance: Int64.random(in: 0...1023))
            try? await Task.sleep(for: .seconds(Self.tickSeconds), clock: .continuous)
        }
    }

    /// Renews when it is due and allowed.
    ///
    /// - Parameter chance: 0 to 1023, spreads the next attempt after a failure.
    func tick(_ schedule: inout RenewalSchedule, chance: Int64) async {
        let now = clock.nowSeconds()
        guard isDue(nowSeconds: now), schedule.mayTry(nowMilliseconds: clock.nowMilliseconds()) else {
            return
        }
        let gateway = identity.enrolment.authOrigin
        do throws(AgentError) {
            try await step(nowSeconds: now)
            schedule.succeeded(nowMilliseconds: clock.nowMilliseconds())
            log.say("event=renewed gateway=\(gateway)")
        } catch {
            schedule.failed(nowMilliseconds: clock.nowMilliseconds(), chance: chance)
            let left = max(0, identity.enrolment.notAfterSeconds - now)
            log.say(
                "event=renewal-failed gateway=\(gateway) attempt=\(schedule.failures) "
                    + "certificate-seconds-left=\(left): \(error)",
                level: 4)
        }
    }

    func isDue(nowSeconds: Int64) -> Bool {
        identity.enrolment.isRenewalDue(nowSeconds: nowSeconds) || identity.isBehind
    }

    /// One renewal; the old enrolment stays when anything fails, also on the disk.
    func step(nowSeconds: Int64) async throws(AgentError) {
        let fresh = try await GatewayExchange(fetcher: fetcher).renew(identity, nowSeconds: nowSeconds)
        try identity.folder.locked { () throws(AgentError) in
            // Somebody enrolled anew while the gateway was asked: the old key's certificate must not be laid
            // over the new key's.
            if let stored = try identity.folder.read(Enrolment.fileName),
                let other = try? Enrolment(stored: stored).deviceID,
                Array(other.utf8) != Array(fresh.deviceID.utf8)
            {
                throw AgentError("this device was enrolled anew", remedy: "the new enrolment counts")
            }
            try identity.replace(fresh)
        }
    }
}
