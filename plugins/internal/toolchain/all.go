package toolchain

// All lists the builders. Detect of an earlier one counts first, so languages
// that are known by a file of their own come before those with a common one.
func All() []Builder {
	return []Builder{goBuilder(), rustBuilder(), assemblyscriptBuilder(), zigBuilder(), cBuilder()}
}
