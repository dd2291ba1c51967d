/* A kernel that passes on the lines of a text that contain a word, and drops
 * texts without any. */
#define K1_KERNEL
#include "waybill/kernel.h"

static k1_bytes word;

/* Reads `with` of the pipeline file, which has the schema in kernel.json. */
int k1_configure(k1_bytes json) {
	k1_json f = k1_json_open(json);
	while (k1_json_next(&f)) {
		if (!k1_json_is(&f, "word", K1_STRING)) return k1_json_refuse(&f);
		word = f.text;
	}
	if (word.len == 0) return k1_fail(K1_TEXT("config: word is empty"));
	return k1_json_close(&f);
}

static bool contains_word(const uint8_t *line, size_t len) {
	for (; len >= word.len; line++, len--)
		if (memcmp(line, word.data, word.len) == 0) return true;
	return false;
}

/* Is called once for each record. */
void k1_handle(const k1_record *r) {
	const uint8_t *line = r->value.data, *end = line + r->value.len, *next;
	bool found = false;
	for (; line < end; line = next) {
		for (next = line; next < end && *next++ != '\n';) {}
		if (!contains_word(line, (size_t)(next - line))) continue;
		if (!found) k1_begin(NULL, 0);
		found = true;
		k1_write(line, (size_t)(next - line));
	}
	if (found) k1_end();
}
