// Package scaffold writes new kernel projects.
//
// What comes in: a language and a folder. What goes out: a project that builds
// without fetching anything, because the SDK's sources are part of it, below
// waybill/. The archives in projects/ are generated from plugins/sdk (make
// generate); this package knows neither toolchains nor hosts.
package scaffold
