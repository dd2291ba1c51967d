//go:build !unix

package compiler

import "io/fs"

// ownedByUs is always true: these systems protect the user's cache folder by
// inherited access lists, which a mode does not show.
func ownedByUs(fs.FileInfo) bool { return true }
