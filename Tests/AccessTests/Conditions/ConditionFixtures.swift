import Access

/// What an application with one condition in `require` says to a session, and when that may change.
func meets(
    _ condition: Condition, _ session: SessionFacts? = session(), _ device: DeviceFacts? = nil,
    service: ServiceFacts? = nil, _ request: RequestFacts = request(),
    _ action: PolicyAction = .allow, tags: [String] = [], outage: OutageSetting = .failClosed, at: Int64 = now
) -> (isForward: Bool, validUntil: Int64, reason: Reason?) {
    var app = application([.init(name: "p", action: action, include: [.everyone], require: [condition])])
    app.tags = tags
    app.outage = outage
    let residual = snapshot().residual(of: session, device, service: service, for: app, atSeconds: at)
    let decision = residual.decide(request, path: Array("/".utf8).span, atSeconds: at)
    return (decision.isForward, residual.validUntilSeconds, residual.reason(for: decision))
}

/// Whether a block on the condition, before an allow for everybody, stops the session: `true` also when the
/// condition is not known.
func stops(
    _ condition: Condition, _ session: SessionFacts? = session(), _ device: DeviceFacts? = nil,
    at: Int64 = now
) -> Bool {
    let app = application([
        .init(name: "no", action: .block, include: [condition]),
        .init(name: "yes", action: .allow, include: [.everyone]),
    ])
    return !decide(session, device, app, at: at).isForward
}

func signedIn(_ claims: [String: ClaimValue] = [:], authenticated: Int64 = 0) -> SessionFacts {
    var who = person(claims: claims)
    who.authenticatedAtSeconds = authenticated
    return session(who)
}

let healthyDevice = device([verdict(labels: ["compliant"])])

func compliantDevice(_ change: (inout Verdict) -> Void) -> DeviceFacts {
    var shown = verdict()
    change(&shown)
    return device([shown])
}
