import Access
import Border
import Identity
import Store

@testable import Control

/// Stronger sign-ins of people who are signed in.
extension SessionStory {
    /// An application asks for a younger proof: whose sign-in has it is handed over, the others go to their provider.
    func stepUp(_ index: Int) async throws {
        guard let application = browsers[index].sessions.keys.sorted().randomElement(using: &chance),
            let session = browsers[index].sessions[application].flatMap({ model.sessions[$0] })
        else { return }
        let seconds = Int64(random(60..<600))
        note("browser \(index) is asked by \(application) for a proof of \(seconds) s with \(session.id)")
        meet("step-up")
        let host = "\(application).corp.example"
        let request = house.request("/", host: host, fields: browsers[index].cookie(host))
        let control = house.control
        let asked = await control.services.flow.stepUp(
            control.flowRequest(request), application: application, provider: session.provider,
            asking: StepUp(ageSecondsMax: seconds))
        let begun = control.respond(asked, request)
        browsers[index].keep(begun, host)
        guard let url = location(begun) else { return fail("a step-up does not begin: \(begun.status)") }
        await ask(url, index, application)
        if isLikely(2, of: 3) { try await finishSignIn(index) }
    }

    /// What comes of it: the same session under another secret, and what it has open goes on.
    ///
    /// - Returns: false where the session is a new one.
    func learnUpgrade(_ row: StoredSession, under signIn: SessionModel.SignIn) -> Bool {
        guard model.sessions[row.id] != nil else { return false }
        meet("step-up done")
        if row.subject != signIn.subject { fail("\(row.id) is somebody else's now") }
        model.touch(row.id, atSeconds: now)
        return true
    }
}
