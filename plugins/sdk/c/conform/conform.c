/* The conformance kernel: the same in every language. */
#define K1_KERNEL
#include "../kernel.h"

static k1_bytes prefix = {(const uint8_t *)"", 0};

int k1_configure(k1_bytes json) {
	k1_json f = k1_json_open(json);
	while (k1_json_next(&f)) {
		if (!k1_json_is(&f, "prefix", K1_STRING)) return k1_json_refuse(&f);
		prefix = f.text;
	}
	return k1_json_close(&f);
}

static void fail(int kind, const char *what, size_t what_len, k1_bytes rest) {
	uint8_t *message = k1_alloc(what_len + rest.len);
	memcpy(message, what, what_len);
	memcpy(message + what_len, rest.data, rest.len);
	k1_err(kind, message, what_len + rest.len);
}

static void describe(const k1_record *r) {
	uint64_t stream = r->seed;
	k1_begin(NULL, 0);
	k1_write(K1_TEXT("key="));
	k1_write(r->key.data, r->key.len);
	k1_write(K1_TEXT(" meta="));
	k1_write(r->meta.data, r->meta.len);
	k1_write(K1_TEXT(" time="));
	k1_write_u64(r->time);
	k1_write(K1_TEXT(" seed="));
	k1_write_u64(r->seed);
	k1_write(K1_TEXT(" rand="));
	k1_write_u64(k1_rand(&stream));
	k1_end();
}

/* A PUT for each part between commas, with its index among them as key. */
static void split(k1_bytes rest) {
	uint64_t index = 0;
	const uint8_t *end = rest.data + rest.len;
	for (const uint8_t *from = rest.data, *to; from < end; from = to + 1) {
		for (to = from; to < end && *to != ',';) to++;
		if (to == from) continue;
		uint8_t key[20];
		size_t digits = k1_decimal(index++, key);
		k1_put_key(key, digits, from, (size_t)(to - from));
	}
}

static void upper(k1_bytes value) {
	uint8_t *to = k1_put_space(prefix.len + value.len);
	memcpy(to, prefix.data, prefix.len);
	to += prefix.len;
	for (size_t i = 0; i < value.len; i++) {
		uint8_t c = value.data[i];
		to[i] = (uint8_t)(c - 'a') < 26 ? c - 32 : c;
	}
}

void k1_handle(const k1_record *r) {
	if (r->value.len == 0) return;
	k1_bytes rest = {r->value.data + 1, r->value.len - 1};
	switch (r->value.data[0]) {
	case '#': return k1_keep();
	case '=': return k1_slice(1, rest.len);
	case '!': return fail(K1_PERMANENT, K1_TEXT("refused: "), rest);
	case '?': return fail(K1_RETRY, K1_TEXT("later: "), rest);
	case '~': return fail(K1_SKIP, K1_TEXT("skipped: "), rest);
	case '@': return describe(r);
	case ',': return split(rest);
	case '$': __builtin_trap();
	case '+':
		k1_log(K1_INFO, rest.data, rest.len);
		k1_count(1, (int64_t)rest.len);
		return k1_keep();
	default: return upper(r->value);
	}
}
