/* The kernel that `make bench` measures, and the same work without frames. */
#define K1_KERNEL
#include "../kernel.h"

#include <wasm_simd128.h>

static bool even(const uint8_t *value, size_t len) { return len > 0 && value[0] % 2 == 0; }

static v128_t upper16(v128_t c) {
	v128_t letter = wasm_u8x16_lt(wasm_i8x16_sub(c, wasm_i8x16_splat('a')), wasm_i8x16_splat(26));
	return wasm_i8x16_sub(c, wasm_v128_and(letter, wasm_i8x16_splat(32)));
}

static void upper(const uint8_t *from, size_t len, uint8_t *to) {
	size_t i = 0;
#pragma clang loop unroll_count(4) /* the meter charges each turn of a loop */
	for (; i + 16 <= len; i += 16) wasm_v128_store(to + i, upper16(wasm_v128_load(from + i)));
	for (; i < len; i++) to[i] = (uint8_t)(from[i] - 'a') < 26 ? from[i] - 32 : from[i];
}

static bool mapping;

int k1_configure(k1_bytes json) {
	k1_json f = k1_json_open(json);
	while (k1_json_next(&f)) {
		if (!k1_json_is(&f, "op", K1_STRING) || (!k1_is(f.text, "filter") && !k1_is(f.text, "map"))) return k1_json_refuse(&f);
		mapping = k1_is(f.text, "map");
	}
	return k1_json_close(&f);
}

void k1_handle(const k1_record *r) {
	if (mapping) upper(r->value.data, r->value.len, k1_put_space(r->value.len));
	else if (even(r->value.data, r->value.len)) k1_keep();
}

K1_EXPORT("raw_filter") int32_t raw_filter(const uint8_t *value, size_t len) { return even(value, len); }

K1_EXPORT("raw_map") int32_t raw_map(const uint8_t *value, size_t len, uint8_t *to) {
	upper(value, len, to);
	return (int32_t)len;
}
