import Fetch
import JSON
import Signatures
import Synchronization
import Testing

@testable import gatepost_agent

/// A machine enrolled with a real gateway service, which can be down, and its clock.
struct RenewingMachine {
    let folder: TemporaryFolder
    let gateway: GatewayInProcess
    let line: UnreliableLine
    let enrolled: EnrolledMachine
    let uptime = SharedMilliseconds()
    /// How far the machine's clock is ahead of the gateway's, seconds.
    let ahead = SharedMilliseconds()
    let said = SaidLines()

    init() async throws {
        folder = try TemporaryFolder()
        gateway = try GatewayInProcess()
        line = UnreliableLine(gateway)
        enrolled = try await EnrolledMachine(gateway, folder: folder, ids: "{}")
        let state = enrolled.identity.folder
        let key = try #require(enrolled.identity.key as? SigningKey)
        try state.write(DeviceIdentity.keyFileName, key.pem)
        try state.write(Enrolment.fileName, enrolled.identity.enrolment.stored)
    }

    func loop(_ identity: DeviceIdentity? = nil) -> RenewalLoop {
        let gateway = gateway
        let uptime = uptime
        let ahead = ahead
        let said = said
        return RenewalLoop(
            identity: identity ?? enrolled.identity,
            clock: AgentClock(
                nowSeconds: { gateway.now + ahead.now.withLock { $0 } },
                nowMilliseconds: { uptime.now.withLock { $0 } }),
            fetcher: line,
            log: EventLog(hasPrefix: false) { line in said.lines.withLock { $0.append(line) } })
    }

    /// Lets time pass for both clocks.
    func pass(_ seconds: Int64) {
        gateway.now += seconds
        uptime.now.withLock { $0 += seconds * 1000 }
    }
}

/// The way to a gateway that a test can cut, counting who goes it.
final class UnreliableLine: Fetcher {
    let gateway: GatewayInProcess
    let isDown = Mutex(false)
    let asked = Mutex(0)
    /// Changes the gateway's answers.
    let edit = Mutex<(@Sendable (inout JSONObject) -> Void)?>(nil)

    init(_ gateway: GatewayInProcess) { self.gateway = gateway }

    func fetch(_ request: FetchRequest) async throws(FetchError) -> FetchResponse {
        asked.withLock { $0 += 1 }
        guard !isDown.withLock({ $0 }) else { throw FetchError(.unreachable, "down") }
        var response = try await gateway.fetch(request)
        if let edit = edit.withLock({ $0 }), var object = (try? JSONValue(parsing: response.body))?.object {
            edit(&object)
            response.body = JSONValue.object(object).serialized()
        }
        return response
    }
}

/// Lines of a log, in order.
final class SaidLines: Sendable { let lines = Mutex<[String]>([]) }
