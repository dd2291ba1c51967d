/* What the vectors do not reach: a native program that exits with 1 and names
 * the lines that were wrong. */
#define K1_KERNEL
#include "../../kernel.h"

#include <stdio.h>

static int wrong;
#define CHECK(ok) ((ok) ? (void)0 : (void)(wrong++, fprintf(stderr, "unit.c:%d: %s\n", __LINE__, #ok)))

/* --- The host: each answer is what the test put here. */
static uint8_t answer[10000], asked[1000], failed[1000];
static int64_t answer_len;
static size_t asked_len, failed_len;

static int64_t ask(const void *what, size_t len, void *buf, size_t cap) {
	memcpy(asked, what, asked_len = len);
	if (answer_len > 0) memcpy(buf, answer, (size_t)answer_len < cap ? (size_t)answer_len : cap);
	return answer_len;
}
void k1_host_log(int32_t level, const void *text, size_t len) { (void)level, (void)text, (void)len; }
void k1_host_fail(int32_t code, const void *text, size_t len) {
	(void)code;
	memcpy(failed, text, failed_len = len);
}
void k1_host_counter(int32_t id, int64_t delta) { (void)id, (void)delta; }
int64_t k1_host_state_get(const void *k, size_t len, void *buf, size_t cap) { return ask(k, len, buf, cap); }
int64_t k1_host_state_put(const void *k, size_t len, const void *v, size_t vlen) {
	(void)v, (void)vlen;
	return ask(k, len, NULL, 0);
}
int64_t k1_host_http(const void *q, size_t len, void *buf, size_t cap) { return ask(q, len, buf, cap); }
int64_t k1_host_blob(const void *d, size_t len, void *buf, size_t cap) { return ask(d, len, buf, cap); }
int64_t k1_host_secret(const void *n, size_t len, void *buf, size_t cap) { return ask(n, len, buf, cap); }
int64_t k1_host_rest(size_t from, void *buf, size_t cap) {
	memcpy(buf, answer + from, cap < sizeof answer - from ? cap : sizeof answer - from);
	return (int64_t)cap;
}

static k1_bytes text(const char *s) { return (k1_bytes){(const uint8_t *)s, strlen(s)}; }

/* --- JSON */

/* The members as name=kind:text; and the end. */
static const char *members(const char *json) {
	static char all[500];
	char *p = all;
	k1_json f = k1_json_open(text(json));
	while (k1_json_next(&f))
		p += sprintf(p, "%.*s=%c:%.*s;", (int)f.key.len, f.key.data, "nb#s+"[f.kind], (int)f.text.len, f.text.data);
	strcpy(p, k1_json_close(&f) == 0 ? "ok" : "bad");
	return all;
}

static void test_json(void) {
	static const char *const cases[][2] = {
		{"{}", "ok"},
		{" { } \n", "ok"},
		{"{\"a\":\"b\"}", "a=s:b;ok"},
		{"{ \"a\" : 1 ,\t\"b\" : -2.5e+3 }", "a=#:1;b=#:-2.5e+3;ok"},
		{"{\"a\":true,\"b\":false,\"c\":null}", "a=b:true;b=b:false;c=n:null;ok"},
		{"{\"a\":[1,{\"x\":\"]\\\"\"}],\"b\":{}}", "a=+:[1,{\"x\":\"]\\\"\"}];b=+:{};ok"},
		{"{\"\\u0061\\n\":\"\\\"\\\\\\/\\b\\f\\r\\t\"}", "a\n=s:\"\\/\b\f\r\t;ok"},
		{"{\"a\":\"\\u00e4\\u65e5\\ud83d\\ude00\"}", "a=s:\xc3\xa4\xe6\x97\xa5\xf0\x9f\x98\x80;ok"},
		{"", "bad"}, {"[]", "bad"}, {"{", "bad"}, {"{}x", "bad"}, {"{\"a\"}", "bad"}, {"{\"a\":}", "bad"},
		{"{\"a\":1,}", "a=#:1;bad"}, {"{,\"a\":1}", "bad"}, {"{\"a\":1 \"b\":2}", "a=#:1;bad"},
		{"{\"a\":\"b", "bad"}, {"{\"a\":\"b\\", "bad"}, {"{\"a\":\"\\x\"}", "bad"}, {"{\"a\":\"\\u12\"}", "bad"},
		{"{\"a\":\"\\u12g4\"}", "bad"}, {"{\"a\":\"\\ud83d\"}", "bad"}, {"{\"a\":\"\\ude00\"}", "bad"},
		{"{\"a\":\"\\ud83dx\\ude00\"}", "bad"}, {"{\"a\":nope}", "bad"}, {"{\"a\":+1}", "bad"}, {"{\"a\":[1", "bad"}, {"{a:1}", "bad"},
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		const char *got = members(cases[i][0]);
		if (strcmp(got, cases[i][1]) != 0) wrong++, fprintf(stderr, "json %s: got %s, want %s\n", cases[i][0], got, cases[i][1]);
	}
}

static void test_numbers(void) {
	static const struct {
		const char *json;
		bool ok;
		int64_t n;
	} cases[] = {
		{"{\"n\":0}", true, 0}, {"{\"n\":-7}", true, -7}, {"{\"n\":9223372036854775807}", true, INT64_MAX},
		{"{\"n\":-9223372036854775808}", true, INT64_MIN}, {"{\"n\":9223372036854775808}", false, 0},
		{"{\"n\":1.5}", false, 0}, {"{\"n\":1e3}", false, 0}, {"{\"n\":-}", false, 0}, {"{\"n\":\"1\"}", false, 0},
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		int64_t n = 0;
		k1_json f = k1_json_open(text(cases[i].json));
		k1_json_next(&f);
		bool ok = k1_json_int(&f, &n);
		if (ok != cases[i].ok || n != cases[i].n) wrong++, fprintf(stderr, "number %s: %d %lld\n", cases[i].json, ok, (long long)n);
	}
	uint8_t digits[20];
	CHECK(k1_decimal(0, digits) == 1 && digits[0] == '0');
	CHECK(k1_decimal(UINT64_MAX, digits) == 20 && memcmp(digits, "18446744073709551615", 20) == 0);
	uint64_t s = 1234567; /* the reference values of SplitMix64 */
	CHECK(k1_rand(&s) == 6457827717110365317u && k1_rand(&s) == 3203168211198807973u);
}

/* --- The host's answers */

static void test_asking(void) {
	for (size_t i = 0; i < sizeof answer; i++) answer[i] = (uint8_t)(i * 7 % 251);
	static const int64_t lengths[] = {0, 1, 4095, 4096, 4097, 9999};
	for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
		answer_len = lengths[i];
		k1_answer a = k1_blob(K1_TEXT("sha256:00"));
		CHECK(a.code == 0 && a.bytes.len == (size_t)answer_len && memcmp(a.bytes.data, answer, a.bytes.len) == 0);
		CHECK(asked_len == 9 && memcmp(asked, "sha256:00", 9) == 0);
	}
	answer_len = K1_NOT_FOUND;
	CHECK(k1_secret(K1_TEXT("x")).code == K1_NOT_FOUND && k1_state_get(K1_TEXT("x")).bytes.len == 4096);
	CHECK(k1_state_put(K1_TEXT("k"), K1_TEXT("v")) == K1_NOT_FOUND);
	answer_len = K1_FAILED;
	k1_answer a = k1_secret(K1_TEXT("x"));
	CHECK(a.code == K1_FAILED && a.bytes.len == 4096 && a.bytes.data[1] == 7);
	k1__free_allocated();
}

static void test_http(void) {
	const uint32_t parts[] = {404, 9};
	memcpy(answer, parts, 8);
	memcpy(answer + 8, "{\"a\":\"b\"}body", 13);
	answer_len = 21;
	k1_response r = k1_http(&(k1_request){.url = text("http://x/\"\n"), .headers = text("{\"c\":\"d\"}"), .body = text("sent")});
	CHECK(r.code == 0 && r.status == 404 && k1_is(r.headers, "{\"a\":\"b\"}") && k1_is(r.body, "body"));
	const char *head = "{\"method\":\"GET\",\"url\":\"http://x/\\u0022\\u000a\",\"headers\":{\"c\":\"d\"}}";
	uint32_t len;
	memcpy(&len, asked, 4);
	CHECK(len == strlen(head) && memcmp(asked + 4, head, len) == 0);
	CHECK(asked_len == 4 + len + 4 && memcmp(asked + 4 + len, "sent", 4) == 0);
	answer_len = K1_NOT_GRANTED;
	r = k1_http(&(k1_request){.method = text("POST"), .url = text("u"), .credential = text("me")});
	CHECK(r.code == K1_NOT_GRANTED && r.body.len == 4096);
	CHECK(k1_reason().len == 4096);
	head = "{\"method\":\"POST\",\"url\":\"u\",\"credential\":\"me\"}";
	CHECK(asked_len == 4 + strlen(head) && memcmp(asked + 4, head, strlen(head)) == 0);
	k1__free_allocated();
}

/* --- Frames: what the record's value says, is done n times. */
static int times = 1;

static int k1_configure(k1_bytes json) { return k1_no_config(json); }


static void k1_handle(const k1_record *r) {
	CHECK(k1_is(k1_meta(r, "a\n"), "b") && k1_meta(r, "b").data == NULL && k1_meta(r, "c").data == NULL);
	for (int i = 0; i < times; i++) {
		memset(k1_alloc(100), i, 100);
		k1_port((uint16_t)i);
		if (i % 3 == 0) k1_put(r->value.data, r->value.len);
		if (i % 3 == 1) k1_slice(1, 2);
		if (i % 3 == 2) {
			k1_begin(K1_TEXT("key"));
			k1_write_u64((uint64_t)i);
			k1_write(r->value.data, r->value.len);
			k1_end();
		}
	}
}

/* Many operations of one record, of which only one was expected, and more bytes
 * than the buffers have: descriptors and bytes must stay what they were. */
static void test_many(int n) {
	static uint8_t frame[256] __attribute__((aligned(16)));
	const char *meta = "{\"a\\n\":\"b\",\"c\":1}", *value = "four";
	const uint32_t header[10] = {K1__MAGIC, 0, 1, sizeof frame}, record[10] = {0, 0, 80, 4, 0, 0, 0, 0, 96, (uint32_t)strlen(meta)};
	memcpy(frame, header, sizeof header);
	memcpy(frame + 40, record, sizeof record);
	memcpy(frame + 80, value, 4);
	memcpy(frame + 96, meta, strlen(meta));
	times = n;
	size_t len = (size_t)(uint32_t)k1_run(frame, sizeof frame);
	const k1__out_header *h = (const k1__out_header *)k1__out();
	CHECK(h->ops == (uint32_t)n && h->total == len);
	for (int i = 0; i < n; i++) {
		const k1__op *d = k1__ops() + i;
		char want[20];
		sprintf(want, "%dfour", i);
		CHECK((uint32_t)d->head == 0 && d->head >> K1__PORT == (uint64_t)i);
		if (i % 3 == 0) CHECK(d->value_len == 4 && memcmp(k1__out() + d->value, "four", 4) == 0 && d->key_len == 0);
		if (i % 3 == 1) CHECK(d->value == 81 && d->value_len == 2);
		if (i % 3 == 2) CHECK(d->value_len == strlen(want) && memcmp(k1__out() + d->value, want, d->value_len) == 0);
		if (i % 3 == 2) CHECK(d->key_len == 3 && memcmp(k1__out() + d->key, "key", 3) == 0 && d->key + 3 == d->value);
	}
}

int main(void) {
	CHECK(k1_buffer(1) != NULL && k1_buffer(SIZE_MAX) == NULL);
	CHECK(k1_init((const uint8_t *)"{}", 2) == 0 && k1_init((const uint8_t *)"{\"a\":1}", 7) == -1);
	CHECK(k1_is((k1_bytes){failed, failed_len}, "config: \"a\" is unknown or of the wrong type"));
	test_json();
	test_numbers();
	test_asking();
	test_http();
	for (int n = 0; n < 300; n += 1 + n / 4) test_many(n);
	free(k1__in());
	free(k1__out());
	return wrong != 0;
}
