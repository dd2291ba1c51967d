/* The functions of the host that need a grant, and small help. */

static uint32_t k1__u32(const uint8_t *p) {
	uint32_t n;
	__builtin_memcpy(&n, p, sizeof n);
	return n;
}

/* The answer whose first cap bytes stand in buf. */
static k1_answer k1__answer(int64_t n, uint8_t *buf, size_t cap) {
	k1_answer a = {0, {buf, 0}};
	if (n < 0) {
		a.code = (int)n;
		a.bytes.len = (size_t)k1_host_rest(0, buf, cap);
		return a;
	}
	a.bytes.len = (size_t)n;
	if (a.bytes.len > cap) {
		uint8_t *all = k1_alloc(a.bytes.len);
		__builtin_memcpy(all, buf, cap);
		k1_host_rest(cap, all + cap, a.bytes.len - cap);
		a.bytes.data = all;
	}
	return a;
}

enum { K1__FIRST = 4096 };

#define K1__ASK(name, import)                                            \
	k1_answer name(const void *what, size_t len) {                       \
		uint8_t *buf = k1_alloc(K1__FIRST);                              \
		return k1__answer(import(what, len, buf, K1__FIRST), buf, K1__FIRST); \
	}
K1__ASK(k1_blob, k1_host_blob)
K1__ASK(k1_secret, k1_host_secret)
K1__ASK(k1_state_get, k1_host_state_get)

int k1_state_put(const void *key, size_t key_len, const void *value, size_t len) {
	return (int)k1_host_state_put(key, key_len, value, len);
}

k1_bytes k1_reason(void) {
	uint8_t *buf = k1_alloc(K1__FIRST);
	return (k1_bytes){buf, (size_t)k1_host_rest(0, buf, K1__FIRST)};
}

/* Appends "name":"text" with JSON's escapes. */
static uint8_t *k1__member(uint8_t *p, const char *name, size_t name_len, k1_bytes text) {
	static const char hex[] = "0123456789abcdef";
	if (text.len == 0) return p;
	p = k1__copy(p, name, name_len);
	*p++ = '"';
	for (size_t i = 0; i < text.len; i++) {
		uint8_t c = text.data[i];
		if (c >= ' ' && c != '"' && c != '\\') {
			*p++ = c;
			continue;
		}
		p = k1__copy(p, "\\u00", 4);
		*p++ = (uint8_t)hex[c >> 4];
		*p++ = (uint8_t)hex[c & 15];
	}
	*p++ = '"';
	return p;
}

k1_response k1_http(const k1_request *q) {
	k1_bytes method = q->method.len ? q->method : (k1_bytes){(const uint8_t *)"GET", 3};
	uint8_t *buf = k1_alloc(K1__FIRST);
	uint8_t *request = k1_alloc(128 + 6 * (method.len + q->url.len + q->credential.len) + q->headers.len + q->body.len);
	uint8_t *p = k1__member(request + 4, K1_TEXT("{\"method\":"), method);
	p = k1__member(p, K1_TEXT(",\"url\":"), q->url);
	p = k1__member(p, K1_TEXT(",\"credential\":"), q->credential);
	if (q->headers.len) p = k1__copy(k1__copy(p, K1_TEXT(",\"headers\":")), q->headers.data, q->headers.len);
	*p++ = '}';
	uint32_t head = (uint32_t)(p - request) - 4;
	k1__copy(request, &head, sizeof head);
	p = k1__copy(p, q->body.data, q->body.len);
	k1_answer a = k1__answer(k1_host_http(request, (size_t)(p - request), buf, K1__FIRST), buf, K1__FIRST);
	k1_response r = {a.code, 0, {NULL, 0}, a.bytes};
	if (a.code < 0) return r;
	const uint8_t *d = a.bytes.data;
	r.status = k1__u32(d);
	r.headers = (k1_bytes){d + 8, k1__u32(d + 4)};
	r.body = (k1_bytes){d + 8 + r.headers.len, a.bytes.len - 8 - r.headers.len};
	return r;
}

uint64_t k1_rand(uint64_t *state) {
	uint64_t z = *state += 0x9e3779b97f4a7c15;
	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
	z = (z ^ z >> 27) * 0x94d049bb133111eb;
	return z ^ z >> 31;
}

size_t k1_decimal(uint64_t n, uint8_t text[20]) {
	size_t digits = 1;
	for (uint64_t m = n; m > 9; m /= 10) digits++;
	for (size_t i = digits; i--; n /= 10) text[i] = (uint8_t)('0' + n % 10);
	return digits;
}

bool k1_is(k1_bytes b, const char *text) {
	size_t i = 0;
	while (i < b.len && text[i] && (uint8_t)text[i] == b.data[i]) i++;
	return i == b.len && !text[i];
}

k1_bytes k1_meta(const k1_record *r, const char *name) {
	k1_json f = k1_json_open(r->meta);
	while (k1_json_next(&f))
		if (k1_json_is(&f, name, K1_STRING)) return f.text;
	return (k1_bytes){NULL, 0};
}
