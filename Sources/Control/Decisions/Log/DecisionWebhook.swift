import Config
import Fetch
import JSON
import Synchronization

/// Posts the decision log's lines to a receiver, such as a SIEM, as they are written (002.21).
///
/// The log's thread only lays lines into a bounded queue: a receiver that is slow, away or hostile costs lines, which
/// are counted and told, and never a decision or a line of the files. Lines go in their order, one post at a time; the
/// same post is repeated until it is taken, so a receiver has each line at least once or hears that it was lost. What
/// is said of persons, and whole policies, are left out: they stay in the files, where the ones can be erased.
final class DecisionWebhook: Sendable {
    /// Bytes that wait, with those that are under way.
    static let waitingBytesMax = 8 << 20
    /// Bytes of one post; a line is never split.
    static let batchBytesMax = 256 << 10
    /// Of a post, what is kept for the line that counts losses.
    static let lostLineBytesMax = 128
    static let callMilliseconds = 10_000
    /// The longest wait between two tries.
    static let retrySecondsMax = 60.0
    /// The longest that a receiver may ask for.
    static let hintSecondsMax = 300.0
    /// A post that a receiver breaks at for so long, try after try, is given up: those behind it may be better.
    static let errorSecondsMax: Int64 = 3_600

    /// What can be said of it.
    struct Status: Sendable, Hashable {
        var waitingBytes = 0
        var linesSent = 0
        var linesLost = 0
        /// Why the last try failed; nil: it did not.
        var failure: String?
        var failingSinceSeconds: Int64?
    }

    /// One post, the same at every try.
    private struct Batch: Sendable {
        var bytes: [UInt8]
        /// What it takes of the queue's bytes.
        var waitingBytes = 0
        var lines = 0
        /// Losses that it tells of.
        var lostTold: Int
        var number: UInt64
        /// Counts how often another configuration began: what was begun under a former one is nobody's.
        var era: Int
    }

    private struct State {
        var settings: DecisionWebhookSettings?
        var era = 0
        /// Whole lines, oldest first.
        var waiting: [[UInt8]] = []
        var batches: UInt64 = 0
        var lostTold = 0
        var status = Status()
        var rest: Task<Void, Never>?
    }

    private enum Outcome {
        case taken
        /// The receiver does not want this post, now or later.
        case refused(String)
        /// It broke at this post, or at any.
        case broke(String)
        /// It is away, busy, or does not want us.
        case failed(String, waitSeconds: Double?)
    }

    private let fetcher: any Fetcher
    private let nowSeconds: @Sendable () -> Int64
    private let milliseconds: Int
    private let sleep: @Sendable (Double) async -> Void
    private let random: @Sendable () -> Double
    /// Tells this start's posts from those of others.
    private let start = String(UInt64.random(in: 0...UInt64.max), radix: 16)
    private let state: Mutex<State>
    private let news: AsyncStream<Void>
    private let tell: AsyncStream<Void>.Continuation

    /// - Parameters:
    ///   - settings: nil: nobody gets anything.
    ///   - milliseconds: bound of one post.
    ///   - sleep: seconds; returns early when its task is cancelled.
    ///   - random: 0..<1, for jitter.
    init(
        _ settings: DecisionWebhookSettings?, fetcher: any Fetcher,
        nowSeconds: @escaping @Sendable () -> Int64, milliseconds: Int = DecisionWebhook.callMilliseconds,
        sleep: @escaping @Sendable (Double) async -> Void = { try? await Task.sleep(for: .seconds($0)) },
        random: @escaping @Sendable () -> Double = { Double.random(in: 0..<1) }
    ) {
        self.fetcher = fetcher
        self.nowSeconds = nowSeconds
        self.milliseconds = milliseconds
        self.sleep = sleep
        self.random = random
        state = Mutex(State(settings: settings))
        (news, tell) = AsyncStream.makeStream(bufferingPolicy: .bufferingNewest(1))
    }

    /// nil: switched off.
    var status: Status? { state.withLock { $0.settings == nil ? nil : $0.status } }

    /// Another configuration, at once: what waits goes to the new receiver, or to nobody.
    func take(_ settings: DecisionWebhookSettings?) {
        state.withLock { state in
            guard settings != state.settings else { return }
            if settings == nil {
                let era = state.era + 1
                state.rest?.cancel()
                state = State(era: era, batches: state.batches)
            }
            state.settings = settings
            // Whoever has mended a secret does not wait for the next try.
            state.rest?.cancel()
        }
    }

    // MARK: Taking lines

    /// Takes lines that were written into a file; returns at once.
    func offer(_ bytes: [UInt8]) {
        guard state.withLock({ $0.settings != nil }) else { return }
        let lines = bytes.split(separator: UInt8(ascii: "\n")).filter(Self.isSent)
        guard !lines.isEmpty else { return }
        state.withLock { state in
            guard state.settings != nil else { return }
            for line in lines {
                let size = line.count + 1
                guard size <= Self.batchBytesMax - Self.lostLineBytesMax,
                    state.status.waitingBytes + size <= Self.waitingBytesMax
                else {
                    state.status.linesLost += 1
                    continue
                }
                state.waiting.append(line + [UInt8(ascii: "\n")])
                state.status.waitingBytes += size
            }
        }
        tell.yield()
    }

    private static let kept = ["person", "policy"].map { Array("{\"kind\":\"\($0)\",".utf8) }

    private static func isSent(_ line: ArraySlice<UInt8>) -> Bool {
        !kept.contains { line.starts(with: $0) }
    }

    // MARK: Sending

    /// Sends for as long as the task lives.
    func run() async {
        for await _ in news {
            while !Task.isCancelled, let batch = next() { await deliver(batch) }
        }
    }

    private func next() -> Batch? {
        let now = nowSeconds()
        return state.withLock { state in
            guard state.settings != nil, !state.waiting.isEmpty else { return nil }
            let lost = state.status.linesLost - state.lostTold
            var batch = Batch(
                bytes: lost > 0 ? Self.lostLine(lost, atSeconds: now) : [], lostTold: lost,
                number: state.batches, era: state.era)
            for line in state.waiting {
                guard batch.bytes.count + line.count <= Self.batchBytesMax else { break }
                batch.bytes += line
                batch.waitingBytes += line.count
                batch.lines += 1
            }
            state.waiting.removeFirst(batch.lines)
            state.batches += 1
            state.lostTold += lost
            return batch
        }
    }

    private static func lostLine(_ count: Int, atSeconds now: Int64) -> [UInt8] {
        let line: JSONValue = [
            "kind": "lost", "at": .integer(now), "where": "webhook", "entries": .integer(Int64(count)),
        ]
        return line.serialized() + [UInt8(ascii: "\n")]
    }

    /// The same bytes until they are taken or refused: a receiver may get them twice, and the post has a name.
    private func deliver(_ batch: Batch) async {
        var attempt = 0
        var brokenSinceSeconds: Int64?
        while !Task.isCancelled, let settings = settings(of: batch) {
            var hint: Double?
            switch await post(batch, to: settings) {
            case .taken: return settle(batch, failure: nil)
            case .refused(let what): return settle(batch, failure: what)
            case .broke(let what):
                let now = nowSeconds()
                let since = brokenSinceSeconds ?? now
                if now - since >= Self.errorSecondsMax { return settle(batch, failure: what) }
                brokenSinceSeconds = since
                note(what, batch.era)
            case .failed(let what, let wait):
                brokenSinceSeconds = nil
                hint = wait
                note(what, batch.era)
            }
            await pause(hint ?? backOff(attempt), settings)
            attempt += 1
        }
    }

    /// nil: the batch is nobody's any more.
    private func settings(of batch: Batch) -> DecisionWebhookSettings? {
        state.withLock { $0.era == batch.era ? $0.settings : nil }
    }

    private func backOff(_ attempt: Int) -> Double {
        let longest = min(Self.retrySecondsMax, Double(1 << min(attempt, 10)))
        return longest * (0.5 + random() / 2)
    }

    /// Ends early with the task, and when other settings come.
    private func pause(_ seconds: Double, _ settings: DecisionWebhookSettings) async {
        let rest = Task { [sleep] in await sleep(seconds) }
        let isCurrent = state.withLock { state in
            state.rest = rest
            return state.settings == settings
        }
        if !isCurrent { rest.cancel() }
        await withTaskCancellationHandler {
            await rest.value
        } onCancel: {
            rest.cancel()
        }
        state.withLock { $0.rest = nil }
    }

    private func post(_ batch: Batch, to settings: DecisionWebhookSettings) async -> Outcome {
        var request = FetchRequest(method: "POST", url: settings.url)
        request.fields = [
            ("content-type", "application/x-ndjson"), ("idempotency-key", "\"\(start)-\(batch.number)\""),
        ]
        if let secret = settings.authorization { request.fields.append(("authorization", secret.text)) }
        request.body = batch.bytes
        request.timeoutMilliseconds = milliseconds
        request.bodyBytesMax = 64 << 10
        request.allowsPlainHTTP = settings.allowsPlainHTTP
        request.authoritiesPEM = settings.authoritiesPEM
        do throws(FetchError) {
            let response = try await fetcher.fetch(request)
            let what = "HTTP \(response.status)"
            switch response.status {
            case 200...299: return .taken
            case 400, 413, 415, 422: return .refused(what)
            case 500, 501: return .broke(what)
            case _: return .failed(what, waitSeconds: Self.hint(response))
            }
        } catch {
            return .failed(error.what, waitSeconds: nil)
        }
    }

    private static func hint(_ response: FetchResponse) -> Double? {
        guard response.status == 429 || response.status == 503,
            let seconds = response.field("retry-after").flatMap({ Int64($0) }), seconds > 0
        else { return nil }
        return min(Double(seconds), hintSecondsMax)
    }

    // MARK: Telling

    /// What became of a batch.
    ///
    /// - Parameter failure: nil: it was taken; otherwise its lines are lost.
    private func settle(_ batch: Batch, failure: String?) {
        note(failure, batch.era) { state in
            state.status.waitingBytes -= batch.waitingBytes
            if failure == nil {
                state.status.linesSent += batch.lines
            } else {
                state.status.linesLost += batch.lines
                // Nobody has read of them yet.
                state.lostTold -= batch.lostTold
            }
        }
    }

    /// Events are told when it begins to fail and when it works again, not at each try.
    private func note(_ failure: String?, _ era: Int, _ change: (inout State) -> Void = { _ in }) {
        let now = nowSeconds()
        let lost = state.withLock { state -> Int? in
            guard state.era == era else { return nil }
            change(&state)
            let hasChanged = (state.status.failure == nil) != (failure == nil)
            state.status.failure = failure
            state.status.failingSinceSeconds =
                failure == nil ? nil : state.status.failingSinceSeconds ?? now
            return hasChanged ? state.status.linesLost : nil
        }
        guard let lost else { return }
        EventLog.write(
            failure == nil ? "decision-webhook-works-again" : "decision-webhook-failed",
            [("lines_lost", .integer(Int64(lost)))] + (failure.map { [("what", .string($0))] } ?? []))
    }
}
