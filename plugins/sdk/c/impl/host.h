/* What the kernel imports; a module holds only the imports that it uses. */

#ifdef __wasm__
#ifndef __wasm_bulk_memory__
#error "build with -mbulk-memory: copying is three to twenty-five times slower without"
#endif
#define K1_IMPORT(name) __attribute__((import_module("kernel/1"), import_name(name)))
#define K1_EXPORT(name) __attribute__((export_name(name)))
/* A static variable that is no memory but a global of the module; kind is i32 or i64.
 * k1__name() reads it, k1__set_name(v) writes it. An engine checks the bounds of
 * each access to memory, and that was most of what a short call cost. */
#define K1_REGISTER(kind, type, name)                                                               \
	__asm__(".globaltype k1." #name ", " #kind "\nk1." #name ":\n");                                  \
	static inline type k1__##name(void) {                                                             \
		type v;                                                                                         \
		__asm__ volatile("global.get k1." #name "\n\tlocal.set %0" : "=r"(v));                          \
		return v;                                                                                       \
	}                                                                                                 \
	static inline void k1__set_##name(type v) { __asm__ volatile("local.get %0\n\tglobal.set k1." #name ::"r"(v)); }
#else /* a native build, for tests: they bring the host's functions */
#define K1_IMPORT(name)
#define K1_EXPORT(name)
#define K1_REGISTER(kind, type, name)        \
	static type k1__v_##name;                  \
	static inline type k1__##name(void) { return k1__v_##name; } \
	static inline void k1__set_##name(type v) { k1__v_##name = v; }
#endif

K1_IMPORT("log") void k1_host_log(int32_t level, const void *text, size_t len);
K1_IMPORT("fail") void k1_host_fail(int32_t code, const void *text, size_t len);
K1_IMPORT("counter") void k1_host_counter(int32_t id, int64_t delta);
K1_IMPORT("state_get") int64_t k1_host_state_get(const void *key, size_t key_len, void *buf, size_t cap);
K1_IMPORT("state_put") int64_t k1_host_state_put(const void *key, size_t key_len, const void *value, size_t len);
K1_IMPORT("http") int64_t k1_host_http(const void *request, size_t len, void *buf, size_t cap);
K1_IMPORT("blob") int64_t k1_host_blob(const void *digest, size_t len, void *buf, size_t cap);
K1_IMPORT("secret") int64_t k1_host_secret(const void *name, size_t len, void *buf, size_t cap);
K1_IMPORT("rest") int64_t k1_host_rest(size_t from, void *buf, size_t cap);

void k1_log(int level, const void *text, size_t len) { k1_host_log(level, text, len); }
void k1_count(int id, int64_t delta) { k1_host_counter(id, delta); }

int k1_fail(const void *text, size_t len) {
	k1_host_fail(-1, text, len);
	return -1;
}

_Noreturn void k1_panic(const void *text, size_t len) {
	k1_host_fail(-1, text, len);
	__builtin_trap();
}
