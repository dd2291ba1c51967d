//go:build race

package plugins

const raceShadow = 1 << 30
