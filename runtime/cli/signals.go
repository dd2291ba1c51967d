package cli

import (
	"context"
	"os"
	"os/signal"
	"syscall"
)

// stopSignals turns interrupts into the two ways to end a run: the first
// SIGINT or SIGTERM ends drain (stop claiming, let items finish), the second
// ends hard (cancel everything now). The end of ctx ends both. release gives
// the signals back.
func stopSignals(ctx context.Context) (drain, hard context.Context, release func()) {
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	hard, cancelHard := context.WithCancel(ctx)
	drain, cancelDrain := context.WithCancel(hard)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for _, cancel := range []func(){cancelDrain, cancelHard} {
			select {
			case <-signals:
				cancel()
			case <-hard.Done():
				return
			}
		}
		signal.Stop(signals) // a third one ends the process as usual
	}()
	return drain, hard, func() {
		signal.Stop(signals)
		cancelHard()
		<-done
	}
}
