/* Memory.
 *
 * There are three owners: the input buffer and the out frame, which are kept from call
 * to call and grow only, and what k1_alloc gave since k1_handle began. k1_buffer
 * makes the out frame as large as the input, so that a kernel whose answers are
 * no longer than its records never grows memory inside a call: that would cost
 * the first large record more fuel than the next. */

K1_REGISTER(i32, uint8_t *, in)
K1_REGISTER(i32, uint8_t *, out)
K1_REGISTER(i32, size_t, in_cap)
K1_REGISTER(i32, size_t, out_cap)

/* Copies n bytes, of which there may be none and nowhere: the end of the copy. */
static inline uint8_t *k1__copy(uint8_t *to, const void *from, size_t n) {
	if (n) __builtin_memcpy(to, from, n);
	return to + n;
}

static _Noreturn void k1__no_room(void) { k1_panic(K1_TEXT("out of memory")); }

#if defined __wasm__ && !defined __wasi__

/* Freestanding: memory is a stack above the module's data. What lasts is at its
 * bottom, then come the buffers, then what k1_alloc gives. */
extern uint8_t __heap_base;
K1_REGISTER(i32, uintptr_t, floor) /* end of what lasts as long as the kernel */
K1_REGISTER(i32, uintptr_t, mark)  /* end of what lasts from record to record */
K1_REGISTER(i32, uintptr_t, top)

static void k1__keep_allocated(void) {
	k1__set_floor(k1__top());
	k1__set_mark(k1__top());
}

/* NULL if there is no room. */
static void *k1__take(size_t n) {
	if (k1__top() == 0) {
		k1__set_top(((uintptr_t)&__heap_base + 15) & ~(uintptr_t)15);
		k1__keep_allocated();
	}
	uint64_t end = k1__top() + (((uint64_t)n + 15) & ~(uint64_t)15);
	uint64_t have = (uint64_t)__builtin_wasm_memory_size(0) << 16;
	if (end > UINT32_MAX) return NULL;
	if (end > have && __builtin_wasm_memory_grow(0, (size_t)((end - have + 65535) >> 16)) == SIZE_MAX) return NULL;
	void *p = (void *)k1__top();
	k1__set_top((uintptr_t)end);
	return p;
}

static bool k1__new_buffers(size_t n) {
	k1__set_top(k1__floor());
	k1__set_in(k1__take(n));
	k1__set_out(k1__in() ? k1__take(n) : NULL);
	k1__set_in_cap(k1__out() ? n : 0);
	k1__set_out_cap(k1__in_cap());
	k1__set_mark(k1__top());
	return k1__out() != NULL;
}

static void k1__grow_out(size_t n) {
	bool last = (uintptr_t)k1__out() + k1__out_cap() == k1__top();
	if (last) {
		if (!k1__take(n - k1__out_cap())) k1__no_room();
	} else {
		void *p = k1__take(n);
		if (!p) k1__no_room();
		__builtin_memcpy(p, k1__out(), k1__out_cap());
		k1__set_out(p);
	}
	k1__set_out_cap(n);
	k1__set_mark(k1__top());
}

void *k1_alloc(size_t n) {
	void *p = k1__take(n);
	if (!p) k1__no_room();
	return p;
}

static void k1__free_allocated(void) { k1__set_top(k1__mark()); }

/* Each is one instruction; the compiler also makes calls of them. */
void *memcpy(void *restrict to, const void *restrict from, size_t n) { return __builtin_memcpy(to, from, n); }
void *memmove(void *to, const void *from, size_t n) { return __builtin_memmove(to, from, n); }
void *memset(void *to, int c, size_t n) { return __builtin_memset(to, c, n); }
int memcmp(const void *a, const void *b, size_t n) {
	const uint8_t *p = a, *q = b;
	for (; n; n--, p++, q++)
		if (*p != *q) return *p - *q;
	return 0;
}

#else /* wasi-libc, or native */

#include <stdlib.h>

/* What k1_alloc gave since k1_handle began, newest first. */
typedef union k1__node {
	union k1__node *next;
	uint8_t align[16];
} k1__node;
static k1__node *k1__allocated;

static bool k1__new_buffers(size_t n) {
	free(k1__in());
	free(k1__out());
	k1__set_in(malloc(n));
	k1__set_out(malloc(n));
	k1__set_in_cap(k1__in() && k1__out() ? n : 0);
	k1__set_out_cap(k1__in_cap());
	return k1__out_cap() != 0;
}

static void k1__grow_out(size_t n) {
	uint8_t *p = realloc(k1__out(), n);
	if (!p) k1__no_room();
	k1__set_out(p);
	k1__set_out_cap(n);
}

void *k1_alloc(size_t n) {
	k1__node *p = n < SIZE_MAX - sizeof *p ? malloc(sizeof *p + n) : NULL;
	if (!p) k1__no_room();
	p->next = k1__allocated;
	k1__allocated = p;
	return p + 1;
}

static void k1__keep_allocated(void) { k1__allocated = NULL; }
static void k1__free_allocated(void) {
	while (k1__allocated) {
		k1__node *p = k1__allocated;
		k1__allocated = p->next;
		free(p);
	}
}

#endif
