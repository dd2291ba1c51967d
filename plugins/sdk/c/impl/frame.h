/* The frames of spec/kernel-abi.md, and the exports.
 *
 * Descriptors and bytes are written where the host reads them. There is a
 * place for one descriptor of each record; a kernel that answers more moves the
 * bytes to make room, each time for twice as many. */

typedef struct __attribute__((may_alias)) {
	uint64_t version; /* K1__MAGIC, in the higher half flags: none */
	uint32_t records, total;
	uint64_t time, seed, sequence;
} k1__in_header;

typedef struct __attribute__((may_alias)) {
	uint32_t key, key_len, value, value_len;
	uint64_t time, seed;
	uint32_t meta, meta_len;
} k1__in_record;

typedef struct __attribute__((may_alias)) {
	uint32_t ops, total;
	uint64_t flags;
} k1__out_header;

typedef struct __attribute__((may_alias)) {
	uint64_t head; /* source, operation and port: 32, 16 and 16 bits */
	uint32_t key, key_len, value, value_len;
} k1__op;

enum { K1__MAGIC = 0x0001314b, K1__MAX = 0x7fffffff };
#define K1__SLICE (1ull << 32)
#define K1__PUT (2ull << 32)
#define K1__ERR (3ull << 32)
#define K1__PORT 48 /* its lowest bit in head */

K1_REGISTER(i64, uint64_t, source)             /* number of the record that is answered */
K1_REGISTER(i64, uint64_t, to)                 /* port of its next operation, as it stands in a head */
K1_REGISTER(i32, const k1__in_record *, record) /* itself */
K1_REGISTER(i32, k1__op *, next)               /* where the next descriptor goes */
K1_REGISTER(i32, k1__op *, limit)              /* where there is no place for one */
K1_REGISTER(i32, uint32_t, end)                /* length of the frame so far */
K1_REGISTER(i32, uint32_t, open)               /* between k1_begin and k1_end, which the last PUT belongs to */
K1_REGISTER(i32, uint32_t, held)               /* while open: the free places, which limit then hides */

static inline k1__op *k1__ops(void) { return (k1__op *)(k1__out() + sizeof(k1__out_header)); }

/* Grows the out frame for n bytes at its end. */
__attribute__((noinline)) static void k1__grow(size_t n) {
	if (n > K1__MAX - (size_t)k1__end()) k1_panic(K1_TEXT("the answer is larger than 2 GiB"));
	size_t next = (size_t)(k1__next() - k1__ops()), limit = (size_t)(k1__limit() - k1__ops());
	size_t need = k1__end() + n, twice = 2 * k1__out_cap();
	k1__grow_out(((need > twice ? need : twice) + 15) & ~(size_t)15);
	k1__set_next(k1__ops() + next);
	k1__set_limit(k1__ops() + limit);
}

/* n more bytes at the end of the frame: their place. */
static inline uint8_t *k1__extend(size_t n) {
	if (n > k1__out_cap() - k1__end()) k1__grow(n);
	uint8_t *p = k1__out() + k1__end();
	k1__set_end(k1__end() + (uint32_t)n);
	return p;
}

/* Moves the bytes to make places for more descriptors. */
__attribute__((noinline)) static void k1__more_ops(void) {
	if (k1__open()) k1_panic(K1_TEXT("k1_begin without k1_end"));
	size_t more = (size_t)(k1__limit() - k1__ops()) + 8, by = more * sizeof(k1__op);
	if (more > K1__MAX / sizeof(k1__op)) k1_panic(K1_TEXT("the answer is larger than 2 GiB"));
	uint8_t *end = k1__extend(by), *bytes = (uint8_t *)k1__limit();
	__builtin_memmove(bytes + by, bytes, (size_t)(end - bytes));
	for (k1__op *d = k1__ops(); d < k1__limit(); d++) {
		d->key += (uint32_t)by; /* of KEEP and SLICE it is not looked at */
		if (d->head & K1__PUT) d->value += (uint32_t)by;
	}
	k1__set_limit(k1__limit() + more);
}

/* The record's next operation. Here, as in all of this file, the last field comes first: where
 * an engine has checked the bounds for one field it knows those before it to be good. */
static inline k1__op *k1__descriptor(uint64_t op, uint32_t value, uint32_t value_len) {
	if (k1__next() == k1__limit()) k1__more_ops();
	k1__op *d = k1__next();
	k1__set_next(d + 1);
	d->value_len = value_len;
	d->value = value;
	d->key_len = 0;
	d->head = op | k1__source() | k1__to();
	return d;
}

/* A descriptor with n bytes of its own: their place. */
static inline uint8_t *k1__with_bytes(uint64_t op, size_t n) {
	if (k1__next() == k1__limit()) k1__more_ops(); /* which moves the end */
	k1__descriptor(op, k1__end(), (uint32_t)n);
	return k1__extend(n);
}

void k1_port(uint16_t port) { k1__set_to((uint64_t)port << K1__PORT); }
void k1_keep(void) { k1__descriptor(0, 0, 0); }

void k1_slice(size_t from, size_t len) {
	const k1__in_record *r = k1__record();
	if (from > r->value_len || len > r->value_len - from) k1_panic(K1_TEXT("k1_slice leaves the value"));
	k1__descriptor(K1__SLICE, r->value + (uint32_t)from, (uint32_t)len);
}

uint8_t *k1_put_space(size_t len) { return k1__with_bytes(K1__PUT, len); }
void k1_put(const void *data, size_t len) { k1__copy(k1_put_space(len), data, len); }

void k1_err(int kind, const void *message, size_t len) {
	k1_port((uint16_t)kind);
	k1__copy(k1__with_bytes(K1__ERR, len), message, len);
}

void k1_put_key(const void *key, size_t key_len, const void *data, size_t len) {
	k1_begin(key, key_len);
	k1_write(data, len);
	k1_end();
}

void k1_begin(const void *key, size_t key_len) {
	k1__copy(k1__with_bytes(K1__PUT, key_len), key, key_len);
	k1__op *d = k1__next() - 1;
	d->key = d->value;
	d->key_len = d->value_len;
	d->value = k1__end();
	d->value_len = 0;
	k1__set_held((uint32_t)(k1__limit() - k1__next()));
	k1__set_limit(k1__next());
	k1__set_open(1);
}

void k1_write(const void *data, size_t len) {
	if (!k1__open()) k1_panic(K1_TEXT("k1_write without k1_begin"));
	k1__copy(k1__extend(len), data, len);
}

void k1_write_u64(uint64_t decimal) {
	uint8_t text[20];
	k1_write(text, k1_decimal(decimal, text));
}

void k1_end(void) {
	if (!k1__open()) k1_panic(K1_TEXT("k1_end without k1_begin"));
	k1__op *d = k1__next() - 1;
	d->value_len = k1__end() - d->value;
	k1__set_limit(k1__next() + k1__held());
	k1__set_open(0);
}

K1_EXPORT("k1_abi") int64_t k1_abi(void) { return 0; }

K1_EXPORT("k1_buffer") void *k1_buffer(size_t least) {
	if (least < 1024) least = 1024;
	if (least > K1__MAX || (least > k1__in_cap() && !k1__new_buffers((least + 15) & ~(size_t)15))) return NULL;
	return k1__in();
}

K1_EXPORT("k1_init") int64_t k1_init(const uint8_t *json, size_t len) {
	uint8_t *lasting = k1_alloc(len);
	k1__copy(lasting, json, len);
	int code = k1_configure((k1_bytes){lasting, len});
	k1__keep_allocated();
	return code < 0 ? code : 0;
}

__attribute__((noinline)) static int64_t k1__bad_frame(void) { return k1_fail(K1_TEXT("bad input frame")); }

/* Whether the header is one of version 1 without flags. The rest of the frame is
 * the host's promise (spec/kernel-abi.md, Input frame), which only native builds check: they
 * take frames from tests. In WebAssembly it is the host itself that wrote the frame,
 * a moment ago, into memory whose bounds hold whatever a number in it says. */
static inline bool k1__good(const k1__in_header *h, size_t len) {
#ifdef __wasm__
	(void)len;
	return h->version == K1__MAGIC;
#else
	if (len < sizeof *h || h->version != K1__MAGIC || h->total != len) return false;
	if (h->records > (len - sizeof *h) / sizeof(k1__in_record)) return false;
	const k1__in_record *d = (const k1__in_record *)(h + 1);
	for (uint32_t i = 0; i < h->records; i++, d++) {
		uint64_t key = (uint64_t)d->key + d->key_len, value = (uint64_t)d->value + d->value_len, meta = (uint64_t)d->meta + d->meta_len;
		if (key > len || value > len || meta > len) return false;
	}
	return true;
#endif
}

/* An empty out frame with places for n descriptors. */
static inline void k1__begin(uint32_t n) {
	size_t size = sizeof(k1__out_header) + n * sizeof(k1__op);
	if (size > k1__out_cap()) {
		k1__set_end(0);
		k1__set_next(k1__ops());
		k1__set_limit(k1__ops());
		k1__grow(size);
	}
	k1__set_next(k1__ops());
	k1__set_limit(k1__next() + n);
	k1__set_end((uint32_t)size);
}

static inline int64_t k1__finish(void) {
	uint8_t *out = k1__out();
	const uint8_t *next = (uint8_t *)k1__next(), *limit = (uint8_t *)k1__limit();
	if (k1__open()) k1_panic(K1_TEXT("k1_begin without k1_end"));
	/* Without bytes, the unused places for descriptors need not be sent. */
	uint32_t total = out + k1__end() == limit ? (uint32_t)(next - out) : k1__end();
	k1__out_header *h = (k1__out_header *)out;
	h->ops = (uint32_t)(k1__next() - k1__ops());
	h->total = total;
	h->flags = 0;
	return (int64_t)((uint64_t)(uintptr_t)out << 32 | total);
}

K1_EXPORT("k1_run") int64_t k1_run(const uint8_t *frame, size_t len) {
	const k1__in_header *h = (const k1__in_header *)frame;
	if (!k1__good(h, len)) return k1__bad_frame();
	k1__begin(h->records);
	const k1__in_record *d = (const k1__in_record *)(h + 1);
	for (uint32_t i = 0, n = h->records; i < n; i++, d++) {
		k1__set_source(i);
		k1__set_to(0);
		k1__set_record(d);
		k1_record r;
		r.meta.len = d->meta_len, r.meta.data = frame + d->meta;
		r.seed = d->seed, r.time = d->time;
		r.value.len = d->value_len, r.value.data = frame + d->value;
		r.key.len = d->key_len, r.key.data = frame + d->key;
		k1_handle(&r);
		k1__free_allocated();
	}
	return k1__finish();
}
