import Border
import Config
import JSON
import Posture
import Signatures
import Synchronization

/// The revocation lists of client certificates' authorities, as each listener's file was read last.
///
/// Of each issuer's key the newest list that was read since the start counts, whatever becomes of the file: one that is
/// replaced by something unreadable or older takes no revocation back, and neither does a reload.
final class ClientLists: Sendable {
    struct File: Sendable {
        /// The listener's number.
        var listener: Int
        var path: String
        var stamp: RevocationListFile.Stamp?
        /// The newest of each issuer, key and part, in the order in which they came.
        var lists: [ListedRevocations] = []
        /// What reactors took last.
        var told: [ListedRevocations] = []
        /// Why the file as it is now is not used whole; nil: it is.
        var problem: String?
        /// Why reactors did not take what is in use here.
        var refusal: String?

        var isUntold: Bool { lists != told }

        mutating func take(_ read: [ListedRevocations]) {
            problem = nil
            for list in read {
                guard let index = lists.firstIndex(where: { $0.isOfOneRow(with: list) }) else {
                    lists.append(list)
                    continue
                }
                if list.isOlder(than: lists[index]) {
                    problem = "the list of \(list.issuerName) is older than the one that is in use"
                } else {
                    lists[index] = list
                }
            }
            // Those that the file no longer has, the longest known first.
            while lists.count > ListedRevocations.listsMax,
                let index = lists.firstIndex(where: { held in !read.contains { $0.isOfOneRow(with: held) } })
            {
                lists.remove(at: index)
            }
        }
    }

    /// Files of configurations before this one: one that was refused, or comes back, takes nothing back either.
    private static let formerMax = 16

    private struct State {
        var files: [File] = []
        var former: [File] = []
    }
    private let state = Mutex(State())

    var files: [File] { state.withLock { $0.files } }

    /// Takes what a configuration's files held when it was read.
    func take(_ listeners: [ListenerSettings]) throws(ControlFailure) {
        var read: [(listener: Int, path: String, lists: [ListedRevocations])] = []
        for (index, listener) in listeners.enumerated() {
            guard let settings = listener.clientCertificates, let bytes = settings.revocations else {
                continue
            }
            do throws(SignatureError) {
                let path = settings.revocationsPath ?? ""
                read.append((index, path, try ListedRevocations.all(bytes)))
            } catch {
                throw ControlFailure(
                    what: "gateway.listeners[\(index)].client-certificates.crl: \(error.what)")
            }
        }
        state.withLock { state in
            let known = state.files + state.former
            state.files = read.map { new in
                var file =
                    known.first { $0.listener == new.listener && $0.path == new.path }
                    ?? File(listener: new.listener, path: new.path)
                file.take(new.lists)
                return file
            }
            let left = known.filter { old in
                !state.files.contains { $0.listener == old.listener && $0.path == old.path }
            }
            state.former = Array(left.prefix(Self.formerMax))
        }
    }

    /// Looks at every file, and reads those that changed.
    ///
    /// - Returns: those whose lists reactors have not taken, and those that are not used as they are.
    func refresh() -> (untold: [File], failed: [File]) {
        var failed: [File] = []
        for var file in files {
            let stamp = RevocationListFile.stamp(of: file.path)
            guard stamp != file.stamp || (stamp == nil && file.problem == nil) else { continue }
            file.stamp = stamp
            do throws(SignatureError) {
                file.take(try ListedRevocations.all(try RevocationListFile.read(file.path)))
            } catch {
                file.problem = error.what + "; the last good lists stay in use"
            }
            if file.problem != nil { failed.append(file) }
            let new = file
            state.withLock { state in
                // A reload may have come between.
                let index = state.files.firstIndex { $0.listener == new.listener && $0.path == new.path }
                guard let index else { return }
                var merged = state.files[index]
                merged.take(new.lists)
                merged.stamp = new.stamp
                merged.problem = new.problem
                state.files[index] = merged
            }
        }
        return (files.filter(\.isUntold), failed)
    }

    /// Notes that reactors have what these files held. Until then it is offered again.
    func note(told: [File]) {
        change(told) {
            $0.told = $1.lists; $0.refusal = nil
        }
    }

    /// - Returns: whether that is news.
    func note(refused: [File], _ what: String) -> Bool {
        let problem = "the gateway does not take its lists, and tries again: \(what)"
        defer { change(refused) { file, _ in file.refusal = problem } }
        return refused.contains { $0.refusal != problem }
    }

    private func change(_ chosen: [File], _ body: (inout File, File) -> Void) {
        state.withLock { state in
            for file in chosen {
                let index = state.files.firstIndex { $0.listener == file.listener && $0.path == file.path }
                if let index { body(&state.files[index], file) }
            }
        }
    }

    /// Puts the lists in use into a configuration for reactors.
    func complete(_ snapshot: inout GatewaySnapshot) {
        for file in files where snapshot.clientCertificates.indices.contains(file.listener) {
            snapshot.clientCertificates[file.listener]?.revocationsPEM = ListedRevocations.pem(file.lists)
        }
    }
}

extension ControlPlane {
    /// Gives reactors the lists that changed. What their connections proved under others is proven again.
    func followClientLists() async {
        let (untold, failed) = clientLists.refresh()
        for file in failed {
            EventLog.write(
                "revocation-list-refused",
                [
                    ("listener", .integer(Int64(file.listener))), ("file", .string(file.path)),
                    ("problem", .string(file.problem ?? "")),
                ])
        }
        guard !untold.isEmpty else { return }
        await configuring.enter()
        let snapshot = current.withLock { services in
            services.snapshot.revision = revisions.wrappingAdd(1, ordering: .relaxed).newValue
            return services.snapshot
        }
        do throws(ControlFailure) {
            try await configure(snapshot)
            await configuring.leave()
            for file in untold {
                EventLog.write(
                    "revocation-list-read",
                    [("listener", .integer(Int64(file.listener))), ("file", .string(file.path))])
            }
        } catch {
            await configuring.leave()
            guard clientLists.note(refused: untold, error.what) else { return }
            EventLog.write("revocation-list-refused", [("problem", .string(error.what))])
        }
    }
}
