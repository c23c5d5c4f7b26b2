import JSON

/// `patch_age_days`: days since apt last fetched the package lists successfully.
struct UpdatesFact: FactProbe {
    let names = ["patch_age_days"]

    func read(_ root: HostRoot, nowSeconds: Int64) -> [(String, JSONValue)] {
        guard let changed = root.changedAtSeconds("/var/lib/apt/periodic/update-success-stamp"),
            changed <= nowSeconds
        else { return [] }
        return [("patch_age_days", .integer((nowSeconds - changed) / 86_400))]
    }
}
