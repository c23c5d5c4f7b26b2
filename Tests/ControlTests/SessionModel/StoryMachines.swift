import Access
import Border
import Foundation
import GRDB
import JSON
import Store

@testable import Control
@testable import Posture

/// Clients without a person, devices that are revoked, signals, and a store that is away for a moment.
extension SessionStory {
    static let service = "robot"

    // MARK: Machines

    /// A token is made, used, given a successor or revoked.
    func machine() async throws {
        let isKnown = !tokens.isEmpty
        switch random(0..<10) {
        case 0..<6 where isKnown: try await useToken()
        case 6..<9 where model.tokens.isEmpty: try await makeToken("service-token-create", [:])
        case 6..<8:
            try await makeToken("service-token-rotate", ["overlap": .integer(Int64(random(60..<400)))])
        case 8 where isKnown: try await run(revokeTokens(), kind: .machineRevocation)
        case _: break
        }
    }

    private func makeToken(_ command: String, _ members: JSONObject) async throws {
        // A name keeps the tokens that have ended; what is made anew begins with none.
        if command == "service-token-create" { try await run(revokeTokens(), kind: .machineRevocation) }
        var members = members
        let lifetime = Int64(random(60..<900))
        members["command"] = .string(command)
        members["name"] = .string(Self.service)
        members["expires"] = .integer(lifetime)
        let overlap = members["overlap"]?.integer
        let answer = await house.control.execute(.object(members))
        guard let text = answer["token"]?.string, let id = answer["id"]?.string else {
            // Eight of one name are the bound.
            note("\(command): \(answer["error"]?.string ?? "no token")")
            if model.tokens.count < 8 { fail("\(command) makes no token: \(answer.serializedText())") }
            return
        }
        note("\(command): \(id) for \(lifetime) s" + (overlap.map { ", overlap \($0) s" } ?? ""))
        meet(command)
        if let overlap { model.shorten(tokensTo: now + overlap) }
        model.begin(SessionModel.ServiceToken(id: id, expiresAtSeconds: now + lifetime))
        let digest = MachineRegistry.digest(of: text)
        for application in ModelConfig.applications {
            let wire = MachineRegistry.wire(digest, host: "\(application).corp.example")
            tokens.append((wire, id, application))
        }
        await house.settle()
    }

    private func useToken() async throws {
        guard let known = tokens.suffix(12).randomElement(using: &chance) else { return }
        note("\(known.id) asks for \(known.application)")
        try await ask(known)
    }

    private func ask(_ known: (digest: [UInt8], id: String, application: String)) async throws {
        let request = house.reactors.request(
            known.digest, known.application, on: random(0..<StandInReactors.count), nowSeconds: now,
            isService: true)
        await house.settle()
        let counts = model.tokens[known.id] != nil
        switch house.reactors.outcome(request) {
        case .opened(let stream):
            meet("machine let in")
            if !counts { fail("\(known.id) has ended and lets in") }
            model.streams[stream] = known.id + "@" + known.application
            if isLikely(1, of: 3) {
                house.reactors.close(stream)
                model.streams[stream] = nil
            }
        case .signIn, .refused:
            meet("machine not let in")
            if counts { fail("\(known.id) counts and was not let in") }
        case nil: fail("a machine's request was never answered")
        }
    }

    func revokeTokens() -> @Sendable () async -> Void {
        note("the tokens of \(Self.service) are revoked")
        meet("machine revoked")
        model.endTokens()
        let control = house.control
        return {
            _ = await control.execute(["command": "service-token-revoke", "name": .string(Self.service)])
        }
    }

    /// What has ended lets no machine in either.
    func lookAtDeadTokens(all: Bool) async throws {
        let dead = tokens.filter { model.tokens[$0.id] == nil }
        for known in all ? dead : dead.suffix(2) { try await ask(known) }
    }

    // MARK: Devices

    /// A device is lost; another one takes its place.
    func revokeDevice() -> @Sendable () async -> Void {
        let place = random(0..<devices.count)
        let device = devices[place]
        guard house.enrolled.contains(device) else { return {} }
        number += 1
        devices[place] = "device-\(number + 1)"
        note("\(device) is revoked")
        meet("device revoked")
        model.end { $0.device == device }
        let control = house.control
        return { _ = await control.execute(["command": "device-revoke", "device": .string(device)]) }
    }

    // MARK: Signals

    /// A transmitter says that sessions were revoked: of a person, one of ours or of the provider's, or of a person on
    /// a device.
    func signal() -> @Sendable () async -> Void {
        guard let meant = anySignIn(), let target = signalled(meant) else { return {} }
        number += 1
        note("a signal revokes \(target)")
        meet("signal")
        let origin = SignalOrigin(
            stream: "events", tokenID: "set-\(number)", transaction: nil,
            event: "https://schemas.openid.net/secevent/caep/event-type/session-revoked")
        let (control, story, sent) = (house.control, answered, target)
        return {
            do {
                try await control.carryOut([.endSessions(sent)], of: origin)
            } catch {
                story.complain("a signal was not carried out: \(error)")
            }
        }
    }

    /// What is named, and ended in the model; nil where it has no such name.
    private func signalled(_ meant: SessionModel.SignIn) -> SignalTarget? {
        var target = SignalTarget()
        let person = SignalTarget.Person.identity(issuer: meant.issuer, subject: meant.subject)
        switch random(0..<6) {
        case 0:
            target.persons = [person]
            model.end(.person(issuer: meant.issuer, subject: meant.subject), atSeconds: now)
        case 1:
            target.persons = [.email(meant.email)]
            model.end(.address(meant.email), atSeconds: now)
        case 2:
            target.sessions = [meant.id]
            model.end(signIns: [meant.id])
        case 3:
            guard let sid = meant.sid else { return nil }
            target.sessions = [sid]
            model.end(.session(sid: sid), atSeconds: now)
        case 4:
            guard let sid = meant.sid else { return nil }
            target.persons = [person]
            target.sessions = [sid]
            model.end(
                .personSession(issuer: meant.issuer, subject: meant.subject, sid: sid), atSeconds: now)
        case _:
            // A sign-in under way has proven no device: it is none of these.
            guard let device = meant.device else { return nil }
            target.persons = [.email(meant.email)]
            target.deviceID = device
            model.end { $0.email == meant.email && $0.device == device }
        }
        return target
    }

    // MARK: The store

    /// The store answers nothing for a moment. What reactors know goes on; nobody else is let in, and nobody is sent to
    /// sign in who has a session.
    func storeAway() async throws {
        note("the store is away")
        meet("store away")
        try house.takeStoreAway()
        for known in digests.suffix(8) where isLikely(2, of: 3) {
            let session = model.sessions[known.session]
            let counts = model.isAccepted(known.session)
            // A secret that a newer one took the place of is no session's any more, sooner or later.
            guard digests.last(where: { $0.session == known.session })?.digest == known.digest else {
                continue
            }
            // Whether it was idle nobody can ask now, and afterwards it may be over.
            if let session, model.mayBeIdle(session, atSeconds: now) { continue }
            let request = house.reactors.request(
                known.digest, known.application, on: random(0..<StandInReactors.count), nowSeconds: now)
            await house.settle()
            switch house.reactors.outcome(request) {
            case .opened(let stream):
                if !counts { fail("\(known.session) was let in while the store was away") }
                model.streams[stream] = known.session
                model.use(known.session, atSeconds: now)
            case .signIn: if counts { fail("\(known.session) counts, and the failing store was its end") }
            case .refused: meet("refused for the store")
            case nil: fail("a request was never answered")
            }
        }
        try house.bringStoreBack()
        await house.settle()
    }
}

extension ModelHouse {
    private func change(_ sql: String) throws {
        let file = folder.appending(path: "state/sessions.sqlite").path
        var configuration = GRDB.Configuration()
        configuration.busyMode = .timeout(60)
        try DatabaseQueue(path: file, configuration: configuration).write { try $0.execute(sql: sql) }
    }

    /// Every read and write of sessions fails from now on, as with a damaged file.
    func takeStoreAway() throws { try change("ALTER TABLE sessions RENAME TO sessions_away") }
    func bringStoreBack() throws { try change("ALTER TABLE sessions_away RENAME TO sessions") }

    /// As if no ending had been noted for those who are signing in.
    func forgetEndings() throws { try change("DELETE FROM endings") }
    func forgetSignOuts() throws { try change("DELETE FROM endings WHERE kind = 'browser'") }

    /// From now on as if sign-ins had no names of their browser.
    func forgetBrowsers() throws {
        try change(
            "CREATE TRIGGER forgotten BEFORE INSERT ON browser_names BEGIN SELECT RAISE(IGNORE); END")
    }

    /// As if endings had no numbers, or all the same.
    func forgetCount() throws { try change("UPDATE endings SET number = 0") }

    /// Somebody enrols a device.
    func enroll(_ id: String) async throws {
        guard enrolled.insert(id).inserted else { return }
        try await store.upsert(
            StoredDevice(
                id: id, ownerIssuer: HeldProvider.issuers[0], ownerSubject: "ann", platform: .linux,
                keyThumbprint: "t-\(id)", certificateSerial: "01", enrolledAtSeconds: clock.now,
                certificateNotAfterSeconds: clock.now + 86_400))
        try await control.services.posture.load()
    }

    /// What a start reads before it serves anybody.
    func load() async throws {
        control.machines.take(try await store.serviceTokens())
        try await control.services.posture.load()
    }
}
