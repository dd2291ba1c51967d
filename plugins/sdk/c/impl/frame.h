/* The frames of spec/kernel-abi.md, and the exports.
 *
 * Descriptors and bytes are written where the host reads them. There is a
 * place for one descriptor of each record; a kernel that answers more moves the
 * bytes to make room, each time for twice as many. */

typedef struct __attribute__((may_alias)) {
	uint32_t magic, flags, records, total;
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

static struct {
	uint64_t head;               /* of the record's next descriptor: a KEEP */
	const k1__in_record *record; /* the one that is answered */
	k1__op *next, *limit;        /* where the next descriptor goes, and where there is no place */
	uint32_t end;                /* length of the frame so far */
	bool open;                   /* between k1_begin and k1_end, which the last PUT belongs to */
} k1__out;

static k1__op *k1__ops(void) { return (k1__op *)(k1__mem.out + sizeof(k1__out_header)); }

/* Grows the out frame for n bytes at its end. */
__attribute__((noinline)) static void k1__grow(size_t n) {
	if (n > K1__MAX - (size_t)k1__out.end) k1_panic(K1_TEXT("the answer is larger than 2 GiB"));
	size_t next = (size_t)(k1__out.next - k1__ops()), limit = (size_t)(k1__out.limit - k1__ops());
	size_t need = k1__out.end + n, twice = 2 * k1__mem.out_cap;
	k1__grow_out(((need > twice ? need : twice) + 15) & ~(size_t)15);
	k1__out.next = k1__ops() + next;
	k1__out.limit = k1__ops() + limit;
}

/* n more bytes at the end of the frame: their place. */
static inline uint8_t *k1__extend(size_t n) {
	if (n > k1__mem.out_cap - k1__out.end) k1__grow(n);
	uint8_t *p = k1__mem.out + k1__out.end;
	k1__out.end += (uint32_t)n;
	return p;
}

/* Moves the bytes to make places for more descriptors. */
__attribute__((noinline)) static void k1__more_ops(void) {
	size_t more = (size_t)(k1__out.limit - k1__ops()) + 8, by = more * sizeof(k1__op);
	if (more > K1__MAX / sizeof(k1__op)) k1_panic(K1_TEXT("the answer is larger than 2 GiB"));
	uint8_t *end = k1__extend(by), *bytes = (uint8_t *)k1__out.limit;
	__builtin_memmove(bytes + by, bytes, (size_t)(end - bytes));
	for (k1__op *d = k1__ops(); d < k1__out.limit; d++) {
		d->key += (uint32_t)by; /* of KEEP and SLICE it is not looked at */
		if (d->head & K1__PUT) d->value += (uint32_t)by;
	}
	k1__out.limit += more;
}

static inline k1__op *k1__descriptor(uint64_t op) {
	if (k1__out.open) k1_panic(K1_TEXT("k1_begin without k1_end"));
	if (k1__out.next == k1__out.limit) k1__more_ops();
	k1__op *d = k1__out.next++;
	d->head = k1__out.head + op;
	d->key_len = 0;
	d->value_len = 0;
	return d;
}

/* A descriptor with n bytes of its own: their place. */
static inline uint8_t *k1__with_bytes(uint64_t op, size_t n) {
	k1__op *d = k1__descriptor(op);
	d->value = k1__out.end;
	d->value_len = (uint32_t)n;
	return k1__extend(n);
}

void k1_port(uint16_t port) { k1__out.head = (uint32_t)k1__out.head | (uint64_t)port << K1__PORT; }
void k1_keep(void) { k1__descriptor(0); }

void k1_slice(size_t from, size_t len) {
	const k1__in_record *r = k1__out.record;
	if (from > r->value_len || len > r->value_len - from) k1_panic(K1_TEXT("k1_slice leaves the value"));
	k1__op *d = k1__descriptor(K1__SLICE);
	d->value = r->value + (uint32_t)from;
	d->value_len = (uint32_t)len;
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
	k1__op *d = k1__out.next - 1;
	d->key = d->value;
	d->key_len = d->value_len;
	d->value = k1__out.end;
	d->value_len = 0;
	k1__out.open = true;
}

void k1_write(const void *data, size_t len) {
	if (!k1__out.open) k1_panic(K1_TEXT("k1_write without k1_begin"));
	k1__copy(k1__extend(len), data, len);
}

void k1_write_u64(uint64_t decimal) {
	uint8_t text[20];
	k1_write(text, k1_decimal(decimal, text));
}

void k1_end(void) {
	if (!k1__out.open) k1_panic(K1_TEXT("k1_end without k1_begin"));
	k1__op *d = k1__out.next - 1;
	d->value_len = k1__out.end - d->value;
	k1__out.open = false;
}

K1_EXPORT("k1_abi") int64_t k1_abi(void) { return 0; }

K1_EXPORT("k1_buffer") void *k1_buffer(size_t least) {
	if (least < 1024) least = 1024;
	if (least > K1__MAX || (least > k1__mem.in_cap && !k1__new_buffers((least + 15) & ~(size_t)15))) return NULL;
	return k1__mem.in;
}

K1_EXPORT("k1_init") int64_t k1_init(const uint8_t *json, size_t len) {
	uint8_t *lasting = k1_alloc(len);
	k1__copy(lasting, json, len);
	int code = k1_configure((k1_bytes){lasting, len});
	k1__keep_allocated();
	return code < 0 ? code : 0;
}

static int64_t k1__bad_frame(void) { return k1_fail(K1_TEXT("bad input frame")); }

/* Whether all ranges of the record end inside of the frame. The last field is
 * read first: one check of the engine's then does for all. */
static inline bool k1__inside(const k1__in_record *d, uint64_t total) {
	uint64_t meta = total - d->meta_len - d->meta;
	uint64_t value = total - d->value_len - d->value;
	uint64_t key = total - d->key_len - d->key;
	return (int64_t)(meta | value | key) >= 0;
}

/* An empty out frame with places for n descriptors. */
static inline void k1__begin(uint32_t n) {
	size_t size = sizeof(k1__out_header) + n * sizeof(k1__op);
	k1__out.end = 0;
	k1__out.next = k1__out.limit = k1__ops();
	if (size > k1__mem.out_cap) k1__grow(size);
	k1__out.next = k1__ops();
	k1__out.limit = k1__out.next + n;
	k1__out.end = (uint32_t)size;
	k1__out.open = false;
}

static inline int64_t k1__finish(void) {
	uint8_t *out = k1__mem.out;
	const uint8_t *next = (uint8_t *)k1__out.next, *limit = (uint8_t *)k1__out.limit;
	if (k1__out.open) k1_panic(K1_TEXT("k1_begin without k1_end"));
	/* Without bytes, the unused places for descriptors need not be sent. */
	uint32_t total = out + k1__out.end == limit ? (uint32_t)(next - out) : k1__out.end;
	k1__out_header *h = (k1__out_header *)out;
	h->flags = 0;
	h->total = total;
	h->ops = (uint32_t)((uint32_t)(next - out - sizeof *h) / sizeof(k1__op));
	return (int64_t)((uint64_t)(uintptr_t)out << 32 | total);
}

K1_EXPORT("k1_run") int64_t k1_run(const uint8_t *frame, size_t len) {
	const k1__in_header *h = (const k1__in_header *)frame;
	if (len < sizeof *h || (h->flags | (h->magic ^ K1__MAGIC) | (h->total ^ len)) != 0) return k1__bad_frame();
	const uint32_t n = h->records;
	if (n * (uint64_t)sizeof(k1__in_record) > len - sizeof *h) return k1__bad_frame();
	k1__begin(n);
	const k1__in_record *d = (const k1__in_record *)(h + 1);
	for (uint32_t i = 0; i < n; i++, d++) {
		if (!k1__inside(d, len)) return k1__bad_frame();
		k1__out.head = i;
		k1__out.record = d;
		const k1_record r = {{frame + d->key, d->key_len}, {frame + d->value, d->value_len}, {frame + d->meta, d->meta_len}, d->time, d->seed};
		k1_handle(&r);
		k1__free_allocated();
	}
	return k1__finish();
}
