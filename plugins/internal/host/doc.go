// Package host runs kernels on wazero: it checks, meters and compiles a module, makes
// instances that can reach nothing but their input, calls them under limits,
// and turns every way in which a guest can end into a typed Failure.
//
// What comes in: a module's bytes, its configuration, limits, and batches of
// records (package k1) or one input (WASI commands, Extism plug-ins). What goes out: operations
// on those records, or a Failure with kernel, digest, cause, frames and the
// last of stderr. It does not know items, stages or files.
//
// A guest works on fuel (fuel.go): each call has an account that hands it fuel in
// slices, from the call's limit and the budgets of the items that it works for.
// That is what stops a guest, too: between slices the host looks at the clock
// and at the caller's context.
//
// An instance belongs to one caller at a time. The state that it has after its
// start is an image (image.go), and before each call it is put back to it, so
// that a call is a function of its frame: what ran before, a trap included,
// leaves no trace. Kernels of class Lane keep their memory instead (lane.go),
// less what a failed call did to it. An instance that cannot be put back, because
// its stack overflowed or its code changes tables, is closed and another one is
// made.
package host
