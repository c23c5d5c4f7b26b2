import DataPlane
import Glibc
import JSON

/// Data processes that hang are ended: what a crash is started again from, an endless loop would never be.
extension Supervisor {
    /// The next look at the signs of life, in monotonic milliseconds; nil: nobody gives any.
    var nextLook: Int64? {
        children.contains(where: \.givesSigns) ? lookedAt + Watch.lookMilliseconds : nil
    }

    func lookForSigns() {
        let now = Self.nowMilliseconds
        guard let due = nextLook, now >= due else { return }
        lookedAt = now
        for index in children.indices where children[index].givesSigns {
            let (count, stage) = beats.read(children[index].life)
            let isSilent = children[index].watch.look(count)
            guard isSilent || stage != nil else { continue }
            let child = children[index]
            // Ended once; its end comes as that of a crash does.
            children[index].isBeating = false
            report(
                "process-hung",
                [
                    ("process", .string(child.role.rawValue)), ("pid", .integer(Int64(child.pid))),
                    (
                        "stage",
                        .string(
                            stage.map(Liveness.name(ofStage:)) ?? "no sign of life in \(Watch.looksMax) s")
                    ),
                ])
            kill(child.pid, SIGKILL)
        }
    }
}
