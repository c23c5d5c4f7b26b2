import Access
import JSON

/// Many devices in few calls: the same questions as one by one, those of twenty devices at a time.
extension IntuneConnector {
    var devicesPerQuestionMax: Int { GraphBatch.partsMax }

    /// - Returns: for each device what asking for it alone would have brought.
    func fetch(together devices: [KnownDevice]) async -> [DeviceAnswer] {
        precondition(devices.count <= GraphBatch.partsMax, "\(devices.count) devices in one batch")
        var courses = devices.map { Course($0.keys) }
        var isFirst = true
        while true {
            let isRefused = await missing.names.contains(IntuneSettings.permission)
            for index in courses.indices { courses[index].skipDetails(isRefused: isRefused) }
            let asked = courses.indices.compactMap { index in
                path(courses[index].question).map { (index: index, path: $0) }
            }
            guard !asked.isEmpty else { return courses.map(\.answer) }
            do throws(ConnectorFailure) {
                let outcomes = try await graph.batch(
                    asked.map(\.path), waitSecondsMax: Self.fetchWaitSecondsMax)
                for (asked, outcome) in zip(asked, outcomes) { await take(outcome, &courses[asked.index]) }
            } catch {
                // A batch that is refused as a whole may be so for one of its parts: then each is asked alone.
                if isFirst, error.kind == .malformedResponse || error.kind == .notFound {
                    return await oneByOne(devices)
                }
                for asked in asked { courses[asked.index].fail(error) }
            }
            isFirst = false
        }
    }

    private func oneByOne(_ devices: [KnownDevice]) async -> [DeviceAnswer] {
        var answers: [DeviceAnswer] = []
        for device in devices { answers.append(await fetch(device)) }
        return answers
    }

    private func path(_ question: Course.Question?) -> String? {
        switch question {
        case .lookUp(let key)?: path(of: key)
        case .details(let nativeID)?: Self.statesPath(nativeID)
        case nil: nil
        }
    }

    private func take(_ outcome: Result<JSONValue, ConnectorFailure>, _ course: inout Course) async {
        switch (course.question, outcome) {
        case (.lookUp(let key)?, .success(let answer)):
            do throws(ConnectorFailure) {
                course.found(try records(in: answer, of: key))
            } catch {
                course.fail(error)
            }
        case (.lookUp(let key)?, .failure(let failure)):
            // Of an id that is part of the address, "not found" is the answer.
            let isAnswer = failure.kind == .notFound && key.kind == .intune
            if isAnswer { course.found([]) } else { course.fail(failure) }
        case (.details?, .success(let states)):
            await missing.note(IntuneSettings.permission, isMissing: false)
            course.detail { Self.add(states, to: &$0) }
        case (.details?, .failure(let failure)):
            // The state itself does not depend on its details.
            if failure.kind == .forbidden { await missing.note(IntuneSettings.permission, isMissing: true) }
            course.detail { _ in }
        case (nil, _): break
        }
    }

    /// One device's way through its questions: its keys until one finds something, then the details of what was found.
    struct Course: Sendable {
        enum Question: Sendable, Equatable {
            case lookUp(DeviceKey)
            case details(nativeID: String)
        }

        /// Of a device with more records than one, no more than these are asked about.
        static let detailsMax = 4

        private enum State: Sendable {
            /// Next: `lookingUp` with one key less, `detailing`, or `done`.
            case lookingUp([DeviceKey])
            /// Next: `detailing` the next one, or `done`.
            case detailing([VerdictRecord], index: Int)
            case done(DeviceAnswer)
        }
        private var state: State

        init(_ keys: [DeviceKey]) {
            let asked = IntuneConnector.lookUpKinds.compactMap { kind in keys.first { $0.kind == kind } }
            state =
                asked.isEmpty
                ? .done(.failed(IntuneConnector.unknownIDs)) : .lookingUp(asked)
        }

        /// nil: it has its answer.
        var question: Question? {
            switch state {
            case .lookingUp(let keys): keys.first.map { .lookUp($0) }
            case .detailing(let records, let index): .details(nativeID: records[index].verdict.nativeID)
            case .done: nil
            }
        }

        var answer: DeviceAnswer {
            guard case .done(let answer) = state else { preconditionFailure("a device without an answer") }
            return answer
        }

        mutating func found(_ records: [VerdictRecord]) {
            guard case .lookingUp(let keys) = state else { return }
            if !records.isEmpty {
                state = .detailing(records, index: 0)
            } else {
                state = keys.count > 1 ? .lookingUp(Array(keys.dropFirst())) : .done(.records([]))
            }
        }

        mutating func fail(_ failure: ConnectorFailure) {
            switch state {
            case .lookingUp: state = .done(.failed(failure))
            case .detailing(let records, _): state = .done(.records(records))
            case .done: break
            }
        }

        mutating func detail(_ add: (inout VerdictRecord) -> Void) {
            guard case .detailing(var records, let index) = state else { return }
            add(&records[index])
            let next = index + 1
            let isLast = next == records.count || next == Self.detailsMax
            state = isLast ? .done(.records(records)) : .detailing(records, index: next)
        }

        /// Without the permission, only records with something to repair are worth asking again.
        mutating func skipDetails(isRefused: Bool) {
            while isRefused, case .detailing(let records, let index) = state,
                records[index].verdict.state == .compliant
            {
                detail { _ in }
            }
        }
    }
}
