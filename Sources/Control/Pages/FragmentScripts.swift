/// A URL's fragment never reaches a server. Browsers carry it along redirects, so what loses it is the form at the
/// identity provider: it is kept in this tab's storage of the auth host meanwhile, and in no URL of the way.
extension Scripts {
    /// The fragment of one sign-in per tab: the next one to leave replaces or removes it.
    static let keepFragment = """
        (() => {
          const hash = location.hash;
          try {
            if (hash.length > 1 && hash.length <= 4096) sessionStorage.setItem('gatepost-fragment', hash);
            else sessionStorage.removeItem('gatepost-fragment');
          } catch (e) { /* Storage is switched off: only the fragment is lost. */ }
          location.replace(document.getElementById('go').href);
        })();
        """

    static let addFragment = """
        (() => {
          const url = new URL(document.getElementById('go').href);
          try {
            const hash = sessionStorage.getItem('gatepost-fragment') || '';
            sessionStorage.removeItem('gatepost-fragment');
            if (hash.startsWith('#')) url.hash = hash;
          } catch (e) { /* As above. */ }
          location.replace(url.href);
        })();
        """

    static let passFragmentOn = """
        for (const link of document.querySelectorAll('nav a')) link.hash = location.hash;
        for (const form of document.forms) form.action = form.action.split('#')[0] + location.hash;
        """
}
