#pragma once
#include <openssl/ssl.h>
#include <openssl/err.h>
#include <openssl/bio.h>
#include <openssl/hmac.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>
#include <openssl/core_names.h>
#include <openssl/params.h>

// Function-like macros, which Swift does not import, under the macro's own name with a prefix.
static inline long gatepost_SSL_CTX_set_mode(SSL_CTX *context, long mode) { return SSL_CTX_set_mode(context, mode); }
static inline void gatepost_SSL_CTX_set_read_ahead(SSL_CTX *context, int on) { SSL_CTX_set_read_ahead(context, on); }
static inline int gatepost_SSL_CTX_set_min_proto_version(SSL_CTX *context, int version) {
    return (int)SSL_CTX_set_min_proto_version(context, version);
}
static inline int gatepost_SSL_CTX_set_servername_callback(SSL_CTX *context, int (*callback)(SSL *, int *, void *)) {
    return (int)SSL_CTX_set_tlsext_servername_callback(context, callback);
}
static inline int gatepost_SSL_CTX_set_servername_argument(SSL_CTX *context, void *argument) {
    return (int)SSL_CTX_set_tlsext_servername_arg(context, argument);
}
static inline int gatepost_SSL_set_servername(SSL *ssl, const char *name) {
    return (int)SSL_set_tlsext_host_name(ssl, name);
}
static inline long gatepost_SSL_CTX_add_extra_chain_certificate(SSL_CTX *context, X509 *certificate) {
    return SSL_CTX_add_extra_chain_cert(context, certificate);
}
static inline long gatepost_SSL_CTX_set_session_cache_mode(SSL_CTX *context, long mode) {
    return SSL_CTX_set_session_cache_mode(context, mode);
}
static inline long gatepost_SSL_CTX_set_cipher_preference(SSL_CTX *context) {
    return (long)SSL_CTX_set_options(
        context, SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
}

// Client certificates: macros and typed stacks.
static inline int gatepost_SSL_set1_verify_cert_store(SSL *ssl, X509_STORE *store) {
    return (int)SSL_set1_verify_cert_store(ssl, store);
}
static inline void gatepost_SSL_forbid_tickets(SSL *ssl) { SSL_set_options(ssl, SSL_OP_NO_TICKET); }
static inline X509 *gatepost_verified_issuer(const SSL *ssl) {
    STACK_OF(X509) *path = SSL_get0_verified_chain(ssl);
    int count = path == NULL ? 0 : sk_X509_num(path);
    return count == 0 ? NULL : sk_X509_value(path, count > 1 ? 1 : 0);
}
static inline X509 *gatepost_certificate_at(const STACK_OF(X509) *path, int index) {
    return sk_X509_value(path, index);
}
static inline int gatepost_may_identify_client(X509 *certificate) {
    return (X509_get_extension_flags(certificate) & EXFLAG_XKUSAGE) != 0
        && (X509_get_extended_key_usage(certificate) & XKU_SSL_CLIENT) != 0;
}
static inline void gatepost_free_text(unsigned char *text) { OPENSSL_free(text); }
