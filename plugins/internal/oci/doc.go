// Package oci moves kernels to and from OCI registries, and pins them.
//
// What comes in: a reference (oci://registry/name:tag, or @sha256:...) and, to
// push, a module. What goes out: a module whose bytes have the digest that was
// asked for. It knows the artifact layout, registries, a store of blobs and the
// lock file; it does not know pipelines, stages or what is inside a module.
//
//   - reference.go: what a reference is; whether it names fixed content
//   - artifact.go: the layout (CNCF, "Wasm OCI Artifact layout"): a manifest with
//     the config type application/vnd.wasm.config.v0+json and one layer, the file
//   - client.go, pull.go, push.go: the registry's side
//   - store.go: blobs by digest on disk, checked each time they are read
//   - lock.go: waybill.lock, which says what content a tag stood for
//
// A tag is a name that its owner may move at any time, so nothing here follows
// one unless a person asked for it (push, pull, lock). Whatever a registry sends
// is compared with a digest before anybody sees it, and is bounded in size before
// it is read.
package oci
