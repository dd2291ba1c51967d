// Package netpolicy is the one place that says which addresses and hosts other
// people's code may reach: kernels with the http capability and pages in a
// browser. It tells public addresses from all others, reads lists of hosts,
// and dials the very address that it checked, so that a name which changes its
// address between two looks (DNS rebinding) gains nothing.
//
// It imports the standard library only and knows neither kernels nor browsers.
package netpolicy
