#pragma once
// What `Signatures` needs that Swift cannot import: function-like macros and typed stacks. Nothing is decided here.
#include <openssl/bio.h>
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/ec.h>
#include <openssl/ecdsa.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/objects.h>
#include <openssl/param_build.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>
#include <openssl/x509_vfy.h>
#include <openssl/x509v3.h>

static inline EVP_PKEY *gatepost_generate_p256(void) { return EVP_EC_gen("P-256"); }
// Names of parameters: string macros would reach Swift as temporary copies, and OpenSSL keeps these pointers.
static inline const char *gatepost_parameter_group(void) { return OSSL_PKEY_PARAM_GROUP_NAME; }
static inline const char *gatepost_parameter_public_key(void) { return OSSL_PKEY_PARAM_PUB_KEY; }
static inline const char *gatepost_parameter_modulus(void) { return OSSL_PKEY_PARAM_RSA_N; }
static inline const char *gatepost_parameter_exponent(void) { return OSSL_PKEY_PARAM_RSA_E; }

static inline int gatepost_public_key_selection(void) { return EVP_PKEY_PUBLIC_KEY; }
static inline int gatepost_utf8_text_type(void) { return MBSTRING_UTF8; }

static inline long gatepost_memory_contents(BIO *bio, char **bytes) { return BIO_get_mem_data(bio, bytes); }

static inline int gatepost_general_name_count(const GENERAL_NAMES *names) { return sk_GENERAL_NAME_num(names); }
static inline const GENERAL_NAME *gatepost_general_name(const GENERAL_NAMES *names, int index) {
  return sk_GENERAL_NAME_value(names, index);
}

static inline int gatepost_object_count(const EXTENDED_KEY_USAGE *list) { return sk_ASN1_OBJECT_num(list); }
static inline const ASN1_OBJECT *gatepost_object(const EXTENDED_KEY_USAGE *list, int index) {
  return sk_ASN1_OBJECT_value(list, index);
}

// Always answers -1 ("no password"): OpenSSL's own callback would ask for one on the terminal.
static inline int gatepost_no_password(char *buffer, int size, int forWriting, void *context) {
  (void)buffer, (void)size, (void)forWriting, (void)context;
  return -1;
}
static inline EVP_PKEY *gatepost_read_private_key(BIO *bio) {
  return PEM_read_bio_PrivateKey(bio, NULL, gatepost_no_password, NULL);
}
static inline EVP_PKEY *gatepost_read_public_key(BIO *bio) {
  return PEM_read_bio_PUBKEY(bio, NULL, gatepost_no_password, NULL);
}
static inline X509 *gatepost_read_certificate(BIO *bio) {
  return PEM_read_bio_X509(bio, NULL, gatepost_no_password, NULL);
}

static inline STACK_OF(X509) *gatepost_certificates_new(void) { return sk_X509_new_null(); }
static inline int gatepost_certificates_push(STACK_OF(X509) *list, X509 *certificate) {
  return sk_X509_push(list, certificate);
}
static inline void gatepost_certificates_free(STACK_OF(X509) *list) { sk_X509_free(list); }
static inline int gatepost_certificates_count(const STACK_OF(X509) *list) { return sk_X509_num(list); }
static inline X509 *gatepost_certificate(const STACK_OF(X509) *list, int index) { return sk_X509_value(list, index); }

static inline X509_CRL *gatepost_read_revocation_list(BIO *bio) {
  return PEM_read_bio_X509_CRL(bio, NULL, gatepost_no_password, NULL);
}
static inline int gatepost_print_name(BIO *bio, const X509_NAME *name) {
    return X509_NAME_print_ex(bio, name, 0, XN_FLAG_RFC2253) >= 0;
}
static inline int gatepost_revoked_count(const STACK_OF(X509_REVOKED) *list) { return sk_X509_REVOKED_num(list); }
static inline const X509_REVOKED *gatepost_revoked(const STACK_OF(X509_REVOKED) *list, int index) {
  return sk_X509_REVOKED_value(list, index);
}

// The context keeps a copy of its own: it frees the label with OPENSSL_free.
static inline int gatepost_set_oaep_label(EVP_PKEY_CTX *context, const unsigned char *label, int length) {
  void *copy = OPENSSL_memdup(label, (size_t)length);
  if (copy == NULL) return 0;
  if (EVP_PKEY_CTX_set0_rsa_oaep_label(context, copy, length) == 1) return 1;
  OPENSSL_free(copy);
  return 0;
}

static inline int gatepost_set_request_signature(X509_REQ *request, const unsigned char *bytes, int length) {
  ASN1_BIT_STRING *text = ASN1_BIT_STRING_new();
  if (text == NULL) return 0;
  if (ASN1_STRING_set(text, bytes, length) != 1) {
    ASN1_BIT_STRING_free(text);
    return 0;
  }
  // Whole bytes: without this flag the encoder drops trailing zero bits.
  text->flags = (text->flags & ~0x07L) | ASN1_STRING_FLAG_BITS_LEFT;
  X509_REQ_set0_signature(request, text);
  return 1;
}
