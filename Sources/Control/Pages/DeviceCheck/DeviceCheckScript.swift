/// The script of the device check, in parts that each do one thing. They share one function's scope, in this order.
///
/// It tries the ways in the order of browsers.md 3 and tells their failures apart by browsers.md 6: permission and a
/// silent agent fail alike and equally fast, so that the permission's state decides, not the time.
extension Scripts {
    static let deviceCheck = """
        (() => {
        \(deviceCheckScreen)
        \(deviceCheckGateway)
        \(deviceCheckMemory)
        \(deviceCheckAgent)
        \(deviceCheckVisits)
        \(deviceCheckCourse)
        })();
        """
}
