//go:build race

package host

// raceDetector tells that the compiler is twenty times slower than usual.
const raceDetector = true
