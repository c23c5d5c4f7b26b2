import COpenSSL
import Fetch
import Glibc
import Testing

@Suite("The end of the process")
struct ProcessExitTests {
    @Test("what is left of a fetcher's thread at the exit still finds OpenSSL whole")
    func openSSLOutlivesMain() async {
        await #expect(processExitsWith: .exitCode(7)) {
            // Exit handlers run last first: one that OpenSSL sets at its first use would stand before this one.
            atexit { _exit(OPENSSL_init_crypto(0, nil) == 1 ? 7 : 8) }
            let request = FetchRequest(url: "https://127.0.0.1:1/")
            _ = try? await CurlFetcher().fetch(request)
            exit(0)
        }
    }
}
