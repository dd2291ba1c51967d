// Package deploy holds the files of docs/machines.md: a compose file, a NATS
// configuration, an image and a pipeline. It has no code; its test reads them as
// those do who use them.
package deploy
