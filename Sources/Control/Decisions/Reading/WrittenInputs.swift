import Access

// Inputs as `DecisionLines` writes them: their own coding with sorted members. Whatever is not word for word so is
// thrown, and read by that coding.

extension PersonFacts {
    init(asWritten text: inout WrittenText) throws(NotAsWritten) {
        let authenticated = try text.integer(#"{"authenticatedAtSeconds":"#)
        let claims = try text.claims(#","claims":"#)
        let email = try text.textIfPresent(#","email":"#)
        let groups = try text.texts(#","groups":"#)
        let issuer = try text.text(#","issuer":"#)
        let subject = try text.text(#","subject":"#)
        try text.take("}")
        self.init(
            issuer: issuer, subject: subject, email: email, groups: groups, claims: claims,
            authenticatedAtSeconds: authenticated)
    }
}

extension DeviceFacts {
    /// A device without a certificate.
    init(asWritten text: inout WrittenText) throws(NotAsWritten) {
        let id = try text.text(#"{"id":"#)
        let issuer = try text.textIfPresent(#","ownerIssuer":"#)
        let subject = try text.textIfPresent(#","ownerSubject":"#)
        let platform = try text.wordIfPresent(#","platform":"#, Platform.self)
        let statement =
            text.takes(#","statement":"#) ? try AgentStatement(asWritten: &text) : nil
        try text.take(#","verdicts":[]}"#)
        self.init(
            id: id, platform: platform, ownerIssuer: issuer, ownerSubject: subject, statement: statement)
    }
}

extension AgentStatement {
    fileprivate init(asWritten text: inout WrittenText) throws(NotAsWritten) {
        let agentVersion = try text.text(#"{"agentVersion":"#)
        let expires = try text.integer(#","expiresAtSeconds":"#)
        let facts = try text.claims(#","facts":"#)
        let integration = try text.text(#","integration":"#)
        let isManaged = try text.flag(#","isManaged":"#)
        let isUnasked = try text.flagIfPresent(#","isUnasked":"#)
        let keyLevel = try text.word(#","keyLevel":"#, KeyLevel.self)
        let lastSeen = try text.integer(#","lastSeenSeconds":"#)
        let mode = try text.wordIfPresent(#","mode":"#, HandshakeMode.self)
        let openUntil = try text.integerIfPresent(#","openUntilSeconds":"#)
        let osVersion = try text.text(#","osVersion":"#)
        let transport = try text.wordIfPresent(#","transport":"#, HandshakeTransport.self)
        let verified = try text.integer(#","verifiedAtSeconds":"#)
        try text.take("}")
        self.init(
            integration: integration, verifiedAtSeconds: verified, expiresAtSeconds: expires,
            openUntilSeconds: openUntil, lastSeenSeconds: lastSeen, isManaged: isManaged,
            keyLevel: keyLevel, agentVersion: agentVersion, osVersion: osVersion, facts: facts, mode: mode,
            transport: transport, isUnasked: isUnasked)
    }
}

extension Verdict {
    /// A verdict's content, which has no times but those that are 0.
    init(asWritten text: inout WrittenText) throws(NotAsWritten) {
        var checks: [Check] = []
        var digest: String
        if text.takes(#"{"checks":"#) {
            try text.elements { (text) throws(NotAsWritten) in
                checks.append(try Check(asWritten: &text))
            }
            digest = try text.text(#","digest":"#)
        } else {
            digest = try text.text(#"{"digest":"#)
        }
        let expires = try text.integer(#","expiresAtSeconds":"#)
        let fetched = try text.integer(#","fetchedAtSeconds":"#)
        let id = try text.text(#","id":"#)
        let integration = try text.text(#","integration":"#)
        let isManaged = try text.flagIfPresent(#","isManaged":"#)
        let isSensorRunning = try text.flagIfPresent(#","isSensorRunning":"#)
        let labels = try text.texts(#","labels":"#)
        let matchKey = try text.text(#","matchKey":"#)
        let matchStrength = try text.word(#","matchStrength":"#, Strength.self)
        let nativeID = try text.text(#","nativeID":"#)
        let observed = try text.integer(#","observedAtSeconds":"#)
        let provider = try text.text(#","provider":"#)
        let rawState = try text.text(#","rawState":"#)
        let remedies = try text.texts(#","remedies":"#)
        let risk = try text.wordIfPresent(#","risk":"#, Risk.self)
        let score = text.takes(#","score":"#) ? try Score(asWritten: &text) : nil
        let state = try text.word(#","state":"#, State.self)
        try text.take("}")
        self.init(
            id: id, integration: integration, provider: provider, nativeID: nativeID, state: state,
            isManaged: isManaged, score: score, risk: risk, isSensorRunning: isSensorRunning,
            labels: labels, observedAtSeconds: observed, fetchedAtSeconds: fetched,
            expiresAtSeconds: expires, matchKey: matchKey, matchStrength: matchStrength,
            rawState: rawState, digest: digest, remedies: remedies, checks: checks)
    }
}

extension Verdict.Score {
    fileprivate init(asWritten text: inout WrittenText) throws(NotAsWritten) {
        let higherIsBetter = try text.flag(#"{"higherIsBetter":"#)
        let maximum = try text.integer(#","maximum":"#)
        let minimum = try text.integer(#","minimum":"#)
        let value = try text.integer(#","value":"#)
        try text.take("}")
        self.init(value: value, minimum: minimum, maximum: maximum, higherIsBetter: higherIsBetter)
    }
}

extension Verdict.Check {
    fileprivate init(asWritten text: inout WrittenText) throws(NotAsWritten) {
        let id = try text.text(#"{"id":"#)
        let state = try text.word(#","state":"#, State.self)
        let title = try text.text(#","title":"#)
        try text.take("}")
        self.init(id: id, title: title, state: state)
    }
}

extension WrittenText {
    /// One of the words of `type`.
    fileprivate mutating func word<Word: RawRepresentable<String>>(
        _ name: StaticString, _ type: Word.Type
    ) throws(NotAsWritten) -> Word {
        guard let word = Word(rawValue: try text(name)) else { throw NotAsWritten() }
        return word
    }

    fileprivate mutating func wordIfPresent<Word: RawRepresentable<String>>(
        _ name: StaticString, _ type: Word.Type
    ) throws(NotAsWritten) -> Word? {
        guard takes(name) else { return nil }
        guard let word = Word(rawValue: try text()) else { throw NotAsWritten() }
        return word
    }

    fileprivate mutating func flagIfPresent(_ name: StaticString) throws(NotAsWritten) -> Bool? {
        takes(name) ? try flag() : nil
    }

    fileprivate mutating func claims(
        _ name: StaticString
    ) throws(NotAsWritten) -> [String: ClaimValue] {
        try take(name)
        try take("{")
        var claims: [String: ClaimValue] = [:]
        if takes("}") { return claims }
        repeat {
            let name = try text()
            try take(":")
            // What one reader takes the first of, and another one the last.
            guard claims.updateValue(try claim(), forKey: name) == nil else { throw NotAsWritten() }
        } while takes(",")
        try take("}")
        return claims
    }

    private mutating func claim() throws(NotAsWritten) -> ClaimValue {
        let claim: ClaimValue
        if takes(#"{"flag":{"_0":"#) {
            claim = .flag(try flag())
        } else if takes(#"{"integer":{"_0":"#) {
            claim = .integer(try integer())
        } else if takes(#"{"text":{"_0":"#) {
            claim = .text(try text())
        } else {
            claim = .list(try texts(#"{"list":{"_0":"#))
        }
        try take("}}")
        return claim
    }
}
