//go:build !linux

package compiler

func leadsItsGroup() bool { return true }

func inherited() string { return "" }
