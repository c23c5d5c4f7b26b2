import Access
import Border
import Config

extension ControlPlane {
    /// The path that policy judges for a path that a browser asks for: a route of the application may forward it under
    /// another one, and what is asked here must be what the reactor asks.
    func judgedPath(_ path: String, _ request: ControlRequest) -> [UInt8] {
        let routes = services.application(request.application)?.pathRoutes
        return Array((routes?.judged(path) ?? path).utf8)
    }
}
