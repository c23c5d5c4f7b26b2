import Access
import Border
import JSON

extension LoggedDecision {
    /// A line of kind `decision` about a person, as `DecisionLines` writes it, from behind the name of its id.
    ///
    /// - Throws: for any other text, also for a good one.
    init(asWritten text: inout WrittenText) throws(NotAsWritten) {
        id = try text.decisionID()
        atSeconds = try text.integer(#","at":"#)
        application = try text.text(#","application":"#)
        cause = try text.text(#","cause":"#)
        session = try text.text(#","session":"#)
        identityProvider = try text.text(#","identity_provider":"#)
        createdAtSeconds = try text.integer(#","created_at":"#)
        expiresAtSeconds = try text.integer(#","expires_at":"#)
        person = try text.text(#","person":"#)
        personFacts = try text.text(#","person_facts":"#)
        keyProvenAtSeconds = try text.integerIfPresent(#","key_proven_at":"#)
        verdicts = []
        device = try text.textIfPresent(#","device":"#)
        if device != nil {
            deviceFacts = try text.text(#","device_facts":"#)
            try text.take(#","verdicts":"#)
            var found: [VerdictReference] = []
            try text.elements { (text) throws(NotAsWritten) in
                found.append(try VerdictReference(asWritten: &text))
            }
            verdicts = found
        }
        policy = try text.text(#","policy":"#)
        outcome = try text.text(#","outcome":"#)
        reason = try text.text(#","reason":"#)
        try text.skipTexts(#","matched":"#)
        if try text.textIfPresent(#","class":"#) != nil {
            _ = try text.textIfPresent(#","device_policy":"#)
        }
        result = try text.text(#","result":"#)
        validUntilSeconds = try text.integer(#","valid_until":"#)
        openResult = try text.textIfPresent(#","open_result":"#)
        if openResult != nil { openUntilSeconds = try text.integer(#","open_until":"#) }
        shadow = try text.textIfPresent(#","shadow":"#)
        if shadow != nil, text.takes(#","shadow_policy":"#) {
            _ = try text.text()
            try text.skipText(#","shadow_outcome":"#)
            try text.skipText(#","shadow_reason":"#)
        }
    }
}

extension LoggedDecision.VerdictReference {
    /// One of a decision's.
    fileprivate init(asWritten text: inout WrittenText) throws(NotAsWritten) {
        id = try text.text(#"{"id":"#)
        digest = try text.text(#","digest":"#)
        try text.skipText(#","integration":"#)
        try text.skipText(#","state":"#)
        (observedAtSeconds, fetchedAtSeconds, expiresAtSeconds) = try text.verdictTimes()
        assessedAtSeconds = try text.integerIfPresent(#","assessed_at":"#)
        graceUntilSeconds = try text.integerIfPresent(#","grace_until":"#)
        if text.takes(#","endpoint":"#) {
            _ = try text.text()
            _ = try text.textIfPresent(#","request_id":"#)
        }
        try text.take("}")
    }

    /// One of a confirmation's, which has no content of its own.
    fileprivate init(timesAsWritten text: inout WrittenText) throws(NotAsWritten) {
        id = try text.text(#"{"id":"#)
        digest = ""
        (observedAtSeconds, fetchedAtSeconds, expiresAtSeconds) = try text.verdictTimes()
        assessedAtSeconds = try text.integerIfPresent(#","assessed_at":"#)
        graceUntilSeconds = try text.integerIfPresent(#","grace_until":"#)
        try text.take("}")
    }
}

extension WrittenText {
    /// What stands before a value, within the bound of whoever reads the whole language.
    fileprivate mutating func takeValueMark() throws(NotAsWritten) {
        try take(#","value":"#)
        guard at <= InputLine.headBytesMax else { throw NotAsWritten() }
    }

    /// The value that a digest names, by its bytes.
    fileprivate mutating func value<Value>(
        of digest: String, _ read: (inout WrittenText) throws(NotAsWritten) -> Value
    ) throws(NotAsWritten) -> Value {
        try takeValueMark()
        let start = at
        let value = try read(&self)
        guard DecisionLines.digest(Array(bytes[start..<at])) == digest else { throw NotAsWritten() }
        return value
    }

    fileprivate mutating func verdictTimes() throws(NotAsWritten) -> (Int64, Int64, Int64) {
        (
            try integer(#","observed_at":"#), try integer(#","fetched_at":"#),
            try integer(#","expires_at":"#)
        )
    }
}

extension LoggedConfirmation {
    /// What stands behind `renewals` in a line of kind `confirmed`.
    fileprivate init(asWritten text: inout WrittenText, atSeconds: Int64) throws(NotAsWritten) {
        self.atSeconds = atSeconds
        validUntilSeconds = try text.integer(#","valid_until":"#)
        openUntilSeconds = try text.integerIfPresent(#","open_until":"#)
        guard text.takes(#","verdicts":"#) else { return }
        var found: [LoggedDecision.VerdictReference] = []
        try text.elements { (text) throws(NotAsWritten) in
            found.append(try LoggedDecision.VerdictReference(timesAsWritten: &text))
        }
        verdicts = found
    }
}

extension ReadLine {
    /// A line as `DecisionLines` writes it.
    ///
    /// - Parameter keepsLine: decisions and confirmations are wanted as JSON as well.
    /// - Throws: for any other text, also for a good one.
    init(asWritten bytes: [UInt8], keepsLine: Bool) throws(NotAsWritten) {
        var text = try WrittenText(bytes)
        if text.takes(#"{"kind":"device","digest":"#) {
            let digest = try text.text()
            self = .device(
                digest: digest,
                LoggedInput(
                    try text.value(of: digest) { (text) throws(NotAsWritten) in
                        try DeviceFacts(asWritten: &text)
                    }))
        } else if text.takes(#"{"kind":"verdict","digest":"#) {
            let digest = try text.text()
            self = .verdict(
                digest: digest,
                LoggedInput(
                    try text.value(of: digest) { (text) throws(NotAsWritten) in
                        try Verdict(asWritten: &text)
                    }))
        } else if text.takes(#"{"kind":"person","person":"#) {
            let pseudonym = try text.text()
            let digest = try text.text(#","digest":"#)
            try text.takeValueMark()
            let facts = try PersonFacts(asWritten: &text)
            self = .person(digest: digest, pseudonym: pseudonym, facts: LoggedInput(facts))
        } else if keepsLine {
            throw NotAsWritten()
        } else if text.takes(#"{"kind":"confirmed","id":"#) {
            let id = try text.decisionID()
            let at = try text.integer(#","at":"#)
            let renewals = try text.integer(#","renewals":"#)
            guard LoggedDecision.renewals.contains(renewals) else { throw NotAsWritten() }
            let confirmation = try LoggedConfirmation(asWritten: &text, atSeconds: at)
            self = .confirmed(id, renewals: renewals, confirmation, line: .null)
        } else {
            try text.take(#"{"kind":"decision","id":"#)
            self = .decision(LoggedInput(try LoggedDecision(asWritten: &text)), line: .null)
        }
        try text.take("}")
        try text.end()
    }
}
