/* The members of a flat JSON object (RFC 8259). */

/* States of a k1_json. */
enum { K1__START, K1__MEMBERS, K1__DONE, K1__BAD };

static void k1__blank(k1_json *f) {
	while (f->at < f->end && (*f->at == ' ' || *f->at == '\t' || *f->at == '\n' || *f->at == '\r')) f->at++;
}

/* Whether the next character but blanks is c, which it then passes. */
static bool k1__char(k1_json *f, uint8_t c) {
	k1__blank(f);
	if (f->at == f->end || *f->at != c) return false;
	f->at++;
	return true;
}

static int k1__hex4(const uint8_t *p, const uint8_t *end) {
	int n = 0;
	for (int i = 0; i < 4; i++, p++) {
		if (p >= end) return -1;
		int c = *p | 32, digit = c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
		if (digit < 0 || (digit < 10 && *p != c)) return -1;
		n = n << 4 | digit;
	}
	return n;
}

static uint8_t *k1__utf8(uint8_t *p, uint32_t r) {
	if (r < 0x80) return *p = (uint8_t)r, p + 1;
	int more = r < 0x800 ? 1 : r < 0x10000 ? 2 : 3;
	static const uint8_t first[] = {0, 0xc0, 0xe0, 0xf0};
	*p++ = (uint8_t)(first[more] | r >> 6 * more);
	while (more--) *p++ = (uint8_t)(0x80 | (r >> 6 * more & 63));
	return p;
}

/* Decodes the escape after a backslash at s into p; NULL if it is none. */
static const uint8_t *k1__escape(const uint8_t *s, const uint8_t *end, uint8_t **p) {
	static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
	for (int i = 0; from[i]; i++)
		if (*s == (uint8_t)from[i]) return *(*p)++ = (uint8_t)to[i], s + 1;
	int32_t r = *s == 'u' ? k1__hex4(s + 1, end) : -1;
	if (r < 0) return NULL;
	s += 5;
	if (r >= 0xd800 && r < 0xe000) { /* half of a pair */
		int32_t low = r < 0xdc00 && end - s >= 6 && s[0] == '\\' && s[1] == 'u' ? k1__hex4(s + 2, end) : -1;
		if (low < 0xdc00 || low >= 0xe000) return NULL;
		r = 0x10000 + ((r - 0xd800) << 10) + (low - 0xdc00);
		s += 6;
	}
	*p = k1__utf8(*p, (uint32_t)r);
	return s;
}

/* A string after its opening quote. One without escapes is not copied. */
static bool k1__string(k1_json *f, k1_bytes *out) {
	const uint8_t *s = f->at;
	bool escapes = false;
	for (; s < f->end && *s != '"'; s++) {
		if (*s < ' ') return false;
		if (*s == '\\') escapes = true, s++;
	}
	if (s >= f->end) return false;
	*out = (k1_bytes){f->at, (size_t)(s - f->at)};
	f->at = s + 1;
	if (!escapes) return true;
	const uint8_t *end = s;
	uint8_t *text = k1_alloc(out->len), *p = text;
	for (s = out->data; s < end;) {
		if (*s != '\\') *p++ = *s++;
		else if (!(s = k1__escape(s + 1, end, &p))) return false;
	}
	*out = (k1_bytes){text, (size_t)(p - text)};
	return true;
}

/* An array or an object: to its last bracket. What is inside is not checked. */
static bool k1__nested(k1_json *f) {
	int depth = 0;
	do {
		if (f->at == f->end) return false;
		uint8_t c = *f->at++;
		k1_bytes inner;
		if (c == '"' && !k1__string(f, &inner)) return false;
		depth += (c == '{' || c == '[') - (c == '}' || c == ']');
	} while (depth > 0);
	return true;
}

static bool k1__literal(k1_json *f) {
	while (f->at < f->end && *f->at != ',' && *f->at != '}' && *f->at > ' ') f->at++;
	f->text.len = (size_t)(f->at - f->text.data);
	f->kind = k1_is(f->text, "null") ? K1_NULL : k1_is(f->text, "true") || k1_is(f->text, "false") ? K1_BOOL : K1_NUMBER;
	if (f->kind != K1_NUMBER) return true;
	for (size_t i = 0; i < f->text.len; i++) { /* its grammar is not checked, only that it is no word */
		uint8_t c = f->text.data[i];
		if (!(c >= '0' && c <= '9') && (i == 0 ? c != '-' : c != '-' && c != '+' && c != '.' && (c | 32) != 'e')) return false;
	}
	return f->text.len > 0;
}

static bool k1__value(k1_json *f) {
	k1__blank(f);
	if (f->at == f->end) return false;
	f->text = (k1_bytes){f->at, 0};
	if (*f->at == '"') {
		f->kind = K1_STRING;
		f->at++;
		return k1__string(f, &f->text);
	}
	if (*f->at != '{' && *f->at != '[') return k1__literal(f);
	f->kind = K1_NESTED;
	bool ok = k1__nested(f);
	f->text.len = (size_t)(f->at - f->text.data);
	return ok;
}

k1_json k1_json_open(k1_bytes json) {
	k1_json f = {{NULL, 0}, K1_NULL, {NULL, 0}, json.data, json.data + json.len, K1__START};
	if (!k1__char(&f, '{')) f.state = K1__BAD;
	return f;
}

bool k1_json_next(k1_json *f) {
	if (f->state > K1__MEMBERS) return false;
	if (k1__char(f, '}')) {
		k1__blank(f);
		f->state = f->at == f->end ? K1__DONE : K1__BAD;
		return false;
	}
	bool ok = f->state == K1__START || k1__char(f, ',');
	ok = ok && k1__char(f, '"') && k1__string(f, &f->key) && k1__char(f, ':') && k1__value(f);
	f->state = ok ? K1__MEMBERS : K1__BAD;
	return ok;
}

bool k1_json_is(const k1_json *f, const char *name, k1_kind kind) {
	return f->kind == kind && k1_is(f->key, name);
}

bool k1_json_int(const k1_json *f, int64_t *number) {
	const uint8_t *p = f->text.data, *end = p + f->text.len;
	bool minus = f->kind == K1_NUMBER && *p == '-';
	int64_t n = 0;
	if (f->kind != K1_NUMBER || (p += minus) == end) return false;
	for (; p < end; p++) {
		int digit = *p - '0';
		if (digit < 0 || digit > 9 || __builtin_mul_overflow(n, 10, &n) || __builtin_sub_overflow(n, digit, &n)) return false;
	}
	if (!minus && n == INT64_MIN) return false;
	*number = minus ? n : -n;
	return true;
}

int k1_json_refuse(const k1_json *f) {
	uint8_t *text = k1_alloc(f->key.len + 64), *p = k1__copy(text, K1_TEXT("config: \""));
	p = k1__copy(p, f->key.data, f->key.len);
	p = k1__copy(p, K1_TEXT("\" is unknown or of the wrong type"));
	return k1_fail(text, (size_t)(p - text));
}

int k1_json_close(const k1_json *f) {
	return f->state == K1__DONE ? 0 : k1_fail(K1_TEXT("config: not a JSON object"));
}

int k1_no_config(k1_bytes json) {
	k1_json f = k1_json_open(json);
	return k1_json_next(&f) ? k1_json_refuse(&f) : k1_json_close(&f);
}
