/// What the process at the other end of the border said and may not say. Nothing that it says afterwards means
/// anything: one of the two ends, and the supervisor starts it anew.
struct BorderBreach: Error, CustomStringConvertible {
    var description: String
    init(_ description: String) { self.description = description }
}
