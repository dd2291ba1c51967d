//go:build !race

package plugins

const raceShadow = 0
