// Package hostile is a web site that attacks the browser that visits it, and
// what each visit has to end in. The table in docs/browser.md is made of it; the
// test TestHostileSite (stages/execute) visits every page with a real browser.
//
// The site is served on loopback by the tests. The package knows nothing of
// browsers or stages: a new attack is a page in site.go and a few lines in
// cases.go.
package hostile

//go:generate go run ./table ../../../docs/browser.md
