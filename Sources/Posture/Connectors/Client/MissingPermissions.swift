/// Permissions that a probe found missing.
actor MissingPermissions {
    private(set) var names: [String] = []

    func note(_ name: String, isMissing: Bool) {
        names.removeAll { $0 == name }
        if isMissing { names.append(name) }
    }
}
