/*
 * Waybill kernels in C: one header to include, no dependency, freestanding or on wasi-libc.
 *
 *     #define K1_KERNEL
 *     #include "waybill/kernel.h"
 *
 *     int k1_configure(k1_bytes json) { return k1_no_config(json); }
 *
 *     void k1_handle(const k1_record *r) {
 *         if (r->value.len == 0) return;                // no answer: dropped
 *         uint8_t *to = k1_put_space(r->value.len);
 *         for (size_t i = 0; i < r->value.len; i++) to[i] = r->value.data[i] | 32;
 *     }
 *
 * Exactly one file of a kernel defines K1_KERNEL before it includes this header;
 * that file gets the implementation and holds k1_configure and k1_handle. Other
 * files include the header without it and may call everything declared here.
 *
 * The host calls k1_handle once for each record of a batch, in order, never two
 * at a time. What k1_handle answers are operations: k1_keep, k1_slice, k1_put
 * and their kind, any number of them; none drops the record. k1_err fails the
 * record alone. A trap fails it too and costs the instance.
 *
 * A kernel is a function of its records. Its only clock is r->time, its only
 * randomness k1_rand from r->seed, and what statics keep from one record must
 * not reach the answer to another. What crosses the border to the host is
 * described in spec/kernel-abi.md.
 */
#ifndef K1_H
#define K1_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#if defined __wasm__ && !defined __wasi__ /* freestanding: what there is of string.h */
void *memcpy(void *restrict to, const void *restrict from, size_t n);
void *memmove(void *to, const void *from, size_t n);
void *memset(void *to, int c, size_t n);
int memcmp(const void *a, const void *b, size_t n);
#else
#include <string.h>
#endif

/* Bytes of somebody else; no zero at their end. */
typedef struct {
	const uint8_t *data;
	size_t len;
} k1_bytes;

/* A string literal as the two arguments data, len: k1_put(K1_TEXT("hello")). */
#define K1_TEXT(s) ("" s), (sizeof(s) - 1)

/* One input of a batch. It and its bytes are valid during k1_handle only. */
typedef struct {
	k1_bytes key;   /* empty if the item has none */
	k1_bytes value; /* starts at a multiple of 8 */
	k1_bytes meta;  /* a JSON object of strings, or empty; see k1_meta */
	uint64_t time;  /* when the item was created, in nanoseconds since 1970 */
	uint64_t seed;  /* a function of the item */
} k1_record;

/* --- Answers; only inside k1_handle ------------------------------------- */

/* The record goes on as it came, without a copy. */
void k1_keep(void);
/* value[from, from+len) goes on, without a copy. Traps if it leaves the value. */
void k1_slice(size_t from, size_t len);
/* New bytes go on; they are copied once, into the answer. */
void k1_put(const void *data, size_t len);
/* The same as an item with a key of its own, for records that become several. */
void k1_put_key(const void *key, size_t key_len, const void *data, size_t len);
/* The same without a copy: len bytes to write to, until the next call of any of
 * these functions. The caller writes them all. */
uint8_t *k1_put_space(size_t len);
/* The same piece by piece: k1_begin, any number of k1_write..., k1_end. No other
 * answer may come between. */
void k1_begin(const void *key, size_t key_len);
void k1_write(const void *data, size_t len);
void k1_write_u64(uint64_t decimal);
void k1_end(void);
/* The operations that follow leave through this output port: an index into the
 * manifest's "ports". Each record starts at port 0. */
void k1_port(uint16_t port);

/* What kind of failure k1_err reports. */
enum {
	K1_PERMANENT = 0, /* the same input gives the same failure */
	K1_RETRY = 1,     /* another attempt may help */
	K1_SKIP = 2       /* no failure: the record ends as skipped */
};
/* Fails the record with a message in UTF-8; its other operations are void. */
void k1_err(int kind, const void *message, size_t len);

/* --- Memory -------------------------------------------------------------- */

/* n bytes at a multiple of 16, not cleared. Taken in k1_configure they last as
 * long as the kernel; taken in k1_handle they last until it returns. Traps if
 * there is no room. There is nothing to free. */
void *k1_alloc(size_t n);

/* --- The host; may be called anywhere ------------------------------------ */

enum { K1_DEBUG = 0, K1_INFO = 1, K1_WARN = 2, K1_ERROR = 3 };
/* A message to the log of the run, at most 4 KiB. */
void k1_log(int level, const void *text, size_t len);
/* Adds to counter id, 0 to 63; the run logs the sums at its end. */
void k1_count(int id, int64_t delta);
/* Hands the host a reason and answers -1: `return k1_fail(...)` in k1_configure. */
int k1_fail(const void *text, size_t len);
/* Fails the record and gives up this instance. For bugs, not for bad input. */
_Noreturn void k1_panic(const void *text, size_t len);

/* Each of the following needs a grant in the pipeline and its name in the
 * manifest's "wants". Answers last as long as memory of k1_alloc. */
enum {
	K1_NOT_GRANTED = -1,
	K1_NOT_FOUND = -2,
	K1_OVER_LIMIT = -3,
	K1_FAILED = -4
};
typedef struct {
	int code; /* 0, or one of the above: then bytes is the host's message */
	k1_bytes bytes;
} k1_answer;

/* The content of a digest, "sha256:...". */
k1_answer k1_blob(const void *digest, size_t len);
/* The value of a secret by its name. */
k1_answer k1_secret(const void *name, size_t len);
/* A value of the kernel's state, which lasts from record to record. */
k1_answer k1_state_get(const void *key, size_t key_len);
/* 0 or a code, which k1_reason explains; an empty value deletes the key. */
int k1_state_put(const void *key, size_t key_len, const void *value, size_t len);
/* The host's message about the last of these calls, if it answered with a code. */
k1_bytes k1_reason(void);

/* Empty fields are left out; an empty method is GET. */
typedef struct {
	k1_bytes method, url;
	k1_bytes headers;    /* a JSON object of strings */
	k1_bytes credential; /* the name of one that the grant holds */
	k1_bytes body;
} k1_request;
typedef struct {
	int code; /* 0, or one of the above: then body is the message */
	uint32_t status;
	k1_bytes headers; /* a JSON object of strings, names in lower case */
	k1_bytes body;
} k1_response;
k1_response k1_http(const k1_request *request);

/* --- Help ----------------------------------------------------------------- */

/* The next number of the SplitMix64 stream; start it with a record's seed:
 * uint64_t s = r->seed; k1_rand(&s). */
uint64_t k1_rand(uint64_t *state);
/* The digits of n: how many. */
size_t k1_decimal(uint64_t n, uint8_t text[20]);
/* Whether bytes are a text that ends with a zero. */
bool k1_is(k1_bytes bytes, const char *text);
/* A member of the record's metadata; {NULL, 0} if it is not there. */
k1_bytes k1_meta(const k1_record *r, const char *name);

/* The members of a flat JSON object, one after another:
 *
 *     k1_json f = k1_json_open(json);
 *     while (k1_json_next(&f)) {
 *         if (k1_json_is(&f, "prefix", K1_STRING)) prefix = f.text;
 *         else return k1_json_refuse(&f);
 *     }
 *     return k1_json_close(&f);
 *
 * Bytes of keys and texts last as long as json, or as memory of k1_alloc. */
typedef enum { K1_NULL, K1_BOOL, K1_NUMBER, K1_STRING, K1_NESTED } k1_kind;
typedef struct {
	k1_bytes key;
	k1_kind kind;
	k1_bytes text; /* a string's content; of everything else its source */
	/* private: */
	const uint8_t *at, *end;
	int state;
} k1_json;
k1_json k1_json_open(k1_bytes json);
/* The next member; false at the end and at text that is not JSON. */
bool k1_json_next(k1_json *f);
/* Whether the member has this name and kind. */
bool k1_json_is(const k1_json *f, const char *name, k1_kind kind);
/* The member as a whole number; false if it is none or too large. */
bool k1_json_int(const k1_json *f, int64_t *number);
/* k1_fail with a text that names the member. */
int k1_json_refuse(const k1_json *f);
/* 0 at the end of an object, else k1_fail: for the end of k1_configure. */
int k1_json_close(const k1_json *f);
/* A whole k1_configure for kernels without configuration. */
int k1_no_config(k1_bytes json);

#endif /* K1_H */

#if defined K1_KERNEL && !defined K1_IMPLEMENTED
#define K1_IMPLEMENTED

/* --- The kernel's own part ------------------------------------------------ */

/* Reads the stage's `with`, a JSON object, "{}" if there is none. 0, or a
 * negative number (of k1_fail): the pipeline does not start. json lasts as long
 * as the kernel. */
static int k1_configure(k1_bytes json);
/* Answers one record. */
static void k1_handle(const k1_record *r);

#include "impl/host.h"
#include "impl/memory.h"
#include "impl/frame.h"
#include "impl/capability.h"
#include "impl/json.h"
#endif /* K1_KERNEL */
