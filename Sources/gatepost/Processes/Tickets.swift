import Border

/// Tickets name the life of the data process that they belong to: an answer to one that has died must not be taken
/// for an answer by its successor, whose requests wait in the same places.
///
/// A reactor's number has eight bits of its sixteen; the upper eight are the life's.
enum Tickets {
    static func mark(_ ticket: Ticket, life: UInt8) -> Ticket {
        var ticket = ticket
        ticket.reactor = ticket.reactor & 0xff | UInt16(life) << 8
        return ticket
    }

    static func life(ofReactor reactor: Int) -> UInt8 { UInt8(truncatingIfNeeded: reactor >> 8) }
}

extension ToControl {
    /// The ticket of the request that waits for an answer.
    var ticket: Ticket? {
        switch self {
        case .pullSession(let ticket, _, _), .pullService(let ticket, _, _), .pullBearer(let ticket, _, _, _),
            .pullMachine(let ticket, _, _), .pullCertified(let ticket, _, _, _):
            ticket
        case .request(let request): request.ticket
        case .renew, .cut, .upstream: nil
        }
    }

    /// The same of a life.
    func marked(life: UInt8) -> ToControl {
        switch self {
        case .pullSession(let ticket, let digest, let application):
            .pullSession(Tickets.mark(ticket, life: life), tokenDigest: digest, application: application)
        case .pullService(let ticket, let digest, let application):
            .pullService(Tickets.mark(ticket, life: life), tokenDigest: digest, application: application)
        case .pullBearer(let ticket, let digest, let token, let application):
            .pullBearer(
                Tickets.mark(ticket, life: life), tokenDigest: digest, token: token, application: application)
        case .pullMachine(let ticket, let claim, let application):
            .pullMachine(Tickets.mark(ticket, life: life), claim, application: application)
        case .pullCertified(let ticket, let digest, let claim, let application):
            .pullCertified(
                Tickets.mark(ticket, life: life), tokenDigest: digest, claim, application: application)
        case .request(var request):
            .request(
                {
                    request.ticket = Tickets.mark(request.ticket, life: life)
                    return request
                }())
        case .renew, .cut, .upstream: self
        }
    }
}

extension ToReactor {
    /// The ticket that it answers.
    var ticket: Ticket? {
        switch self {
        case .session(let ticket, _), .sessionUnavailable(let ticket, _), .proceed(let ticket): ticket
        case .response(let response): response.ticket
        case .drain: nil
        }
    }

    /// The same as the reactor knows it.
    var unmarked: ToReactor {
        switch self {
        case .session(let ticket, let record): .session(Tickets.mark(ticket, life: 0), record)
        case .sessionUnavailable(let ticket, let reason):
            .sessionUnavailable(Tickets.mark(ticket, life: 0), reason)
        case .proceed(let ticket): .proceed(Tickets.mark(ticket, life: 0))
        case .response(var response):
            .response(
                {
                    response.ticket = Tickets.mark(response.ticket, life: 0)
                    return response
                }())
        case .drain: self
        }
    }
}
