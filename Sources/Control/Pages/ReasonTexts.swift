import Access

/// What each reason says to the person: what happened and what to do. `docs/reasons.md` is for administrators.
enum ReasonTexts {
    /// The sentence and the remedy of a reason.
    static func text(of reason: Reason) -> (happened: String, remedy: String) {
        table[reason] ?? ("The gateway refused this request.", "Give the request id to your administrator.")
    }

    /// The same where nothing but a client certificate says which device it is: nobody can enrol it here.
    static let certified: [Reason: (happened: String, remedy: String)] = [
        .deviceUnknown: (
            "Your browser showed a device’s certificate, and nobody says that the device is yours.",
            "Use your own device, or ask whoever manages this one to enter you as its user."
        ),
        .deviceCertificateRequired: (
            "Your browser showed a certificate that names no device, and this application knows your device by it.",
            "Close this browser’s windows, open the page again and choose this device’s own certificate, or ask "
                + "whoever manages the device."
        ),
        .deviceOwnerMismatch: (
            "Your browser showed the certificate of somebody else’s device.",
            "Choose your own device’s certificate, or use your own device."
        ),
    ]

    static let table: [Reason: (happened: String, remedy: String)] = [
        .requestMalformed: (
            "The request broke a rule of HTTP and was not forwarded.",
            "Fix the client; the log line of the request id names the rule."
        ),
        .requestTooLarge: (
            "The request head, target or body is larger than this gateway accepts.",
            "Send less, or raise the limit named in the log under 'gateway.limits'."
        ),
        .requestTimeout: (
            "The request did not arrive in time.",
            "Try again; on slow links raise the deadline under 'gateway.limits'."
        ),
        .routeNotFound: (
            "There is nothing at this address.",
            "Check the address."
        ),
        .methodNotAllowed: (
            "This address does not take that method.",
            "Use the method named in 'Allow'."
        ),
        .originNotAllowed: (
            "A script or form of another site tried to use this address.",
            "Open the application itself."
        ),
        .signInRequired: (
            "Nobody is signed in.",
            "Sign in to go on. Programs find the address in 'open_url'."
        ),
        .identityProviderNotAccepted: (
            "The session was made by an identity provider that this application does not accept.",
            "Sign in again with the provider that the application names."
        ),
        .identityProviderUnavailable: (
            "The identity provider did not answer.",
            "Wait and try again; sessions that exist go on."
        ),
        .identityProviderRefused: (
            "The identity provider refused the sign-in, or its answer failed a check.",
            "Try again; if it stays, give the request id to your administrator."
        ),
        .loginStateLost: (
            "The sign-in took too long or began in another browser.",
            "Sign in again: it starts at the page you wanted."
        ),
        .formNotKept: (
            "The form that waited for this sign-in is no longer here: it waits five minutes, works once, and is for "
                + "the person and the browser that sent it.",
            "Open the page of the form and fill it in again."
        ),
        .cookieAmbiguous: (
            "The browser sent the gateway's cookie twice, and nothing says which one is right.",
            "Delete the cookies of this site in the browser, then open the page again."
        ),
        .sessionEnded: (
            "The session was ended: sign-out, expiry or an administrator.",
            "Sign in again."
        ),
        .authenticationInsufficient: (
            "The application asks for a stronger or a more recent sign-in than this one.",
            "Sign in again in the way that the application asks for. If your provider cannot, ask your administrator."
        ),
        .keyRequired: (
            "The application needs a session that is bound to a key of your browser, and this one is not.",
            "Right after signing in this page goes on by itself. If it stays: use Chrome or Edge on a computer with a "
                + "security chip, sign out and sign in again."
        ),
        .bearerTokenInvalid: (
            "The bearer token is not one that counts here: malformed, expired, of another issuer or for somebody else.",
            "Get a new token from its issuer, for this application."
        ),
        .serviceUnknown: (
            "The service token is not one that counts: wrong, expired or revoked.",
            "Use a token that counts; an administrator makes or rotates one."
        ),
        .policyAllows: (
            "A policy of the application allows the request.",
            "Nothing."
        ),
        .policyBlocks: (
            "A policy of the application blocks the request.",
            "Ask the application's administrator."
        ),
        .policyBypasses: (
            "The path is public by a policy of its own.",
            "Nothing."
        ),
        .noPolicyMatches: (
            "No policy of the application lets this person in.",
            "Ask the application's administrator for access."
        ),
        .restrictedMethod: (
            "With this device the application can be read but not changed.",
            "Make the device compliant."
        ),
        .restrictedPath: (
            "With this device this part of the application is closed.",
            "Make the device compliant."
        ),
        .restrictedUpload: (
            "With this device nothing can be uploaded to the application.",
            "Make the device compliant."
        ),
        .restrictedDownload: (
            "With this device nothing can be downloaded from the application.",
            "Make the device compliant."
        ),
        .deviceRequired: (
            "The application needs a known device, and none has been shown yet.",
            "Continue to the device check."
        ),
        .deviceUnknown: (
            "The device that answered is not enrolled here.",
            "Enrol the device with 'gatepost-agent enroll'."
        ),
        .deviceDenied: (
            "Your organisation’s rules do not let this device in.",
            "Follow the checks on the page."
        ),
        .devicePartial: (
            "The device may use restricted applications only, and this one is not among them.",
            "Follow the checks on the page."
        ),
        .deviceOwnerMismatch: (
            "The device was enrolled by somebody else.",
            "Use your own device, or enrol this one in your name."
        ),
        .deviceCertificateRequired: (
            "This application knows your device by its certificate, and your browser showed none.",
            "Close this browser’s windows and open the page again. When the browser asks for a certificate, choose the "
                + "one of this device; when it does not ask, the device has none yet: ask whoever manages it."
        ),
        .deviceCertificateUnknown: (
            "Your browser showed a certificate, and no provider knows the device that it names.",
            "If the device was enrolled just now, wait some minutes. Otherwise choose this device’s own "
                + "certificate, or ask whoever manages the device."
        ),
        .deviceCertificateConflict: (
            "The certificate that your browser showed is another device’s than the one that proved itself.",
            "Choose this device’s own certificate, or sign out and sign in again on this device."
        ),
        .postureMissing: (
            "A provider that policy asks has not told us anything about this device.",
            "Check that the device is enrolled with that provider; new devices take some minutes."
        ),
        .postureRequired: (
            "The device check is too old.",
            "It is repeated by itself on the next page you open."
        ),
        .postureStale: (
            "What is known of the device is too old.",
            "Let the device report to its management, then try again."
        ),
        .postureNonCompliant: (
            "A provider says that the device does not meet its rules.",
            "Repair what the page names; access returns by itself."
        ),
        .postureIndeterminate: (
            "It cannot be told at the moment whether the device is healthy.",
            "Wait a moment; if it stays, tell your administrator."
        ),
        .changeHeld: (
            "Nothing recent is known of this device, nor of many others, and your administrator is looking at it.",
            "What you had open goes on. New access has to wait until the providers answer again."
        ),
        .agentNotRunning: (
            "The Gatepost agent on this device did not answer.",
            "Start it on this device, then try again. If it runs, it is enrolled at another gateway or listens on "
                + "another port: tell your administrator."
        ),
        .permissionDenied: (
            "This browser was told not to let this page reach apps on this device, and the agent is one.",
            "Open the site settings beside the address bar, allow “Apps on this device”, then try again."
        ),
        .browserUnsupported: (
            "This browser does not let a page ask the agent by itself.",
            "Check in another way below. If there is none, use Chrome, Edge or Firefox."
        ),
        .permissionPromptPending: (
            "Your browser asks whether this page may reach apps on this device. The Gatepost agent is one.",
            "Choose Allow in the browser’s question, near the address bar."
        ),
        .notOurAgent: (
            "A program on this device answers in the agent’s place, but not as an agent that knows this gateway.",
            "Enrol the device at this gateway. If another program uses the agent’s port, tell your administrator."
        ),
        .popupBlocked: (
            "The browser did not open the small window.",
            "Allow pop-ups for this site, or check in another way below."
        ),
        .deviceCheckRepeated: (
            "The device was checked several times in a minute, and the application asked again each time.",
            "Try again once. If it goes on, give the request id to your administrator."
        ),
        .gatewayNotTrusted: (
            "The local agent does not know this gateway.",
            "Enrol the device at this gateway."
        ),
        .challengeExpired: (
            "The device check took too long.",
            "Try again."
        ),
        .challengeReplayed: (
            "The same device check was sent twice.",
            "Try again."
        ),
        .challengeNotUnderstood: (
            "The agent on this device could not read what the gateway asked: one of them is older than the other.",
            "Update Gatepost's agent on this device, then try again. If it is the newest, give the request id to your "
                + "administrator."
        ),
        .answerTooLarge: (
            "What the agent answered is longer than the gateway takes.",
            "Where the small window is offered, use it: it takes longer answers than an address. If it stays, give "
                + "the request id to your administrator."
        ),
        .originMismatch: (
            "The agent saw another address in your browser than the one that this device check was made for.",
            "Open the application again at its own address, not by a link or a copy of this page. If it stays, give "
                + "the request id to your administrator."
        ),
        .clickRequired: (
            "This application takes the agent’s answer only after a click of yours.",
            "Choose one of the ways below; you come back here by yourself."
        ),
        .agentNotConfigured: (
            "The gateway has no agents set up that could show which device this is.",
            "Open the application again in a moment. If it stays, give the request id to your administrator."
        ),
        .clockSkew: (
            "The clock of the device is wrong by more than two minutes.",
            "Set the clock of the device."
        ),
        .rateLimited: (
            "Too many attempts in a short time.",
            "Wait a few seconds."
        ),
        .wrongUser: (
            "Another user's agent answered on this computer.",
            "Start the agent of the user who is using the browser."
        ),
        .signatureInvalid: (
            "The device's answer is not signed by the key that it is enrolled with.",
            "Enrol the device again; if it stays, tell your administrator."
        ),
        .nonceUnknown: (
            "The device check is not known here.",
            "Try again."
        ),
        .nonceUsed: (
            "The device check has been used already.",
            "Try again."
        ),
        .nonceExpired: (
            "The agent’s answer arrived a minute or more after it was asked for.",
            "Try again. If it happens often, this device or its connection is very slow."
        ),
        .sessionMismatch: (
            "The device check belongs to another session.",
            "Open the application again in this browser."
        ),
        .audienceMismatch: (
            "The answer was made for another gateway.",
            "Enrol the device at this gateway."
        ),
        .certificateUntrusted: (
            "The certificate of the device was not issued by the enrolment authority.",
            "Enrol the device again."
        ),
        .certificateExpired: (
            "The certificate of the device has expired.",
            "Start the agent so that it can renew, or enrol again."
        ),
        .certificateRevoked: (
            "The device was revoked.",
            "Ask your administrator."
        ),
        .statementInvalid: (
            "The device's answer is not well formed.",
            "Update the agent."
        ),
        .statementExpired: (
            "What the management server said of the device has ended, or it said something newer.",
            "Let the device check in with its management."
        ),
        .agentOutdated: (
            "The agent on this device is older than this gateway accepts.",
            "Update Gatepost's agent on this device, then try again."
        ),
        .deviceNotManaged: (
            "The device is not managed.",
            "Enrol the device with your organisation's management."
        ),
        .lastSeenStale: (
            "The device has not been seen by its management for too long.",
            "Let the device check in with its management."
        ),
        .enrollmentTokenInvalid: (
            "The enrolment token is unknown, used or expired.",
            "Ask your administrator for a new one; each is good for one device and 24 hours."
        ),
        .deviceKeyKnown: (
            "A device with this key is known here already.",
            "Enrol with a new key; the token is still good."
        ),
        .attestationInvalid: (
            "The security chip did not prove that the device key lies in it.",
            "Enrol again; if it happens again, tell your administrator."
        ),
        .upstreamUnavailable: (
            "The application's server cannot be reached.",
            "Try again later."
        ),
        .upstreamTimeout: (
            "The application's server did not answer in time.",
            "Try again later."
        ),
        .upstreamMalformed: (
            "The application's server sent an answer that breaks HTTP.",
            "Tell the application's administrator."
        ),
        .upstreamBusy: (
            "The application has as many requests open as it may, and no place became free in time.",
            "Try again in a moment."
        ),
        .websocketUnsupported: (
            "The application's server speaks HTTP/2 and takes no WebSockets over it.",
            "Tell the application's administrator."
        ),
        .controlPlaneUnavailable: (
            "The part of the gateway that signs people in did not answer in time.",
            "Try again in a moment."
        ),
        .storeUnavailable: (
            "The gateway cannot reach its own storage.",
            "Try again later."
        ),
        .overloaded: (
            "The gateway is at one of its limits.",
            "Try again in a moment."
        ),
        .shuttingDown: (
            "The gateway is stopping.",
            "Try again in a moment."
        ),
    ]
}
