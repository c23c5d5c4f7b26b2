import Store

extension DeviceKey {
    /// A key of a packed verdict; nil as in `decoded`.
    init?(_ name: PackedVerdict.Names.Key) {
        guard let kind = Kind(rawValue: name.word) else { return nil }
        self.init(kind, name.value)
    }
}
