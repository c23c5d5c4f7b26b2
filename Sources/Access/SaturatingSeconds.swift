/// Arithmetic on times that came from outside: an absurd number is far away, never a trap.
extension Int64 {
    /// The sum, held at the ends of the range.
    func sum(saturating other: Int64) -> Int64 {
        let (value, overflow) = addingReportingOverflow(other)
        return overflow ? (other < 0 ? .min : .max) : value
    }

    /// The difference, held at the ends of the range.
    func difference(saturating other: Int64) -> Int64 {
        let (value, overflow) = subtractingReportingOverflow(other)
        return overflow ? (other < 0 ? .max : .min) : value
    }
}
