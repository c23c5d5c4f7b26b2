/// The scripts of the pages, sent inline under the page's nonce.
enum Scripts {
    /// Asks whether the way is open; the gateway holds each question until something changes (at most some seconds).
    static let watchUntilOpen = """
        (async () => {
          const status = document.getElementById('status');
          const calm = 'This page continues by itself as soon as the check passes.';
          for (;;) {
            const began = Date.now();
            try {
              const answer = await fetch('/.gatepost/events?path=' + encodeURIComponent(location.pathname)
                + '&reason=' + encodeURIComponent(status.dataset.reason),
                {cache: 'no-store', credentials: 'same-origin'});
              const body = await answer.json();
              if (body.state === 'open' || answer.status === 401) { location.reload(); return; }
              status.textContent = calm;
            } catch (e) { status.textContent = 'The gateway does not answer; trying again…'; }
            const rest = 1000 - (Date.now() - began);
            if (rest > 0) await new Promise(done => setTimeout(done, rest));
          }
        })();
        """
}
