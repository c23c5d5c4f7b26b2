import Access
import Border
import Config
import Foundation
import Identity
import JSON
import Posture
import Signatures
import Store
import Synchronization

/// When the control plane last did what it does now and then.
struct UpkeepTimes: Sendable {
    /// TLS tickets are sealed with a key for this long; the two keys before and after it are good as well, so that
    /// resumption goes on over a change (RFC 8446 §C.4 asks for regular replacement).
    static let ticketKeySeconds: Int64 = 12 * 3_600

    /// nil: not since the start.
    var ticketKeysRotatedAtSeconds: Int64?
    /// When every device's standing was last offered to the directories that take it.
    var publishedAtSeconds: Int64?
    /// Devices whose standing is to be offered before that.
    var changedDevices: Set<String> = []
}

/// What the control plane does without being asked.
extension ControlPlane {
    /// Loads what the store has and begins to follow providers and changes.
    public func start() async throws(ControlFailure) {
        let posture = services.posture
        do {
            machines.take(try await store.serviceTokens())
            try await posture.load()
            try await endSessionsOfForgottenProviders(isRunning: false)
        } catch {
            throw ControlFailure(what: "\(error)")
        }
        tellOfUnknownServices()
        for integration in await posture.sharedKeyIntegrations() {
            EventLog.write(
                "unsafe-static-statements",
                [
                    ("integration", .string(integration)),
                    ("what", "any device can speak for every device; remove unsafe-static"),
                ])
        }
        await carryOutSignals()
        let providers = Task(priority: .utility) { await posture.run() }
        let news = Task { [self] in await followDevices() }
        let upkeep = Task(priority: .utility) { [self] in
            while !Task.isCancelled {
                await keepUp()
                try? await Task.sleep(for: .seconds(60))
            }
        }
        let publishing = Task(priority: .utility) { [self] in
            while !Task.isCancelled {
                await publishNews()
                try? await Task.sleep(for: .seconds(1))
            }
        }
        let refreshing = Task(priority: .utility) { [self] in
            while !Task.isCancelled {
                await refreshSignIns()
                try? await Task.sleep(for: .seconds(1))
            }
        }
        let naming = Task(priority: .utility) { [self] in
            while !Task.isCancelled {
                await followNames()
                try? await Task.sleep(for: .seconds(1))
            }
        }
        let lists = Task(priority: .utility) { [self] in
            while !Task.isCancelled {
                await followClientLists()
                try? await Task.sleep(for: .seconds(1))
            }
        }
        let shipping = Task<Void, Never>(priority: .utility) { [decisions] in
            await decisions.log?.webhook?.run()
        }
        following.withLock {
            $0 = [providers, news, upkeep, publishing, refreshing, naming, lists, shipping]
        }
    }

    /// A policy may name a token before it is made; a name that is misspelt would otherwise be found by its silence.
    func tellOfUnknownServices() {
        let known = Set((machines.tokens ?? []).map(\.name))
        for application in services.config.policy.applications {
            for name in application.serviceNames where !known.contains(name) {
                EventLog.write(
                    "service-token-missing",
                    [("application", .string(application.name)), ("service", .string(name))])
            }
        }
    }

    /// Ends what follows providers and changes, and frees the administration socket.
    public func stop() {
        for task in following.withLock({ $0 }) { task.cancel() }
        commands.withLock { $0 }?.stop()
        decisions.finish()
        EventLog.flush()
    }

    /// Forgets what has expired and changes the ticket keys when it is time. Once a minute.
    func keepUp() async {
        let now = nowSeconds()
        decisions.sweep(under: services.config.policy, nowSeconds: now)
        forms.forgetOld(nowSeconds: now)
        machines.forgetEnded(nowSeconds: now)
        certified.sweep(nowSeconds: now)
        refreshes.sweep(nowSeconds: now)
        let open = revocations.open(nowSeconds: now)
        await services.posture.note(openDevices: open.devices)
        await services.posture.note(openPeople: open.people)
        for members in integrationEvents.news(await services.posture.integrationStatus()) {
            decisions.note("integration", atSeconds: now, members)
        }
        let trust = clientTrust
        let certificates = await services.posture.trustCertificates() + trust.certificates
        for end in certificateEnds.news(certificates, nowSeconds: now) {
            EventLog.write("certificate-ends", end.members)
        }
        for members in listEnds.news(trust.lists, nowSeconds: now) {
            EventLog.write("revocation-list-ends", members)
        }
        for end in tokenEnds.news(machines.tokens ?? [], nowSeconds: now) {
            EventLog.write("service-token-ends", end.members)
        }
        do throws(StoreError) {
            if let ahead = try await store.settleEndings(nowSeconds: now) {
                EventLog.write(
                    "clock-went-back",
                    [
                        ("endings", .integer(Int64(ahead.count))),
                        ("ahead_seconds", .integer(ahead.seconds)),
                        ("what", .string(Self.clockWentBack)),
                    ])
            }
            let expired = try await store.removeExpired(nowSeconds: now)
            if !expired.isEmpty { revocations.send(expired.map { .endSession($0) }) }
            try await store.noteUse(ofServiceTokens: machines.takeUses())
        } catch {
            EventLog.write("store-failed", [("what", .string("\(error)"))])
        }
        await releaseExpired()
        let isDue = upkeep.withLock { times in
            let last = times.ticketKeysRotatedAtSeconds ?? now
            // A clock that jumps back must not keep one key for ever.
            let isDue = now - last >= UpkeepTimes.ticketKeySeconds || now < last
            times.ticketKeysRotatedAtSeconds = isDue ? now : last
            return isDue
        }
        guard isDue else { return }
        do throws(ControlFailure) {
            try await rotateKeys(.ticket)
        } catch {
            EventLog.write("key-rotation-failed", [("what", .string(error.what))])
        }
    }

    private static let clockWentBack =
        "endings that were noted before the host's clock went back are dated as of now; until now those whom they "
        + "are about could not sign in"

    /// The next key of a purpose becomes the current one, everywhere; the one before stays good until the next
    /// rotation.
    func rotateKeys(_ purpose: KeyRing.Purpose) async throws(ControlFailure) {
        do {
            try ring.rotate(purpose)
        } catch {
            throw ControlFailure(what: error.what)
        }
        EventLog.write("key-rotated", [("purpose", .string(purpose.rawValue))])
        guard purpose == .ticket || purpose == .cookie else { return }
        await configuring.enter()
        let snapshot = current.withLock { services in
            services.snapshot.revision = revisions.wrappingAdd(1, ordering: .relaxed).newValue
            services.snapshot.ticketKeys = ring.secrets(.ticket).map(\.secret)
            services.snapshot.cookieKeys = ring.secrets(.cookie).map { MACKey(id: $0.id, secret: $0.secret) }
            return services.snapshot
        }
        do throws(ControlFailure) {
            try await configure(snapshot)
            await configuring.leave()
        } catch {
            await configuring.leave()
            throw error
        }
    }
}
