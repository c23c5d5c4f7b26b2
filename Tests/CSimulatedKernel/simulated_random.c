// OpenSSL's random bytes, of a seed where a simulation runs: signatures, session tickets and with them the lengths of
// flights would else differ from one run of a seed to the next.
#define OPENSSL_SUPPRESS_DEPRECATED
#include <openssl/rand.h>

#include "simulated_kernel.h"

static _Thread_local uint64_t state;
static _Thread_local int is_seeded;

static int simulated_bytes(unsigned char *target, int count) {
    if (!is_seeded) return RAND_OpenSSL()->bytes(target, count);
    for (int index = 0; index < count; index++) {
        // SplitMix64, a byte of each number.
        uint64_t mixed = (state += 0x9E3779B97F4A7C15u);
        mixed = (mixed ^ (mixed >> 30)) * 0xBF58476D1CE4E5B9u;
        mixed = (mixed ^ (mixed >> 27)) * 0x94D049BB133111EBu;
        target[index] = (unsigned char)(mixed >> 56);
    }
    return 1;
}

static int simulated_status(void) { return 1; }

void simulated_random_install(void) {
    static const RAND_METHOD method = {
        .bytes = simulated_bytes, .pseudorand = simulated_bytes, .status = simulated_status};
    RAND_set_rand_method(&method);
}

void simulated_random_seed(uint64_t seed) {
    state = seed;
    is_seeded = 1;
}

void simulated_random_end(void) { is_seeded = 0; }
