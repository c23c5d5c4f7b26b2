#include <openssl/crypto.h>

// OpenSSL frees its tables when the process exits, unless its first call in the process says otherwise
// (OPENSSL_init_crypto(3), OPENSSL_INIT_NO_ATEXIT). Threads that close TLS connections may outlive `main`; what they
// do after that clean-up frees twice. The kernel takes the memory back anyway, so nothing is cleaned up, and it must
// be said before anything else touches OpenSSL: before `main`.
__attribute__((constructor)) static void keep_openssl_until_the_end(void) {
    OPENSSL_init_crypto(OPENSSL_INIT_NO_ATEXIT, NULL);
}
