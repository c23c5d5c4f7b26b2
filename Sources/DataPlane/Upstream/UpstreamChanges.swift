import Border

/// Upstreams that change while the reactor runs: by a reload, or because a name leads elsewhere now.
extension Reactor {
    /// Puts a plan in use whose upstreams were prepared beside those of the last one.
    func adopt(_ plan: Plan, _ prepared: PreparedUpstreams, _ revokedSerials: RevokedSerials) {
        let before = Array(state.pointee.groups.values)
        let (groups, gone) = prepared.adopt(
            plan.snapshot.limits, share: (number: Int(number), of: workers))
        state.pointee.adopt(plan, groups: groups, revokedSerials)
        for (application, endpoint) in gone { leave(endpoint, of: application) }
        // There may be more places than before, and of an application that is gone nobody waits any more.
        for group in before { admitWaiting(group) }
        scheduleProbes()
    }

    /// Nobody asks it any more: what is idle ends now, what is in use when it is done.
    private func leave(_ endpoint: Endpoint, of application: String) {
        while endpoint.state.pointee.firstIdle >= 0 { closeUpstream(endpoint.state.pointee.firstIdle) }
        leaveConnections(of: endpoint)
        guard endpoint.state.pointee.told != .healthy else { return }
        _ = toControl.send(
            .upstream(
                UpstreamNews(
                    reactor: number, application: application, endpoint: endpoint.name, standing: .removed)))
    }
}
