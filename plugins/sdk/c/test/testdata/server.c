/* The conformance kernel as a native program, under the sanitizers: reads
 * requests from stdin, each a letter, a length (u32) and that many bytes; i is
 * k1_init, r is k1_run. Answers with a code (i64), a length (u32) and the out
 * frame. Addresses have more than 32 bits here, so the frame is taken from
 * where the SDK keeps it. */
#include "../../conform/conform.c"

#include <stdio.h>
#include <stdlib.h>

void k1_host_log(int32_t level, const void *text, size_t len) { fprintf(stderr, "log %d: %.*s\n", level, (int)len, (const char *)text); }
void k1_host_fail(int32_t code, const void *text, size_t len) { fprintf(stderr, "fail %d: %.*s\n", code, (int)len, (const char *)text); }
void k1_host_counter(int32_t id, int64_t delta) { fprintf(stderr, "counter %d: %lld\n", id, (long long)delta); }
int64_t k1_host_state_get(const void *key, size_t key_len, void *buf, size_t cap) { (void)key, (void)key_len, (void)buf, (void)cap; return -1; }
int64_t k1_host_state_put(const void *key, size_t key_len, const void *value, size_t len) { (void)key, (void)key_len, (void)value, (void)len; return -1; }
int64_t k1_host_http(const void *request, size_t len, void *buf, size_t cap) { (void)request, (void)len, (void)buf, (void)cap; return -1; }
int64_t k1_host_blob(const void *digest, size_t len, void *buf, size_t cap) { (void)digest, (void)len, (void)buf, (void)cap; return -1; }
int64_t k1_host_secret(const void *name, size_t len, void *buf, size_t cap) { (void)name, (void)len, (void)buf, (void)cap; return -1; }
int64_t k1_host_rest(size_t from, void *buf, size_t cap) { (void)from, (void)buf, (void)cap; return -1; }

int main(void) {
	for (;;) {
		char what;
		uint32_t len;
		if (fread(&what, 1, 1, stdin) != 1 || fread(&len, 4, 1, stdin) != 1) break;
		uint8_t *in = k1_buffer(len);
		if (!in || fread(in, 1, len, stdin) != len) return 1;
		/* Bytes beyond what was sent are out of bounds for the sanitizer only
		 * in a block of exactly that size. */
		uint8_t *exact = malloc(len);
		memcpy(exact, in, len);
		int64_t code = what == 'i' ? k1_init(exact, len) : k1_run(exact, len);
		free(exact);
		uint32_t size = what == 'r' && code != -1 ? (uint32_t)code : 0;
		if (code != -1) code = 0; /* the address may look negative */
		fwrite(&code, 8, 1, stdout);
		fwrite(&size, 4, 1, stdout);
		fwrite(k1__out(), 1, size, stdout);
		fflush(stdout);
	}
	free(k1__in());
	free(k1__out());
	return 0;
}
